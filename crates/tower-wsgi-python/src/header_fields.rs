//! The header fields that an application gives to `start_response`: exactly as PEP 3333 requires, or with the leniency
//! of gunicorn.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use http::HeaderValue;
use pyo3::{
    exceptions::PyTypeError,
    prelude::*,
    types::{PyBytes, PyDict, PyList, PyString, PyTuple},
};
use tower_wsgi::wsgi::hop_by_hop;

use crate::{exception::type_name, native_string::Latin1};

/// The hop-by-hop fields about which this process has logged a warning.
static DROPPED: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());

/// The value of a header field.
pub(crate) enum FieldValue {
    Exact(Latin1),
    /// Without surrounding spaces and tabs, which are not part of the value (RFC 9110 section 5.5).
    Trimmed(Latin1),
}

impl AsRef<[u8]> for FieldValue {
    fn as_ref(&self) -> &[u8] {
        let mut value = match self {
            Self::Exact(text) => return text.as_ref(),
            Self::Trimmed(text) => text.as_ref(),
        };
        while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
            value = rest;
        }
        value
    }
}

/// What the field `Content-Length` says, if there is a valid one.
pub(crate) fn content_length(fields: &[(Latin1, FieldValue)]) -> Option<u64> {
    let mut lengths = fields
        .iter()
        .filter(|(name, _)| name.as_ref().eq_ignore_ascii_case(b"content-length"));
    let (_, length) = lengths.next()?;
    std::str::from_utf8(length.as_ref()).ok()?.parse().ok()
}

/// The fields of a list of tuples; anything else is an error.
pub(crate) fn strict(headers: &Bound<'_, PyAny>) -> PyResult<Vec<(Latin1, FieldValue)>> {
    let list = headers.cast::<PyList>().map_err(|_| {
        PyTypeError::new_err(format!(
            "the response headers must be a list, not {}",
            type_name(headers)
        ))
    })?;
    let mut fields = Vec::with_capacity(list.len());
    for item in list {
        let Ok(tuple) = item.cast::<PyTuple>() else {
            return Err(not_a_pair(&item, "a tuple"));
        };
        let (name, value) = pair(tuple.len(), |index| tuple.get_item(index))?
            .ok_or_else(|| not_a_pair(&item, "a tuple"))?;
        fields.push((name, FieldValue::Exact(value)));
    }
    Ok(fields)
}

/// The fields of any iterable of pairs. Hop-by-hop fields are dropped, except `Connection` and `Upgrade` of a response
/// that switches protocols, and so is a repeated `Content-Length` with the same value.
pub(crate) fn lenient(
    headers: &Bound<'_, PyAny>,
    switches: bool,
) -> PyResult<Vec<(Latin1, FieldValue)>> {
    let mut fields = Vec::new();
    if let Ok(list) = headers.cast::<PyList>() {
        fields.reserve(list.len());
        for item in list {
            push(&mut fields, &item, switches)?;
        }
        return Ok(fields);
    }
    let hint = if headers.is_instance_of::<PyDict>() {
        "; pass its items()"
    } else {
        ""
    };
    let is_text = headers.is_instance_of::<PyString>() || headers.is_instance_of::<PyBytes>();
    if is_text || !hint.is_empty() || headers.try_iter().is_err() {
        return Err(PyTypeError::new_err(format!(
            "the response headers must be a list of pairs, not {}{hint}",
            type_name(headers)
        )));
    }
    for item in headers.try_iter()? {
        push(&mut fields, &item?, switches)?;
    }
    Ok(fields)
}

fn push(
    fields: &mut Vec<(Latin1, FieldValue)>,
    item: &Bound<'_, PyAny>,
    switches: bool,
) -> PyResult<()> {
    let found = if let Ok(tuple) = item.cast::<PyTuple>() {
        pair(tuple.len(), |index| tuple.get_item(index))?
    } else if let Ok(list) = item.cast::<PyList>() {
        pair(list.len(), |index| list.get_item(index))?
    } else {
        None
    };
    let Some((name, value)) = found else {
        return Err(not_a_pair(item, "a pair"));
    };
    let value = FieldValue::Trimmed(value);
    if let Some(field) = hop_by_hop(name.as_ref())
        && !(switches && matches!(field, "connection" | "upgrade"))
    {
        // A value with a line break is an attack or a mistake, regardless of its name: it is refused later.
        if HeaderValue::from_bytes(value.as_ref()).is_ok() {
            warn_once(field);
            return Ok(());
        }
    }
    let is_length = |name: &Latin1| name.as_ref().eq_ignore_ascii_case(b"content-length");
    if is_length(&name) {
        let mut others = fields.iter().filter(|(other, _)| is_length(other));
        if others.any(|(_, other)| other.as_ref() == value.as_ref()) {
            return Ok(());
        }
    }
    fields.push((name, value));
    Ok(())
}

fn pair<'py>(
    length: usize,
    item: impl Fn(usize) -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Option<(Latin1, Latin1)>> {
    if length != 2 {
        return Ok(None);
    }
    let name = Latin1::new(&item(0)?, "the header name")?;
    Ok(Some((name, Latin1::new(&item(1)?, "the header value")?)))
}

fn not_a_pair(item: &Bound<'_, PyAny>, form: &str) -> PyErr {
    let text = item.repr().map(|text| text.to_string());
    let text = text.unwrap_or_else(|_| type_name(item));
    PyTypeError::new_err(format!(
        "each response header must be {form} of a name and a value, not {text}"
    ))
}

fn warn_once(field: &'static str) {
    let mut dropped = DROPPED.lock().unwrap_or_else(PoisonError::into_inner);
    if dropped.insert(field) {
        tracing::warn!(
            header = field,
            "dropping a header field of the application that only the server may set (PEP 3333, \
             \"Other HTTP Features\"); this warning is logged once per field"
        );
    }
}
