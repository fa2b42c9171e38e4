//! Importing the application of the command `tower-wsgi`: its path, working directory, Python path and environment
//! variables, from the command line and the configuration file.

use std::{collections::BTreeMap, env, fs, io::ErrorKind, path::PathBuf};

use clap::Args;
use pyo3::{exceptions::PyModuleNotFoundError, prelude::*, types::PyList};
use serde::Deserialize;
use tower_prefork::{BoxError, Config, Server};

use crate::{LoadError, load};

/// The options of the command line for importing the application.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Application")]
pub(super) struct ApplicationArgs {
    /// Working directory, set before the application is imported [default: the current one]
    #[arg(long, value_name = "DIRECTORY")]
    pub(super) chdir: Option<PathBuf>,

    /// Directory to search for modules; can be given several times [default: none]
    #[arg(long, value_name = "DIRECTORY")]
    pub(super) pythonpath: Vec<PathBuf>,

    /// Environment variable for the application; can be given several times [default: none]
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub(super) env: Vec<(String, String)>,
}

/// `pythonpath` in the configuration file.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected a directory in quotes, or a list of them"
)]
enum Directories {
    One(PathBuf),
    Several(Vec<PathBuf>),
}

/// `env` in the configuration file: a table.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected a table of strings, such as { NAME = \"value\" }"
)]
enum Variables {
    Table(BTreeMap<String, String>),
}

/// Adds the keys of the configuration file for these options.
pub(super) fn file_keys(server: Server) -> Server {
    server
        .file_key::<String>("application")
        .file_key::<PathBuf>("chdir")
        .file_key::<Directories>("pythonpath")
        .file_key::<Variables>("env")
}

/// Imports the application in a worker. The command line takes precedence over the configuration file.
pub(super) fn load(
    py: Python<'_>,
    given: Option<&str>,
    args: &ApplicationArgs,
    config: &Config,
) -> Result<Py<PyAny>, BoxError> {
    let application = given.map(str::to_owned);
    let application = application
        .or_else(|| config.file_value("application"))
        .ok_or(
            "there is no application to serve; name it on the command line, such as \
             mysite.wsgi:application, or in the configuration file with the key \"application\"",
        )?;
    args.apply(py, config)?;
    let loaded = load::load(py, &application);
    loaded.map(Bound::unbind).map_err(|error| {
        if error.is_instance_of::<PyModuleNotFoundError>(py)
            && let Some(directory) = args.unreadable(config)
        {
            // Python skips such a directory silently.
            let directory = directory.display();
            return format!(
                "cannot load the application {application}: {error}; the worker's user has no permission to read the \
                 directory {directory}"
            )
            .into();
        }
        LoadError::new(py, &application, &error).into()
    })
}

impl ApplicationArgs {
    /// The directories to watch for changes. In the setting `watch`, `.` stands for the directory of the application,
    /// which may not be the supervisor's.
    pub(super) fn watched(&self, watch: Vec<PathBuf>, config: &Config) -> Vec<PathBuf> {
        if !matches!(&*watch, [one] if one.as_os_str() == ".") {
            return watch;
        }
        let chdir = self
            .chdir
            .clone()
            .or_else(|| config.file_value("chdir"))
            .unwrap_or_else(|| PathBuf::from("."));
        [vec![chdir], self.pythonpath(config)].concat()
    }

    fn pythonpath(&self, config: &Config) -> Vec<PathBuf> {
        if !self.pythonpath.is_empty() {
            return self.pythonpath.clone();
        }
        match config.file_value("pythonpath") {
            Some(Directories::One(directory)) => vec![directory],
            Some(Directories::Several(directories)) => directories,
            None => Vec::new(),
        }
    }

    /// The first directory of the Python path that this process has no permission to read.
    fn unreadable(&self, config: &Config) -> Option<PathBuf> {
        let current = env::current_dir().ok();
        let mut directories = current.into_iter().chain(self.pythonpath(config));
        directories.find(|directory| {
            let entries = fs::read_dir(directory);
            entries.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
        })
    }

    /// Sets the environment variables, the working directory and the Python path.
    fn apply(&self, py: Python<'_>, config: &Config) -> Result<(), BoxError> {
        let environ = py.import("os")?.getattr("environ")?;
        let in_file = config.file_value("env");
        let in_file = in_file.map(|Variables::Table(variables)| variables);
        let in_file = in_file.into_iter().flatten();
        for (name, value) in in_file.chain(self.env.iter().cloned()) {
            environ.set_item(&name, value).map_err(|error| {
                format!("cannot set the environment variable {name:?}: {error}")
            })?;
        }
        let given = self.chdir.clone().map(|directory| ("--chdir", directory));
        let in_file = || Some(("chdir", config.file_value("chdir")?));
        if let Some((setting, directory)) = given.or_else(in_file) {
            env::set_current_dir(&directory).map_err(|error| {
                let directory = directory.display();
                format!("{setting}: cannot change to the directory {directory}: {error}")
            })?;
        }
        let current = env::current_dir().map_err(|error| {
            format!(
                "the worker's user cannot read the directory in which the program was started ({error}); set another \
                 one with --chdir"
            )
        })?;
        let path = py.import("sys")?.getattr("path")?;
        let path = path.cast_into::<PyList>().map_err(PyErr::from)?;
        // As strings: Python ignores a `pathlib.Path` in `sys.path`.
        for directory in self.pythonpath(config).iter().rev() {
            path.insert(0, directory.as_os_str())?;
        }
        path.insert(0, current.into_os_string())?;
        Ok(())
    }
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}
