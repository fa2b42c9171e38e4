//! The module `tower_wsgi._native`: its classes and functions.

use std::{ffi::OsString, path::Path};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use pyo3::{
    exceptions::PyValueError,
    prelude::*,
    types::{PyBytes, PyDict, PyMapping},
};
use tower_server_info::ServerResponse;

use super::{
    application,
    args::{self, Parsed, ProgramText, Serve},
    cfg::SettingsView,
    heap,
    live_server::LiveServer,
    serve::{self, ServerSetup},
    settings::Settings,
};
use crate::{LoadError, file_wrapper::FileWrapper, start_response::StartResponse};

/// The name of a server that is given none.
const DEFAULT_NAME: &str = "wsgi";

/// The native part of the package `tower_wsgi`.
#[pymodule(name = "_native")]
mod native {
    #[pymodule_export]
    use super::{
        FileWrapper, LiveServer, Server, SettingsView, StartResponse, command, flags,
        render_response, run,
    };

    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}

/// One application on its addresses, served by its own worker processes: a server of a Python program.
#[pyclass(frozen, module = "tower_wsgi")]
pub(super) struct Server {
    name: String,
    load: Py<PyAny>,
    settings: Settings,
}

#[pymethods]
impl Server {
    #[new]
    fn new(
        name: Option<String>,
        load: Py<PyAny>,
        settings: &Bound<'_, PyMapping>,
    ) -> PyResult<Self> {
        let dict = PyDict::new(settings.py());
        dict.update(settings)?;
        let settings = Settings::from_dict(&dict)?;
        Ok(Self {
            name: name
                .or_else(|| settings.name().map(str::to_owned))
                .unwrap_or_else(|| DEFAULT_NAME.to_owned()),
            load,
            settings,
        })
    }

    /// Its name.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// The settings, without those of the command line and the configuration file.
    #[getter]
    fn cfg(&self, py: Python<'_>) -> PyResult<SettingsView> {
        self.settings.view(py, &self.name)
    }
}

impl Server {
    /// The server as the program has set it up, without the command line.
    pub(super) fn setup(&self, py: Python<'_>) -> ServerSetup {
        let load = self.load.clone_ref(py);
        ServerSetup {
            name: self.name.clone(),
            settings: self.settings.clone(),
            load: Box::new({
                let name = self.name.clone();
                move |py, _| {
                    let loaded = load.call0(py);
                    loaded.map_err(|error| LoadError::new(py, &name, &error).into())
                }
            }),
            is_program: true,
        }
    }
}

/// Serves the applications of a program until it is stopped. Returns the exit code.
#[pyfunction]
#[pyo3(signature = (servers, argv, about=None, epilog=None, version=None))]
fn run(
    py: Python<'_>,
    servers: Vec<PyRef<'_, Server>>,
    argv: Option<Vec<OsString>>,
    about: Option<String>,
    epilog: Option<String>,
    version: Option<String>,
) -> PyResult<u8> {
    let program = ProgramText {
        about,
        epilog,
        version,
    };
    let defaults = servers.first().map(|server| &server.settings.program);
    let options = match argv
        .map(|argv| args::parse_options(argv, program, defaults))
        .transpose()
    {
        Ok(options) => options,
        Err(code) => return Ok(code),
    };
    // First, because the log has a thread.
    heap::keep_for_bodies();
    let mut setups = Vec::new();
    for (index, server) in servers.into_iter().enumerate() {
        let mut setup = server.setup(py);
        if let Some(options) = options.clone() {
            options.apply(&mut setup.settings);
        }
        if index == 0 {
            setup.settings.init_logging();
        } else {
            // Several servers cannot listen on one address: those of the command line belong to the first.
            setup.settings.only_own_addresses = true;
        }
        setups.push(setup);
    }
    serve::serve(py, setups)
}

/// The options that need no value.
#[pyfunction]
fn flags() -> Vec<String> {
    args::flags()
}

/// The command `tower-wsgi`. Returns the exit code.
#[pyfunction]
fn command(py: Python<'_>, argv: Vec<OsString>) -> PyResult<u8> {
    let parsed = match args::parse(argv) {
        Ok(Parsed::Serve(parsed)) => *parsed,
        Ok(Parsed::Ctl(ctl)) => return serve::control(py, &ctl),
        Err(code) => return Ok(code),
    };
    let mut settings = Settings::default();
    parsed.options.clone().apply(&mut settings);
    settings.application_args = Some(parsed.application_args.clone());
    // First, because the log has a thread.
    heap::keep_for_bodies();
    settings.init_logging();
    let Serve {
        application,
        application_args,
        ..
    } = parsed;
    let setup = ServerSetup {
        name: name(
            application.as_deref(),
            settings.command_line.server.config.as_deref(),
        ),
        settings,
        load: Box::new(move |py, config| {
            application::load(py, application.as_deref(), &application_args, config)
        }),
        is_program: false,
    };
    serve::serve(py, vec![setup])
}

/// A response that the handler makes in place of the application, as all responses of the server: `status` and
/// `message` in the format that the client accepts. Returns the `Content-Type` and the body.
#[pyfunction]
fn render_response<'py>(
    py: Python<'py>,
    status: u16,
    message: String,
    accept: &str,
) -> PyResult<(String, Bound<'py, PyBytes>)> {
    let status = StatusCode::from_u16(status)
        .map_err(|_| PyValueError::new_err(format!("{status} is not a status code")))?;
    let accept = HeaderValue::from_str(accept).ok();
    let response: Response<Bytes> = ServerResponse::new(status, message).render(accept.as_ref());
    let content_type = response.headers().get(CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let body = PyBytes::new(py, response.body());
    Ok((content_type.unwrap_or_default().to_owned(), body))
}

/// The name of the server: that of the application or, if the configuration file names the application, that of the
/// file, so that it stays the same when the file names another application.
fn name(application: Option<&str>, file: Option<&Path>) -> String {
    let stem = file.and_then(Path::file_stem);
    let stem = stem.map(|stem| stem.to_string_lossy().into_owned());
    application.map(str::to_owned).or(stem).unwrap_or_default()
}
