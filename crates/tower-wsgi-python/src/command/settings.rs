//! The settings of one server: those of a Python program, of the command line, and of the configuration file.

use std::path::PathBuf;

use clap::Args;
use pyo3::{
    IntoPyObjectExt as _,
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyBool, PyDict, PyFloat, PyInt, PyString},
};
use tower_prefork::{
    Config, ProgramConfig, Server, cli,
    settings::{self, Kind, Overrides, RawValue, Setting, Settings as _, Value},
};

use super::{
    application::{self, ApplicationArgs},
    tips,
    wsgi_config::WsgiConfig,
};
use crate::exception::type_name;

/// The default number of threads that call the application.
pub(super) const THREAD_WORKERS: u64 = 5;

/// The options of every server.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Options {
    #[command(flatten)]
    pub(super) server: cli::Args,

    #[command(flatten)]
    pub(super) wsgi: Overrides<WsgiConfig>,
}

impl Options {
    /// Sets these options as those of the command line. Without a configuration file, that of the program stays.
    pub(super) fn apply(self, settings: &mut Settings) {
        let file = settings.command_line.server.config.take();
        settings.command_line = self;
        let config = &mut settings.command_line.server.config;
        *config = config.take().or(file);
    }
}

/// Where the settings of one server come from.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// The settings of the program.
    program: Options,
    /// The command line, which overrides the configuration file, which overrides the program.
    pub(super) command_line: Options,
    /// Whether to ignore the addresses of the command line and the file, which belong to another server.
    pub(super) only_own_addresses: bool,
    /// How the command imports its application.
    pub(super) application_args: Option<ApplicationArgs>,
}

impl Default for Settings {
    fn default() -> Self {
        let mut program = Options::default();
        if let Some(setting) = Config::find("thread_workers") {
            let threads = Value::Number(THREAD_WORKERS);
            program.server.server.insert(setting, threads);
        }
        Self {
            program,
            command_line: Options::default(),
            only_own_addresses: false,
            application_args: None,
        }
    }
}

impl Settings {
    /// A server with them.
    pub(super) fn server(&self, name: &str) -> Server {
        let server = Server::new(name)
            .args(&self.program.server)
            .args(&self.command_line.server);
        let mut server = server.file_settings::<WsgiConfig>();
        if let Some(args) = &self.application_args {
            server = application::file_keys(server);
            let args = args.clone();
            server = server.configure(move |config| {
                config.watch = args.watched(std::mem::take(&mut config.watch), config);
            });
        }
        if self.only_own_addresses {
            let mut own = Config::default();
            self.program.server.server.apply(&mut own);
            server = server.configure(move |config| config.bind.clone_from(&own.bind));
        }
        server
    }

    /// The settings of the WSGI part of a server; `file` has those of the configuration file.
    pub(super) fn wsgi(&self, file: &Config) -> WsgiConfig {
        let mut config = WsgiConfig::default();
        self.program.wsgi.apply(&mut config);
        file.file_settings().apply(&mut config);
        self.command_line.wsgi.apply(&mut config);
        config
    }

    /// Starts the log.
    pub(super) fn init_logging(&self) {
        self.command_line
            .server
            .init_logging_over(&self.program.server);
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
        if name == "config" {
            self.command_line.server.config = Some(value.extract()?);
            return Ok(());
        }
        let Options { server, wsgi } = &mut self.program;
        let is_known = give(&mut server.server, name, value)?
            || give(&mut server.program, name, value)?
            || give(wsgi, name, value)?;
        if is_known {
            return Ok(());
        }
        let problem = "there is no setting of this name";
        Err(PyTypeError::new_err(
            match (
                tips::tip(&format!("--{}", name.replace('_', "-"))),
                nearest(name),
            ) {
                (Some(tip), _) => format!("{problem}; {tip}"),
                (None, Some(nearest)) => format!("{problem}; did you mean {nearest}?"),
                (None, None) => problem.to_owned(),
            },
        ))
    }
}

/// The setting with the most similar name.
fn nearest(name: &str) -> Option<&'static str> {
    let server = Config::TABLE.iter().map(|setting| setting.name);
    let program = ProgramConfig::TABLE.iter().map(|setting| setting.name);
    let wsgi = WsgiConfig::TABLE.iter().map(|setting| setting.name);
    settings::nearest(name, server.chain(program).chain(wsgi).chain(["config"]))
}

/// Gives the setting of this name a value. Returns whether there is one.
fn give<S: settings::Settings>(
    overrides: &mut Overrides<S>,
    name: &str,
    value: &Bound<'_, PyAny>,
) -> PyResult<bool> {
    let Some(setting) = S::find(name) else {
        return Ok(false);
    };
    overrides.insert(setting, read(setting, value)?);
    Ok(true)
}

