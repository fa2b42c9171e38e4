//! The header fields of a response as Python gives them: to the letter of PEP 3333, or as gunicorn takes
//! them.

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

use crate::text::{Latin1, type_name};

/// The hop-by-hop names that this process has warned of.
static DROPPED: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());

/// The value of a field.
pub(crate) enum Value {
    Exact(Latin1),
    /// Without the spaces and tabs around it, which are no part of it (RFC 9110 section 5.5).
    Trimmed(Latin1),
}

impl AsRef<[u8]> for Value {
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

/// A list of tuples, and nothing else.
pub(crate) fn strict(headers: &Bound<'_, PyAny>) -> PyResult<Vec<(Latin1, Value)>> {
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
        fields.push((name, Value::Exact(value)));
    }
    Ok(fields)
}

/// Any iterable of pairs. Hop-by-hop fields are left out, and so is a `Content-Length` that says the same
/// again.
pub(crate) fn lenient(headers: &Bound<'_, PyAny>) -> PyResult<Vec<(Latin1, Value)>> {
    let mut fields = Vec::new();
    if let Ok(list) = headers.cast::<PyList>() {
        fields.reserve(list.len());
        for item in list {
            take(&mut fields, &item)?;
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
        take(&mut fields, &item?)?;
    }
    Ok(fields)
}

fn take(fields: &mut Vec<(Latin1, Value)>, item: &Bound<'_, PyAny>) -> PyResult<()> {
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
    let value = Value::Trimmed(value);
    if let Some(field) = hop_by_hop(name.as_ref()) {
        // A value with a line break is an attack or a mistake, whatever the name: it is refused later.
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
            "the application sets a header field that only the server may set; it is dropped, now \
             and from now on (PEP 3333, \"Other HTTP Features\")"
        );
    }
}
