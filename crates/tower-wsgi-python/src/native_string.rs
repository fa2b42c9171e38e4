//! PEP 3333's native strings: a `str` in which each character is one byte, as in Latin-1.

#![allow(unsafe_code)]

use std::ptr;

use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    ffi,
    prelude::*,
    pybacked::PyBackedStr,
    types::PyString,
};

use crate::exception::type_name;

/// The native string for bytes of the request.
pub(crate) fn decode<'py>(py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyString> {
    // A slice is never longer than this type allows.
    let length = bytes.len().cast_signed();
    // SAFETY: the function reads `length` bytes at the pointer, which are those of `bytes`, and ignores the name of the
    // error handler, since each byte is a character of Latin-1. It returns a new reference to a `str`, or null without
    // memory, on which PyO3 panics. PyO3's own functions decode UTF-8, which takes longer.
    unsafe {
        let text = ffi::PyUnicode_DecodeLatin1(bytes.as_ptr().cast(), length, ptr::null());
        Bound::from_owned_ptr(py, text).cast_into_unchecked()
    }
}

/// The bytes of a native string.
pub(crate) enum Latin1 {
    /// ASCII text, borrowed from Python.
    Ascii(PyBackedStr),
    Encoded(Vec<u8>),
}

impl Latin1 {
    /// Encodes `text`, which errors call `what`.
    pub(crate) fn new(text: &Bound<'_, PyAny>, what: &str) -> PyResult<Self> {
        let text = text.cast::<PyString>().map_err(|_| {
            PyTypeError::new_err(format!("{what} must be a str, not {}", type_name(text)))
        })?;
        let characters = PyBackedStr::try_from(text.clone())?;
        if characters.is_ascii() {
            return Ok(Self::Ascii(characters));
        }
        let bytes = characters.chars().map(u8::try_from);
        bytes.collect::<Result<_, _>>().map(Self::Encoded).map_err(|_| {
            PyValueError::new_err(format!(
                "{what} {:?} contains a character that is not in Latin-1; encode it, for example by RFC 8187",
                &*characters
            ))
        })
    }
}

impl AsRef<[u8]> for Latin1 {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Ascii(text) => text.as_bytes(),
            Self::Encoded(bytes) => bytes,
        }
    }
}
