use std::{env, ffi::OsString};

use pyo3::{
    prelude::*,
    types::{PyDict, PyList, PyMapping},
};

use super::{
    args::{self, Parsed, Place},
    live::LiveServer,
    serve::{self, Charge},
    settings::Settings,
};
use crate::{file_wrapper::FileWrapper, load};

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
            load: Box::new(move |py| load.call0(py)),
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
    parsed.options.apply(&mut settings);
    settings.watch(&parsed.place);
    settings.init_logging();
    let (application, place) = (parsed.application.clone(), parsed.place);
    let charge = Charge {
        name: parsed.application,
        settings,
        load: Box::new(move |py| {
            enter(py, &place)?;
            load::load(py, &application).map(Bound::unbind)
        }),
    };
    serve::serve(py, vec![charge])
}

/// Makes the application's surroundings what the options say.
fn enter(py: Python<'_>, place: &Place) -> PyResult<()> {
    let environ = py.import("os")?.getattr("environ")?;
    for (name, value) in &place.env {
        environ.set_item(name, value)?;
    }
    if let Some(directory) = &place.chdir {
        env::set_current_dir(directory).map_err(|error| {
            let directory = directory.display();
            pyo3::exceptions::PyOSError::new_err(format!("cannot go to {directory}: {error}"))
        })?;
    }
    let path = py.import("sys")?.getattr("path")?.cast_into::<PyList>()?;
    // As text: what is a `pathlib.Path` there is not looked at.
    for directory in place.pythonpath.iter().rev() {
        path.insert(0, directory.as_os_str())?;
    }
    path.insert(0, env::current_dir()?.into_os_string())?;
    Ok(())
}
