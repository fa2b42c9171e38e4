//! What a Python program sets for a server.

use std::{path::PathBuf, time::Duration};

use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyDict, PyString},
};
use tower_prefork::{Config, Server, cli};

use super::{
    application::{self, ApplicationArgs},
    tips,
    wsgi::{self, Wsgi, WsgiConfig},
};
use crate::exception::type_name;

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
    wsgi: Wsgi,
    pub(super) given_wsgi: Wsgi,
    /// How the command imports its application.
    pub(super) application_args: Option<ApplicationArgs>,
}

impl Default for Settings {
    fn default() -> Self {
        let mut server = cli::Args::default();
        server.thread_workers = Some(THREAD_WORKERS);
        Self {
            server,
            given: cli::Args::default(),
            only_own_addresses: false,
            wsgi: Wsgi::default(),
            given_wsgi: Wsgi::default(),
            application_args: None,
        }
    }
}

impl Settings {
    /// A server with them.
    pub(super) fn server(&self, name: &str) -> Server {
        let server = Server::new(name).args(&self.server).args(&self.given);
        let mut server = wsgi::file_keys(server);
        if let Some(args) = &self.application_args {
            server = application::file_keys(server);
            let args = args.clone();
            server = server.configure(move |config| {
                config.watch = args.watched(std::mem::take(&mut config.watch), config);
            });
        }
        if self.only_own_addresses {
            let own = self.server.bind.clone();
            server = server.configure(move |config| config.bind.clone_from(&own));
        }
        server
    }

    /// What holds for the WSGI part of a server, of which the file says this.
    pub(super) fn wsgi(&self, config: &Config) -> WsgiConfig {
        WsgiConfig::new(&self.given_wsgi, config, &self.wsgi)
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
            "graceful_timeout" => server.graceful_timeout = Some(duration(value)?),
            "start_timeout" => server.start_timeout = Some(duration(value)?),
            "heartbeat_timeout" => server.heartbeat_timeout = Some(duration(value)?),
            "shutdown_delay" => server.shutdown_delay = Some(duration(value)?),
            "readiness_path" => server.readiness_path = Some(value.extract()?),
            "max_requests" => server.max_requests = Some(value.extract()?),
            "max_lifetime" => server.max_lifetime = Some(duration(value)?),
            "max_rss" => server.max_rss = Some(size(value)?),
            "pid_file" => server.pid_file = Some(value.extract()?),
            "control_socket" => server.control_socket = Some(value.extract()?),
            "tls_certificate" => server.tls_certificate = Some(value.extract()?),
            "tls_key" => server.tls_key = Some(value.extract()?),
            "user" => server.user = Some(value.str()?.to_string()),
            "group" => server.group = Some(value.str()?.to_string()),
            "umask" => server.umask = Some(mode(value)?),
            "socket_mode" => server.socket_mode = Some(mode(value)?),
            "request_timeout" => server.request_timeout = Some(duration(value)?),
            "header_timeout" => server.header_timeout = Some(duration(value)?),
            "keep_alive_timeout" => server.keep_alive_timeout = Some(duration(value)?),
            "body_timeout" => server.body_timeout = Some(duration(value)?),
            "write_timeout" => server.write_timeout = Some(duration(value)?),
            "max_headers" => server.max_headers = Some(value.extract()?),
            "max_header_size" => server.max_header_size = Some(size(value)?),
            "log_file" => server.log_file = Some(value.extract()?),
            "log_level" => {
                let level: String = value.extract()?;
                cli::log_level(&level).map_err(PyValueError::new_err)?;
                server.log_level = Some(level);
            }
            "log_format" => server.log_format = Some(choice(value)?),
            "access_log" => server.access_log = Some(value.extract()?),
            "access_log_format" => server.access_log_format = Some(choice(value)?),
            "reload" => server.reload = value.extract()?,
            "reload_dir" => server.reload_dir = paths(value)?,
            "script_name" => self.wsgi.script_name = Some(value.extract()?),
            "max_body" => self.wsgi.max_body = Some(size(value)?),
            "max_spooled" => self.wsgi.max_spooled = Some(size(value)?),
            "max_spooled_response" => self.wsgi.max_spooled_response = Some(size(value)?),
            "max_spooled_bodies" => self.wsgi.max_spooled_bodies = Some(size(value)?),
            "strict" => self.wsgi.strict = Some(value.extract()?),
            _ => {
                let option = format!("--{}", name.replace('_', "-"));
                let mut problem = "there is no setting of this name".to_owned();
                if let Some(tip) = tips::tip(&option) {
                    problem = format!("{problem}; {tip}");
                }
                return Err(PyTypeError::new_err(problem));
            }
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

/// Seconds as a number, or a text with a unit.
fn duration(value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    let text = if value.is_instance_of::<PyString>() {
        value.str()?.to_string()
    } else {
        value.extract::<f64>()?.to_string()
    };
    cli::seconds(&text).map_err(PyValueError::new_err)
}

/// A number, which Python writes as `0o660`, or a text in octal.
fn mode(value: &Bound<'_, PyAny>) -> PyResult<u32> {
    if value.is_instance_of::<PyString>() {
        return cli::mode(&value.str()?.to_string()).map_err(PyValueError::new_err);
    }
    value.extract()
}

/// Bytes as a number, or a text with a unit.
fn size<T: TryFrom<u64>>(value: &Bound<'_, PyAny>) -> PyResult<T> {
    let bytes = if value.is_instance_of::<PyString>() {
        cli::size(&value.str()?.to_string()).map_err(PyValueError::new_err)?
    } else {
        value.extract()?
    };
    T::try_from(bytes).map_err(|_| PyValueError::new_err("this size is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_watched_is_where_the_application_lives() {
        let watched = |watch: &[&str], chdir: Option<&str>| {
            let args = ApplicationArgs {
                chdir: chdir.map(Into::into),
                pythonpath: vec!["y".into()],
                ..ApplicationArgs::default()
            };
            let watch: Vec<_> = watch.iter().map(PathBuf::from).collect();
            args.watched(watch, &Config::default())
        };
        let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(watched(&[], Some("x")), paths(&[]));
        assert_eq!(watched(&["."], None), paths(&[".", "y"]));
        assert_eq!(watched(&["."], Some("x")), paths(&["x", "y"]));
        assert_eq!(watched(&["z"], Some("x")), paths(&["z"]));
    }
}