fn read<S: settings::Settings>(
    setting: &'static Setting<S>,
    value: &Bound<'_, PyAny>,
) -> PyResult<Value> {
    let raw_value = raw_value(&setting.kind, value)?;
    let is_other = raw_value == RawValue::Other;
    setting.read(raw_value).map_err(|error| {
        if is_other {
            PyTypeError::new_err(format!("{error}, not {}", type_name(value)))
        } else {
            PyValueError::new_err(error)
        }
    })
}

/// A value of Python, as settings read it.
fn raw_value(kind: &Kind, value: &Bound<'_, PyAny>) -> PyResult<RawValue> {
    if value.is_instance_of::<PyString>() {
        return Ok(RawValue::Text(value.extract()?));
    }
    if value.is_instance_of::<PyBool>() {
        return Ok(RawValue::Flag(value.extract()?));
    }
    if value.is_instance_of::<PyInt>() {
        return Ok(match (value.extract(), kind) {
            // A number such as `0o660` is an integer like any other.
            (Ok(number), Kind::Mode) => RawValue::Octal(number),
            (Ok(number), _) => RawValue::Integer(number),
            (Err(_), _) => RawValue::OtherNumber(value.str()?.to_string()),
        });
    }
    if value.is_instance_of::<PyFloat>() {
        // In Rust's format, which has no exponent.
        return Ok(RawValue::OtherNumber(value.extract::<f64>()?.to_string()));
    }
    if let Ok(path) = value.extract::<PathBuf>() {
        return Ok(match path.into_os_string().into_string() {
            Ok(path) => RawValue::Text(path),
            Err(_) => return Err(PyValueError::new_err("expected a path in UTF-8")),
        });
    }
    if kind.is_list()
        && let Ok(items) = value.try_iter()
    {
        let items = items.map(|item| raw_value(kind, &item?));
        return Ok(RawValue::List(items.collect::<PyResult<_>>()?));
    }
    Ok(RawValue::Other)
}

/// Adds the settings to a dictionary, by name: durations as seconds, sizes as bytes, `None` where there is none.
pub(super) fn add_to_dict<S: settings::Settings>(
    settings: &S,
    dict: &Bound<'_, PyDict>,
) -> PyResult<()> {
    let py = dict.py();
    for setting in S::TABLE {
        let value = match (setting.get)(settings) {
            Some(Value::Flag(flag)) => flag.into_bound_py_any(py)?,
            Some(Value::Number(number)) => number.into_bound_py_any(py)?,
            Some(Value::Duration(duration)) => duration.as_secs_f64().into_bound_py_any(py)?,
            Some(Value::Text(text)) => text.into_bound_py_any(py)?,
            Some(Value::List(items)) => items.into_bound_py_any(py)?,
            None if setting.kind.is_list() => Vec::<String>::new().into_bound_py_any(py)?,
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

    fn wsgi(values: &[(&str, &str)]) -> Overrides<WsgiConfig> {
        let mut overrides = Overrides::default();
        for (name, text) in values {
            let setting = WsgiConfig::find(name).unwrap();
            overrides.insert(setting, setting.parse(text).unwrap());
        }
        overrides
    }

    #[test]
    fn the_command_line_overrides_the_program() {
        let mut settings = Settings::default();
        settings.program.wsgi = wsgi(&[
            ("script_name", "/a"),
            ("max_body", "1"),
            ("strict", "true"),
            ("max_spooled", "3"),
        ]);
        settings.command_line.wsgi = wsgi(&[("max_body", "2")]);
        let config = settings.wsgi(&Config::default());
        assert_eq!((&*config.script_name, config.max_body), ("/a", 2));
        assert_eq!(
            (config.max_spooled, config.max_spooled_bodies),
            (3, 4 << 30)
        );
        assert!(config.strict);
        settings.command_line.wsgi = wsgi(&[("strict", "false")]);
        assert!(!settings.wsgi(&Config::default()).strict);
        let config = Settings::default().wsgi(&Config::default());
        assert_eq!((&*config.script_name, config.max_body), ("", 1 << 30));
    }

    #[test]
    fn a_slip_is_recognised() {
        assert_eq!(nearest("thread_wokers"), Some("thread_workers"));
        assert_eq!(nearest("max_boddy"), Some("max_body"));
        assert_eq!(nearest("pidfile"), Some("pid_file"));
        assert_eq!(nearest("nonsense"), None);
    }
}
