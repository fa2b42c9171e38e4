//! What a Python program sets for a server.

use std::{path::PathBuf, time::Duration};

use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyDict, PyString},
};
use tower_prefork::{Server, cli};

use super::args::Place;
use crate::text::type_name;

/// Threads that call the application, where nothing else is said.
const THREAD_WORKERS: usize = 5;

/// The settings of one server.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// What the program sets, in the form of the command line.
    server: cli::Args,
    /// What the command line says, which goes first, and the configuration file, which goes between.
    pub(super) given: cli::Args,
    /// Another server of the program has the addresses of the command line and the file.
    pub(super) only_own_addresses: bool,
    pub(super) script_name: String,
    pub(super) max_body: u64,
}

impl Default for Settings {
    fn default() -> Self {
        let mut server = cli::Args::default();
        server.thread_workers = Some(THREAD_WORKERS);
        Self {
            server,
            given: cli::Args::default(),
            only_own_addresses: false,
            script_name: String::new(),
            max_body: 1 << 30,
        }
    }
}

impl Settings {
    /// A server with them.
    pub(super) fn server(&self, name: &str) -> Server {
        let server = Server::new(name).args(&self.server).args(&self.given);
        if !self.only_own_addresses {
            return server;
        }
        let own = self.server.bind.clone();
        server.configure(move |config| config.bind.clone_from(&own))
    }

    /// Lets `--reload` watch where the application lives: that is not where the supervisor is.
    pub(super) fn watch(&mut self, place: &Place) {
        let given = &mut self.given;
        if given.reload && given.reload_dir.is_empty() {
            let current = || PathBuf::from(".");
            given.reload_dir = vec![place.chdir.clone().unwrap_or_else(current)];
            given.reload_dir.extend_from_slice(&place.pythonpath);
        }
    }

    /// Starts the log.
    pub(super) fn init_logging(&self) {
        self.given.init_logging_over(&self.server);
    }

    pub(super) fn from_dict(dict: &Bound<'_, PyDict>) -> PyResult<Self> {
        let mut settings = Self::default();
        for (name, value) in dict {
            let name: String = name.extract()?;
            settings.set(&name, &value).map_err(|error| {
                let py = dict.py();
                let text = format!("the setting {name}: {}", error.value(py));
                if error.is_instance_of::<PyTypeError>(py) {
                    PyTypeError::new_err(text)
                } else {
                    PyValueError::new_err(text)
                }
            })?;
        }
        Ok(settings)
    }

    fn set(&mut self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let server = &mut self.server;
        match name {
            "config" => self.given.config = Some(value.extract()?),
            "bind" => server.bind = addresses(value)?,
            "workers" => server.workers = Some(parse(value)?),
            "thread_workers" => server.thread_workers = Some(value.extract()?),
            "backlog" => server.backlog = Some(value.extract()?),
            "max_connections" => server.max_connections = Some(value.extract()?),
            "graceful_timeout" => server.graceful_timeout = Some(seconds(value)?),
            "start_timeout" => server.start_timeout = Some(seconds(value)?),
            "heartbeat_timeout" => server.heartbeat_timeout = Some(seconds(value)?),
            "shutdown_delay" => server.shutdown_delay = Some(seconds(value)?),
            "readiness_path" => server.readiness_path = Some(value.extract()?),
            "max_requests" => server.max_requests = Some(value.extract()?),
            "max_lifetime" => server.max_lifetime = Some(seconds(value)?),
            "max_rss" => server.max_rss = Some(value.extract()?),
            "pid_file" => server.pid_file = Some(value.extract()?),
            "control_socket" => server.control_socket = Some(value.extract()?),
            "tls_certificate" => server.tls_certificate = Some(value.extract()?),
            "tls_key" => server.tls_key = Some(value.extract()?),
            "user" => server.user = Some(value.str()?.to_string()),
            "group" => server.group = Some(value.str()?.to_string()),
            "umask" => server.umask = Some(value.extract()?),
            "request_timeout" => server.request_timeout = Some(seconds(value)?),
            "header_timeout" => server.header_timeout = Some(seconds(value)?),
            "keep_alive_timeout" => server.keep_alive_timeout = Some(seconds(value)?),
            "body_timeout" => server.body_timeout = Some(seconds(value)?),
            "write_timeout" => server.write_timeout = Some(seconds(value)?),
            "max_headers" => server.max_headers = Some(value.extract()?),
            "max_header_size" => server.max_header_size = Some(value.extract()?),
            "log_level" => server.log_level = Some(value.extract()?),
            "log_format" => server.log_format = Some(choice(value)?),
            "access_log" => server.access_log = Some(value.extract()?),
            "access_log_format" => server.access_log_format = Some(choice(value)?),
            "reload" => server.reload = value.extract()?,
            "reload_dir" => server.reload_dir = paths(value)?,
            "script_name" => self.script_name = value.extract()?,
            "max_body" => self.max_body = value.extract()?,
            _ => return Err(PyTypeError::new_err("there is no setting of this name")),
        }
        Ok(())
    }
}

/// One address or several; a number is a port.
fn addresses(value: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    if value.is_instance_of::<PyString>() || value.extract::<u16>().is_ok() {
        return Ok(vec![value.str()?.to_string()]);
    }
    let Ok(items) = value.try_iter() else {
        return Err(PyTypeError::new_err(format!(
            "expected an address, a port, or a list of them, not {}",
            type_name(value)
        )));
    };
    let mut addresses = Vec::new();
    for item in items {
        addresses.push(item?.str()?.to_string());
    }
    Ok(addresses)
}

/// One directory or several.
fn paths(value: &Bound<'_, PyAny>) -> PyResult<Vec<PathBuf>> {
    match value.extract() {
        Ok(path) => Ok(vec![path]),
        Err(_) => value.extract(),
    }
}

/// What has the same form on the command line.
fn parse<T>(value: &Bound<'_, PyAny>) -> PyResult<T>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    let text = value.str()?.to_string();
    text.parse()
        .map_err(|error: T::Err| PyValueError::new_err(error.to_string()))
}

fn choice<T: clap::ValueEnum>(value: &Bound<'_, PyAny>) -> PyResult<T> {
    T::from_str(&value.str()?.to_string(), true).map_err(PyValueError::new_err)
}

fn seconds(value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    let seconds: f64 = value.extract()?;
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| PyValueError::new_err("expected seconds, as in 30 or 0.5"))
}
