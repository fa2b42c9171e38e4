//! `pulsar.cfg`: the settings of a server and of its application, as a mapping and as attributes.

use std::{env, ffi::CString};

use pyo3::{
    IntoPyObjectExt as _,
    exceptions::{PyAttributeError, PyDeprecationWarning, PyKeyError},
    prelude::*,
    types::{PyDict, PyIterator, PyMapping, PyString, PyTuple},
};
use tower_prefork::{
    Config, ProgramConfig,
    settings::{self, Value},
};

use super::{
    pulsar_settings::{self, Counterpart, LOG_LEVEL},
    wsgi_config::WsgiConfig,
};

/// Where a server listens if nothing says so, also not the variable of hosting platforms.
const DEFAULT_ADDRESS: &str = "127.0.0.1:8000";

/// The settings, by name. Nothing can be set.
#[pyclass(frozen, mapping, module = "tower_wsgi", name = "Config")]
#[derive(Debug)]
pub(super) struct SettingsView {
    values: Py<PyDict>,
}

impl SettingsView {
    pub(super) fn new(
        py: Python<'_>,
        name: &str,
        server: &Config,
        program: &ProgramConfig,
        wsgi: &WsgiConfig,
    ) -> PyResult<Self> {
        let values = PyDict::new(py);
        values.set_item("name", name)?;
        add(server, &values)?;
        add(program, &values)?;
        add(wsgi, &values)?;
        // Never "auto", so that an application can compute with it.
        values.set_item("workers", server.workers.count())?;
        if server.bind.is_empty() {
            let port = env::var("PORT").ok().filter(|port| !port.is_empty());
            let address = port.map(|port| format!("0.0.0.0:{port}"));
            let address = address.unwrap_or_else(|| DEFAULT_ADDRESS.to_owned());
            values.set_item("bind", (address,))?;
        }
        PyMapping::register::<Self>(py)?;
        Ok(Self {
            values: values.unbind(),
        })
    }

    /// The value of a setting. A name of pulsar is a deprecated one.
    fn find<'py>(&self, name: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = name.py();
        let values = self.values.bind(py);
        if let Some(value) = values.get_item(name)? {
            return Ok(Some(value));
        }
        match counterpart(name) {
            Some(Counterpart::Setting(ours)) => {
                warn(py, name, ours)?;
                values.get_item(ours)
            }
            Some(Counterpart::DebugFlag) => {
                warn(py, name, LOG_LEVEL)?;
                let level = values.get_item(LOG_LEVEL)?;
                let level: Option<String> = level.and_then(|level| level.extract().ok());
                let is_debug = level.is_some_and(|level| is_debug(&level));
                Ok(Some(is_debug.into_bound_py_any(py)?))
            }
            Some(Counterpart::Missing { .. }) | None => Ok(None),
        }
    }
}

#[pymethods]
impl SettingsView {
    fn __getattr__<'py>(&self, name: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.find(name)?.ok_or_else(|| {
            let problem = format!("there is no setting {name}");
            PyAttributeError::new_err(match counterpart(name) {
                Some(Counterpart::Missing { instead, .. }) => format!("{problem}: {instead}"),
                _ => problem,
            })
        })
    }

    #[allow(clippy::unused_self, reason = "Python calls it on an object")]
    fn __setattr__(&self, name: &str, _value: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(PyAttributeError::new_err(format!(
            "the setting {name} cannot be changed here: it is set before the server is started"
        )))
    }

    fn __getitem__<'py>(&self, name: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.find(name)?
            .ok_or_else(|| PyKeyError::new_err(name.clone().unbind()))
    }

    fn __contains__(&self, name: &Bound<'_, PyAny>) -> PyResult<bool> {
        let is_other = !matches!(counterpart(name), None | Some(Counterpart::Missing { .. }));
        Ok(is_other || self.values.bind(name.py()).contains(name)?)
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        self.values.bind(py).len()
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.values.bind(py).try_iter()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("<settings {}>", self.values.bind(py).repr()?))
    }

    fn __dir__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let names = self.values.bind(py).keys();
        for method in ["get", "items", "keys", "values"] {
            names.append(method)?;
        }
        Ok(names.into_any())
    }

    /// The value of the setting, or `default` if there is none of this name.
    #[pyo3(signature = (name, default=None))]
    fn get<'py>(
        &self,
        name: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(self.find(name)?.or(default))
    }

    /// The names and values.
    fn items<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.values.bind(py).call_method0("items")
    }

    /// The names.
    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.values.bind(py).call_method0("keys")
    }

    /// The values.
    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.values.bind(py).call_method0("values")
    }
}

fn counterpart(name: &Bound<'_, PyAny>) -> Option<Counterpart> {
    let name = name.cast::<PyString>().ok()?;
    pulsar_settings::find(name.to_str().ok()?)
}

/// Whether a filter of the log lets through what helps to find a fault.
fn is_debug(filter: &str) -> bool {
    let mut parts = filter.split(',').map(str::trim);
    parts.any(|part| part.eq_ignore_ascii_case("debug") || part.eq_ignore_ascii_case("trace"))
}

fn warn(py: Python<'_>, name: &Bound<'_, PyAny>, ours: &str) -> PyResult<()> {
    let text = format!("the setting {name} of pulsar is {ours} here");
    let text = CString::new(text)?;
    PyErr::warn(py, &py.get_type::<PyDeprecationWarning>(), &text, 1)
}

/// Adds the settings to a dictionary, by name: durations as seconds, sizes as bytes, `None` where there is none.
fn add<S: settings::Settings>(settings: &S, dict: &Bound<'_, PyDict>) -> PyResult<()> {
    let py = dict.py();
    for setting in S::TABLE {
        let value = match (setting.get)(settings) {
            Some(Value::Flag(flag)) => flag.into_bound_py_any(py)?,
            Some(Value::Number(number)) => number.into_bound_py_any(py)?,
            Some(Value::Duration(duration)) => duration.as_secs_f64().into_bound_py_any(py)?,
            Some(Value::Text(text)) => text.into_bound_py_any(py)?,
            Some(Value::List(items)) => PyTuple::new(py, items)?.into_any(),
            None if setting.kind.is_list() => PyTuple::empty(py).into_any(),
            _ => py.None().into_bound(py),
        };
        dict.set_item(setting.name, value)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_begins_anywhere_with_debug_is_for_debugging() {
        for filter in ["debug", "trace", "warn, debug", "DEBUG,hyper=info"] {
            assert!(is_debug(filter), "{filter}");
        }
        for filter in ["info", "", "warn,tower_prefork=debug"] {
            assert!(!is_debug(filter), "{filter}");
        }
    }
}
