//! The settings of one server: those of a Python program, of the command line, and of the configuration file.

use std::{ffi::CString, path::PathBuf};

use clap::Args;
use pyo3::{
    exceptions::{PyDeprecationWarning, PyTypeError, PyValueError, PyWarning},
    prelude::*,
    types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple},
};
use tower_prefork::{
    Config, ProgramConfig, Server, cli,
    settings::{self, Kind, Overrides, RawValue, Setting, Settings as _, Value},
};

use super::{
    application::{self, ApplicationArgs},
    cfg::SettingsView,
    pulsar_settings::{self, Counterpart, LOG_LEVEL},
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
    pub(super) program: Options,
    /// The name of the server, where that is one of the settings.
    name: Option<String>,
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
            name: None,
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

    /// The name of the server, if the settings have one.
    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The settings of the program, without those of the command line and the file.
    pub(super) fn view(&self, py: Python<'_>, name: &str) -> PyResult<SettingsView> {
        let mut server = Config::default();
        self.program.server.server.apply(&mut server);
        let mut program = ProgramConfig::default();
        self.program.server.program.apply(&mut program);
        let mut wsgi = WsgiConfig::default();
        self.program.wsgi.apply(&mut wsgi);
        SettingsView::new(py, name, &server, &program, &wsgi)
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
                // Where the program has made warnings errors.
                if error.is_instance_of::<PyWarning>(py) {
                    return error;
                }
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

    /// Gives a setting a value, by its name here or in pulsar.
    fn set(&mut self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = value.py();
        match pulsar_settings::find(name) {
            None => self.set_own(name, value),
            Some(Counterpart::Setting(ours)) => {
                let text = format!("the setting {name} of pulsar is {ours} here");
                let warning = py.get_type::<PyDeprecationWarning>();
                // Of the frame that has created the server: the one above is in this package.
                PyErr::warn(py, &warning, &CString::new(text)?, 2)?;
                self.set_own(ours, value)
            }
            Some(Counterpart::DebugFlag) if value.is_truthy()? => {
                self.set_own(LOG_LEVEL, PyString::new(py, "debug").as_any())
            }
            Some(Counterpart::Missing { default, instead })
                if value.is_truthy()? && !value.eq(default)? =>
            {
                Err(PyTypeError::new_err(format!(
                    "there is none here: {instead}"
                )))
            }
            Some(Counterpart::DebugFlag | Counterpart::Missing { .. }) => Ok(()),
        }
    }

    fn set_own(&mut self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        match name {
            "config" if value.str()?.to_string_lossy().ends_with(".py") => {
                return Err(PyValueError::new_err(
                    "expected a TOML file; write the settings of a Python file there, or pass them as keywords",
                ));
            }
            "config" => {
                self.command_line.server.config = Some(value.extract()?);
                return Ok(());
            }
            "name" => {
                self.name = Some(value.extract()?);
                return Ok(());
            }
            _ => {}
        }
        // As pulsar has them.
        let (pair, list);
        let value = match name {
            "bind" => {
                pair = addresses(value)?;
                pair.as_ref().unwrap_or(value)
            }
            LOG_LEVEL => {
                list = joined(value)?;
                list.as_ref().unwrap_or(value)
            }
            _ => value,
        };
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

/// The addresses in the forms of pulsar, and of sockets in Python: a text with commas, a tuple of host and port, and a
/// list of such tuples.
fn addresses<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = value.py();
    if let Ok(tuple) = value.cast::<PyTuple>() {
        let Ok((host, port)) = tuple.extract::<(String, u16)>() else {
            return Ok(None);
        };
        let address = match host.contains(':') {
            true if !host.starts_with('[') => format!("[{host}]:{port}"),
            _ => format!("{host}:{port}"),
        };
        return Ok(Some(PyString::new(py, &address).into_any()));
    }
    if let Ok(text) = value.cast::<PyString>()
        && text.contains(",")?
    {
        return Ok(Some(text.call_method1("split", (",",))?));
    }
    let Ok(list) = value.cast::<PyList>() else {
        return Ok(None);
    };
    let texts = PyList::empty(py);
    for item in list {
        texts.append(addresses(&item)?.unwrap_or(item))?;
    }
    Ok(Some(texts.into_any()))
}

/// A filter of the log from a list of levels.
fn joined<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    if !value.is_instance_of::<PyList>() && !value.is_instance_of::<PyTuple>() {
        return Ok(None);
    }
    let levels: Vec<String> = value.extract()?;
    Ok(Some(
        PyString::new(value.py(), &levels.join(",")).into_any(),
    ))
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
