//! What an application returns and yields: bytes, or something to await.

use bytes::Bytes;
use pyo3::{
    exceptions::PyTypeError,
    intern,
    prelude::*,
    pybacked::PyBackedBytes,
    types::{PyBytes, PyIterator, PyString},
};

use crate::exception::type_name;

/// The maximum size of a piece that is copied. A larger one keeps its Python object until it is sent.
const MAX_COPIED: usize = 16 * 1024;

/// The bytes of a piece of a body.
pub(crate) fn to_bytes(item: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    let bytes = item.cast::<PyBytes>().map_err(|_| {
        let hint = if item.is_instance_of::<PyString>() {
            "; encode it"
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

/// An iterator over what the application has returned.
pub(crate) fn iterate<'py>(body: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyIterator>> {
    body.try_iter().map_err(|error| {
        if !error.is_instance_of::<PyTypeError>(body.py()) {
            return error;
        }
        PyTypeError::new_err(format!(
            "the application returned {}, which is not an iterable of bytes{}",
            type_name(body),
            if body.is_callable() {
                "; it is callable: if the application is a factory, write it with \
                 parentheses, as in mysite:create_app(), and if it returned a response, \
                 return response(environ, start_response)"
            } else {
                ""
            }
        ))
    })
}

/// Whether an object has to be awaited.
pub(crate) fn is_awaitable(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    if has_await(object)? {
        return Ok(true);
    }
    // It has no `__await__`, but asyncio can wait for it.
    let py = object.py();
    let sys = py.import(intern!(py, "sys"))?;
    let modules = sys.getattr(intern!(py, "modules"))?;
    match modules.get_item(intern!(py, "concurrent.futures")) {
        Ok(module) => object.is_instance(&module.getattr(intern!(py, "Future"))?),
        Err(_) => Ok(false),
    }
}

pub(crate) fn has_await(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    let name = intern!(object.py(), "__await__");
    Ok(object.get_type().getattr_opt(name)?.is_some())
}

pub(crate) fn has_iter(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    let name = intern!(object.py(), "__iter__");
    Ok(object.get_type().getattr_opt(name)?.is_some())
}

/// Whether an object can only be iterated over asynchronously. One that supports both protocols, such as Django's
/// streaming responses, is an ordinary iterable.
pub(crate) fn is_asynchronous_iterable(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    let name = intern!(object.py(), "__aiter__");
    Ok(object.get_type().getattr_opt(name)?.is_some() && !has_iter(object)?)
}
