//! What an application returns, piece by piece.

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

use crate::{callable::Host, failure::Failure, text::type_name};

/// A piece up to this size is copied; a larger one stays Python's until it is sent.
const COPIED: usize = 16 * 1024;

/// The iterable that the application returned. Dropped, it is closed.
pub(crate) struct Chunks {
    /// `None` once it is closed.
    iterable: Option<Py<PyAny>>,
    rest: Rest,
    host: Arc<Host>,
}

enum Rest {
    /// The only piece of a list or a tuple, as most bodies are. It needs Python no more.
    Single(Bytes),
    /// The next index, and the list or the tuple that was returned.
    List(usize, Py<PyList>),
    Tuple(usize, Py<PyTuple>),
    Iterator(Py<PyIterator>),
    Over,
}

impl Chunks {
    pub(crate) fn new(iterable: Bound<'_, PyAny>, host: &Arc<Host>) -> PyResult<Self> {
        let py = iterable.py();
        // These have no `close`.
        let iterable = match iterable.cast_into_exact::<PyList>() {
            Ok(list) if list.len() == 1 => return Self::single(&list.get_item(0)?, host),
            Ok(list) => return Ok(Self::plain(Rest::List(0, list.unbind()), host)),
            Err(other) => other.into_inner(),
        };
        let iterable = match iterable.cast_into_exact::<PyTuple>() {
            Ok(tuple) if tuple.len() == 1 => return Self::single(&tuple.get_item(0)?, host),
            Ok(tuple) => return Ok(Self::plain(Rest::Tuple(0, tuple.unbind()), host)),
            Err(other) => other.into_inner(),
        };
        // What is closed, if this fails, is closed by the drop.
        let mut chunks = Self::over(iterable, host);
        if let Some(iterable) = &chunks.iterable {
            let iterable = iterable.bind(py);
            refuse_asynchronous(iterable)?;
            let iterator = iterable.try_iter().map_err(|error| {
                if !error.is_instance_of::<PyTypeError>(py) {
                    return error;
                }
                PyTypeError::new_err(format!(
                    "the application returned {}, which is no iterable of bytes{}",
                    type_name(iterable),
                    if iterable.is_callable() {
                        "; it can be called: if the application is a factory, write it with \
                         parentheses, as in mysite:create_app(), and if it returned a response, \
                         return response(environ, start_response)"
                    } else {
                        ""
                    }
                ))
            })?;
            chunks.rest = Rest::Iterator(iterator.unbind());
        }
        Ok(chunks)
    }

    /// Nothing is to be asked for: it is only to be closed.
    pub(crate) fn over(iterable: Bound<'_, PyAny>, host: &Arc<Host>) -> Self {
        Self {
            iterable: Some(iterable.unbind()),
            rest: Rest::Over,
            host: Arc::clone(host),
        }
    }

    fn single(item: &Bound<'_, PyAny>, host: &Arc<Host>) -> PyResult<Self> {
        to_bytes(item).map(|piece| Self::plain(Rest::Single(piece), host))
    }

    /// Nothing is to be closed.
    fn plain(rest: Rest, host: &Arc<Host>) -> Self {
        Self {
            iterable: None,
            rest,
            host: Arc::clone(host),
        }
    }

    fn piece(&mut self, py: Python<'_>) -> PyResult<Option<Bytes>> {
        let next = match &mut self.rest {
            Rest::Single(_) | Rest::Over => return Ok(None),
            Rest::List(index, list) => {
                let item = list.bind(py).get_item(*index).ok();
                *index += 1;
                item
            }
            Rest::Tuple(index, tuple) => {
                let item = tuple.bind(py).get_item(*index).ok();
                *index += 1;
                item
            }
            Rest::Iterator(iterator) => iterator.bind(py).clone().next().transpose()?,
        };
        let Some(item) = next else {
            self.rest = Rest::Over;
            return Ok(None);
        };
        to_bytes(&item).map(Some)
    }

    fn close(&mut self, py: Python<'_>) -> PyResult<()> {
        self.rest = Rest::Over;
        let Some(iterable) = self.iterable.take() else {
            return Ok(());
        };
        if let Some(close) = iterable.bind(py).getattr_opt(intern!(py, "close"))? {
            close.call0()?;
        }
        Ok(())
    }
}

/// A future that is done would be iterated as an empty body, and a coroutine would never run.
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
    // What can be iterated both ways (Django's streams can) is as good as any iterable.
    Ok(class.getattr_opt(intern!(py, "__aiter__"))?.is_some()
        && class.getattr_opt(intern!(py, "__iter__"))?.is_none())
}

fn to_bytes(item: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    let bytes = item.cast::<PyBytes>().map_err(|_| {
        let hint = if item.is_instance_of::<pyo3::types::PyString>() {
            "; encode it"
        } else if is_asynchronous(item).unwrap_or(false) {
            // Or the interpreter complains of a coroutine that was never awaited.
            if let Ok(Some(close)) = item.getattr_opt(intern!(item.py(), "close")) {
                let _ = close.call0();
            }
            "; asynchronous pieces need an ASGI server"
        } else {
            ""
        };
        PyTypeError::new_err(format!(
            "the application gave {} as a piece of its body, not bytes{hint}",
            type_name(item)
        ))
    })?;
    if bytes.as_bytes().len() <= COPIED {
        return Ok(Bytes::copy_from_slice(bytes.as_bytes()));
    }
    Ok(Bytes::from_owner(PyBackedBytes::from(bytes.clone())))
}

impl Iterator for Chunks {
    type Item = Result<Bytes, BoxError>;

    fn next(&mut self) -> Option<Self::Item> {
        match mem::replace(&mut self.rest, Rest::Over) {
            Rest::Over => return None,
            Rest::Single(piece) => return Some(Ok(piece)),
            rest => self.rest = rest,
        }
        Python::attach(|py| {
            self.piece(py)
                .map_err(|error| {
                    self.rest = Rest::Over;
                    self.host.report(py, &error)
                })
                .transpose()
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.rest {
            Rest::Over => (0, Some(0)),
            Rest::Single(_) => (1, Some(1)),
            Rest::Iterator(_) => (0, None),
            Rest::List(index, list) => exactly(Python::attach(|py| list.bind(py).len()), *index),
            Rest::Tuple(index, tuple) => exactly(Python::attach(|py| tuple.bind(py).len()), *index),
        }
    }
}

fn exactly(length: usize, index: usize) -> (usize, Option<usize>) {
    let left = length.saturating_sub(index);
    (left, Some(left))
}

impl Drop for Chunks {
    fn drop(&mut self) {
        let is_pythons = !matches!(self.rest, Rest::Single(_) | Rest::Over);
        if self.iterable.is_none() && !is_pythons {
            return;
        }
        Python::attach(|py| {
            if let Err(error) = self.close(py) {
                let error: BoxError = Failure::report(py, &error, self.host.errors());
                tracing::error!(error = %error, "the application failed in close()");
            }
        });
    }
}
