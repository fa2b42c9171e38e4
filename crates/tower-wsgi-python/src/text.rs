//! PEP 3333's native strings: text whose characters are the bytes of Latin-1.

use std::borrow::Cow;

use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::PyString,
};

pub(crate) fn decode<'py>(py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyString> {
    match str::from_utf8(bytes) {
        Ok(text) if text.is_ascii() => PyString::new(py, text),
        _ => PyString::new(
            py,
            &bytes.iter().copied().map(char::from).collect::<String>(),
        ),
    }
}

/// The bytes of `what`, which must be such a string.
pub(crate) fn encode<'a>(text: &'a Bound<'_, PyAny>, what: &str) -> PyResult<Cow<'a, [u8]>> {
    let text = text.cast::<PyString>().map_err(|_| {
        PyTypeError::new_err(format!("{what} must be a str, not {}", type_name(text)))
    })?;
    let characters = text.to_str()?;
    if characters.is_ascii() {
        return Ok(Cow::from(characters.as_bytes()));
    }
    let bytes = characters.chars().map(u8::try_from);
    bytes.collect::<Result<Vec<_>, _>>().map(Cow::from).map_err(|_| {
        PyValueError::new_err(format!(
            "{what} {characters:?} has a character that is not in Latin-1; encode it, for example by RFC 8187"
        ))
    })
}

pub(crate) fn type_name(object: &Bound<'_, PyAny>) -> String {
    let name = object.get_type().name();
    name.map_or_else(|_| "an object".to_owned(), |name| name.to_string())
}
