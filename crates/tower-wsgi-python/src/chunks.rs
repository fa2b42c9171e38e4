//! The iterable that an application returns, piece by piece.

use std::{mem, sync::Arc};

use bytes::Bytes;
use pyo3::{
    intern,
    prelude::*,
    types::{PyBytes, PyIterator, PyList, PyTuple},
};
use tower_wsgi::BoxError;

use crate::{
    event_loop::EventLoop,
    exception::WsgiErrors,
    piece::{is_awaitable, iterate, to_bytes},
};

/// The pieces of a response body. Dropping it closes the application's iterable.
pub(crate) struct Chunks {
    /// The iterable to close: `None` if it has no `close`, and after it was closed.
    to_close: Option<Py<PyAny>>,
    remaining: Remaining,
    errors: Arc<WsgiErrors>,
}

/// The pieces to come.
enum Remaining {
    /// The only piece of a list or a tuple, the most common body. It needs no interpreter.
    Single(Bytes),
    /// The next index, and the list that the application returned.
    List(usize, Py<PyList>),
    /// The next index, and the tuple that the application returned.
    Tuple(usize, Py<PyTuple>),
    Iterator(Py<PyIterator>),
    Nothing,
}

impl Chunks {
    pub(crate) fn new(iterable: Bound<'_, PyAny>, errors: &Arc<WsgiErrors>) -> PyResult<Self> {
        let py = iterable.py();
        // Lists and tuples have no `close`.
        let iterable = match iterable.cast_into_exact::<PyList>() {
            Ok(list) if list.len() == 1 && is_bytes(&list.get_item(0)?) => {
                return Self::single(&list.get_item(0)?, errors);
            }
            Ok(list) => {
                return Ok(Self::without_close(
                    Remaining::List(0, list.unbind()),
                    errors,
                ));
            }
            Err(other) => other.into_inner(),
        };
        let iterable = match iterable.cast_into_exact::<PyTuple>() {
            Ok(tuple) if tuple.len() == 1 && is_bytes(&tuple.get_item(0)?) => {
                return Self::single(&tuple.get_item(0)?, errors);
            }
            Ok(tuple) => {
                return Ok(Self::without_close(
                    Remaining::Tuple(0, tuple.unbind()),
                    errors,
                ));
            }
            Err(other) => other.into_inner(),
        };
        // If the rest fails, dropping this closes the iterable.
        let mut chunks = Self::only_to_close(iterable, errors);
        if let Some(iterable) = &chunks.to_close {
            let iterable = iterable.bind(py);
            chunks.remaining = Remaining::Iterator(iterate(iterable)?.unbind());
        }
        Ok(chunks)
    }

    /// A body without pieces, whose iterable is to be closed.
    pub(crate) fn only_to_close(iterable: Bound<'_, PyAny>, errors: &Arc<WsgiErrors>) -> Self {
        Self {
            to_close: Some(iterable.unbind()),
            remaining: Remaining::Nothing,
            errors: Arc::clone(errors),
        }
    }

    /// A body of one piece that is not the application's.
    pub(crate) fn of_text(text: &'static str, errors: &Arc<WsgiErrors>) -> Self {
        Self::without_close(
            Remaining::Single(Bytes::from_static(text.as_bytes())),
            errors,
        )
    }

    fn single(item: &Bound<'_, PyAny>, errors: &Arc<WsgiErrors>) -> PyResult<Self> {
        to_bytes(item).map(|piece| Self::without_close(Remaining::Single(piece), errors))
    }

    /// Pieces of an iterable that has no `close`.
    fn without_close(remaining: Remaining, errors: &Arc<WsgiErrors>) -> Self {
        Self {
            to_close: None,
            remaining,
            errors: Arc::clone(errors),
        }
    }

    fn piece(&mut self, py: Python<'_>) -> PyResult<Option<Bytes>> {
        let next = match &mut self.remaining {
            Remaining::Single(_) | Remaining::Nothing => return Ok(None),
            Remaining::List(index, list) => {
                let item = list.bind(py).get_item(*index).ok();
                *index += 1;
                item
            }
            Remaining::Tuple(index, tuple) => {
                let item = tuple.bind(py).get_item(*index).ok();
                *index += 1;
                item
            }
            Remaining::Iterator(iterator) => iterator.bind(py).clone().next().transpose()?,
        };
        let Some(item) = next else {
            self.remaining = Remaining::Nothing;
            return Ok(None);
        };
        if !is_bytes(&item) && is_awaitable(&item)? {
            // This thread waits, as it does for any other piece of this iterable.
            let piece = EventLoop::asyncio(py)?.wait_for(&item)?;
            return to_bytes(&piece).map(Some);
        }
        to_bytes(&item).map(Some)
    }

    fn close(&mut self, py: Python<'_>) -> PyResult<()> {
        self.remaining = Remaining::Nothing;
        let Some(iterable) = self.to_close.take() else {
            return Ok(());
        };
        if let Some(close) = iterable.bind(py).getattr_opt(intern!(py, "close"))? {
            close.call0()?;
        }
        Ok(())
    }
}

fn is_bytes(item: &Bound<'_, PyAny>) -> bool {
    item.is_instance_of::<PyBytes>()
}

impl Iterator for Chunks {
    type Item = Result<Bytes, BoxError>;

    fn next(&mut self) -> Option<Self::Item> {
        match mem::replace(&mut self.remaining, Remaining::Nothing) {
            Remaining::Nothing => return None,
            Remaining::Single(piece) => return Some(Ok(piece)),
            remaining => self.remaining = remaining,
        }
        Python::attach(|py| {
            self.piece(py)
                .map_err(|error| {
                    self.remaining = Remaining::Nothing;
                    self.errors.report(py, &error)
                })
                .transpose()
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.remaining {
            Remaining::Nothing => (0, Some(0)),
            Remaining::Single(_) => (1, Some(1)),
            Remaining::Iterator(_) => (0, None),
            Remaining::List(index, list) => {
                exactly(Python::attach(|py| list.bind(py).len()), *index)
            }
            Remaining::Tuple(index, tuple) => {
                exactly(Python::attach(|py| tuple.bind(py).len()), *index)
            }
        }
    }
}

fn exactly(length: usize, index: usize) -> (usize, Option<usize>) {
    let left = length.saturating_sub(index);
    (left, Some(left))
}

impl Drop for Chunks {
    fn drop(&mut self) {
        let holds_python_object =
            !matches!(self.remaining, Remaining::Single(_) | Remaining::Nothing);
        if self.to_close.is_none() && !holds_python_object {
            return;
        }
        Python::attach(|py| {
            if let Err(error) = self.close(py) {
                let error = self.errors.report(py, &error);
                tracing::error!(error = %error, "the application failed in close()");
            }
        });
    }
}
