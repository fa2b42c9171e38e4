//! The iterable that an application returns, piece by piece.

use std::{mem, sync::Arc};

use bytes::Bytes;
use pyo3::{
    exceptions::PyTypeError,
    intern,
    prelude::*,
    pybacked::PyBackedBytes,
    types::{PyBytes, PyIterator, PyList, PyTuple},
};
use tower_wsgi::BoxError;

use crate::exception::{WsgiErrors, type_name};

/// The maximum size of a piece that is copied. A larger one keeps its Python object until it is sent.
const MAX_COPIED: usize = 16 * 1024;

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
            Ok(list) if list.len() == 1 => return Self::single(&list.get_item(0)?, errors),
            Ok(list) => {
                return Ok(Self::without_close(
                    Remaining::List(0, list.unbind()),
                    errors,
                ));
            }
            Err(other) => other.into_inner(),
        };
        let iterable = match iterable.cast_into_exact::<PyTuple>() {
            Ok(tuple) if tuple.len() == 1 => return Self::single(&tuple.get_item(0)?, errors),
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
            refuse_asynchronous(iterable)?;
            let iterator = iterable.try_iter().map_err(|error| {
                if !error.is_instance_of::<PyTypeError>(py) {
                    return error;
                }
                PyTypeError::new_err(format!(
                    "the application returned {}, which is not an iterable of bytes{}",
                    type_name(iterable),
                    if iterable.is_callable() {
                        "; it is callable: if the application is a factory, write it with \
                         parentheses, as in mysite:create_app(), and if it returned a response, \
                         return response(environ, start_response)"
                    } else {
                        ""
                    }
                ))
            })?;
            chunks.remaining = Remaining::Iterator(iterator.unbind());
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

/// An error if the application has returned an awaitable: a finished future would be iterated as an empty body, and a
/// coroutine would never run.
fn refuse_asynchronous(result: &Bound<'_, PyAny>) -> PyResult<()> {
    if !is_asynchronous(result)? {
        return Ok(());
    }
    Err(PyTypeError::new_err(format!(
        "the application returned {}, which is asynchronous: a WSGI application returns an iterable of \
         bytes; serve an asynchronous application with an ASGI server",
        type_name(result)
    )))
}

fn is_asynchronous(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    let (py, class) = (object.py(), object.get_type());
    if class.getattr_opt(intern!(py, "__await__"))?.is_some() {
        return Ok(true);
    }
    // An object that supports both protocols, such as Django's streaming responses, is a valid iterable.
    Ok(class.getattr_opt(intern!(py, "__aiter__"))?.is_some()
        && class.getattr_opt(intern!(py, "__iter__"))?.is_none())
}

fn to_bytes(item: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    let bytes = item.cast::<PyBytes>().map_err(|_| {
        let hint = if item.is_instance_of::<pyo3::types::PyString>() {
            "; encode it"
        } else if is_asynchronous(item).unwrap_or(false) {
            // Otherwise the interpreter warns about a coroutine that was never awaited.
            if let Ok(Some(close)) = item.getattr_opt(intern!(item.py(), "close")) {
                let _ = close.call0();
            }
            "; asynchronous pieces need an ASGI server"
        } else {
            ""
        };
        PyTypeError::new_err(format!(
            "the application yielded {} as a piece of its body, not bytes{hint}",
            type_name(item)
        ))
    })?;
    if bytes.as_bytes().len() <= MAX_COPIED {
        return Ok(Bytes::copy_from_slice(bytes.as_bytes()));
    }
    Ok(Bytes::from_owner(PyBackedBytes::from(bytes.clone())))
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
