use std::{ffi::OsString, path::Path};

use pyo3::{
    prelude::*,
    types::{PyDict, PyMapping},
};

use super::{
    args::{self, Parsed, Serve},
    heap,
    live::LiveServer,
    place,
    serve::{self, Charge},
    settings::Settings,
};
use crate::{LoadError, file_wrapper::FileWrapper};

/// The native part of the package `tower_wsgi`.
#[pymodule(name = "_native")]
mod native {
    #[pymodule_export]
    use super::{FileWrapper, LiveServer, Server, command, run};

    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}

/// One application on its addresses, served by its own worker processes.
#[pyclass(frozen, module = "tower_wsgi")]
pub(super) struct Server {
    name: String,
    load: Py<PyAny>,
    settings: Settings,
}

#[pymethods]
impl Server {
    #[new]
    fn new(name: String, load: Py<PyAny>, settings: &Bound<'_, PyMapping>) -> PyResult<Self> {
        let dict = PyDict::new(settings.py());
        dict.update(settings)?;
        Ok(Self {
            name,
            load,
            settings: Settings::from_dict(&dict)?,
        })
    }
}

impl Server {
    /// What is to be served, as the program has set it.
    pub(super) fn charge(&self, py: Python<'_>) -> Charge {
        let load = self.load.clone_ref(py);
        Charge {
            name: self.name.clone(),
            settings: self.settings.clone(),
            load: Box::new({
                let name = self.name.clone();
                move |py, _| {
                    let loaded = load.call0(py);
                    loaded.map_err(|error| LoadError::new(py, &name, &error).into())
                }
            }),
        }
    }
}

/// Serves the applications of a program until it is stopped; gives the exit code.
#[pyfunction]
#[pyo3(signature = (servers, argv, about=None))]
fn run(
    py: Python<'_>,
    servers: Vec<PyRef<'_, Server>>,
    argv: Option<Vec<OsString>>,
    about: Option<String>,
) -> PyResult<u8> {
    let options = match argv
        .map(|argv| args::parse_options(argv, about))
        .transpose()
    {
        Ok(options) => options,
        Err(code) => return Ok(code),
    };
    // The log has a thread.
    heap::keep_for_bodies();
    let mut all = Vec::new();
    for (index, server) in servers.into_iter().enumerate() {
        let mut charge = server.charge(py);
        if let Some(options) = options.clone() {
            options.apply(&mut charge.settings);
        }
        if index == 0 {
            charge.settings.init_logging();
        } else {
            // One address cannot be that of several servers: the first has it.
            charge.settings.only_own_addresses = true;
        }
        all.push(charge);
    }
    serve::serve(py, all)
}

/// The command `tower-wsgi`; gives the exit code.
#[pyfunction]
fn command(py: Python<'_>, argv: Vec<OsString>) -> PyResult<u8> {
    let parsed = match args::parse(argv) {
        Ok(Parsed::Serve(parsed)) => *parsed,
        Ok(Parsed::Ctl(ctl)) => return serve::talk(py, &ctl),
        Err(code) => return Ok(code),
    };
    let mut settings = Settings::default();
    parsed.options.clone().apply(&mut settings);
    settings.place = Some(parsed.place.clone());
    // The log has a thread.
    heap::keep_for_bodies();
    settings.init_logging();
    let Serve {
        application, place, ..
    } = parsed;
    let charge = Charge {
        name: name(application.as_deref(), settings.given.config.as_deref()),
        settings,
        load: Box::new(move |py, config| place::load(py, application.as_deref(), &place, config)),
    };
    serve::serve(py, vec![charge])
}

/// A server has the name of its application, or else of the file that names that: it stays when the file
/// names another.
fn name(application: Option<&str>, file: Option<&Path>) -> String {
    let stem = file.and_then(Path::file_stem);
    let stem = stem.map(|stem| stem.to_string_lossy().into_owned());
    application.map(str::to_owned).or(stem).unwrap_or_default()
}
