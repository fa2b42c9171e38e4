//! Directories of files that the server itself serves: [`StaticFiles`].

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::settings::{Field, Value};

/// A directory whose files the server itself serves, on the event loop and without the service.
///
/// ```
/// # let mut config = tower_prefork::Config::default();
/// use tower_prefork::StaticFiles;
///
/// config.static_files.push(StaticFiles::new("/static", "/srv/shop/static"));
/// ```
///
/// tower-http's `ServeDir` serves `GET` and `HEAD`: ranges, conditional requests, `ETag` and `Last-Modified`. A file
/// `a.css.zst`, `a.css.br` or `a.css.gz` is sent in place of `a.css` to a client that accepts its coding. Where the paths of several directories match, the longest
/// one counts.
///
/// Only what is inside of the directory is served: a symbolic link that leads out of it, or that is absolute, is no
/// file. A directory is no file either, so there are no listings and no index pages. What happens then is
/// [`Config::static_not_found`](crate::Config::static_not_found).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticFiles {
    path: String,
    directory: PathBuf,
}

impl StaticFiles {
    /// The files in `directory`, under `path`: "/static", or "/" for all paths.
    #[must_use]
    pub fn new(path: impl Into<String>, directory: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            directory: directory.into(),
        }
    }

    /// The path under which the files are served.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The directory of the files.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What the path of a request begins with, before the "/" of a file's name.
    pub(crate) fn prefix(&self) -> &str {
        self.path.trim_end_matches('/')
    }

    /// Whether it can be served. The error is a sentence for the operator.
    fn check(&self) -> Result<(), String> {
        let Self { path, directory } = self;
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"%?#\\\"".contains(&byte);
        let mut segments = self.prefix().split('/');
        if !path.starts_with('/')
            || !path.bytes().all(is_plain)
            || path.contains("//")
            || segments.any(|segment| matches!(segment, "." | ".."))
        {
            return Err(format!(
                "{path:?} is no path of a URL; choose one such as \"/static\""
            ));
        }
        let shown = directory.display();
        match fs::metadata(directory) {
            Ok(metadata) if metadata.is_dir() => Ok(()),
            Ok(_) => Err(format!("{shown} is no directory")),
            Err(error) => Err(format!("cannot use the directory {shown}: {error}")),
        }
    }
}

impl Field for StaticFiles {
    fn from_value(value: Value) -> Result<Self, String> {
        let text = String::from_value(value)?;
        match text.split_once('=') {
            Some((path, directory)) if !directory.is_empty() => Ok(Self::new(path, directory)),
            _ => Err("expected PATH=DIRECTORY, such as /static=static".into()),
        }
    }

    fn to_value(&self) -> Option<Value> {
        let Self { path, directory } = self;
        Some(Value::Text(format!("{path}={}", directory.display())))
    }
}

/// Checks the directories of a server together.
pub(super) fn check(value: &Value) -> Result<(), String> {
    let all = Vec::<StaticFiles>::from_value(value.clone())?;
    for (number, files) in all.iter().enumerate() {
        files.check()?;
        if all[..number]
            .iter()
            .any(|other| other.prefix() == files.prefix())
        {
            let path = files.path();
            return Err(format!("give one directory for {path}, not two"));
        }
    }
    Ok(())
}

/// What happens to a `GET` or `HEAD` under the path of [`StaticFiles`] for which there is no file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StaticNotFound {
    /// The service gets it.
    #[default]
    Application,
    /// The client gets 404; any other method gets 405.
    Refuse,
}

/// The ways by their names.
pub(super) const NOT_FOUND: &[(&str, &str)] = &[
    ("application", "The application gets the request"),
    (
        "404",
        "The client gets 404, or 405 for another method than GET and HEAD",
    ),
];

impl Field for StaticNotFound {
    fn from_value(value: Value) -> Result<Self, String> {
        Ok(match String::from_value(value)?.as_str() {
            "404" => Self::Refuse,
            _ => Self::Application,
        })
    }

    fn to_value(&self) -> Option<Value> {
        let name = match self {
            Self::Application => "application",
            Self::Refuse => "404",
        };
        Some(Value::Text(name.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, settings::Settings};

    fn problem(files: Vec<StaticFiles>) -> Option<String> {
        let config = Config {
            static_files: files,
            ..Config::default()
        };
        config.check().err().map(|invalid| invalid.problem)
    }

    #[test]
    fn a_directory_is_checked_at_the_start() {
        let directory = tempfile::tempdir().unwrap();
        let here = directory.path().display().to_string();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        for path in ["/", "/static", "/static/", "/a/b.c"] {
            assert_eq!(problem(vec![StaticFiles::new(path, &here)]), None, "{path}");
        }
        for path in [
            "", "static", "//", "/a//b", "/a/../b", "/.", "/a b", "/%61", "/é", "/a?b",
        ] {
            let problem = problem(vec![StaticFiles::new(path, &here)]).unwrap();
            assert!(
                problem.contains("is no path of a URL; choose one such as \"/static\""),
                "{problem}"
            );
        }
        let missing = problem(vec![StaticFiles::new("/a", "/missing")]).unwrap();
        assert_eq!(
            missing,
            "static is [\"/a=/missing\"]: cannot use the directory /missing: No such file or directory (os error 2)"
        );
        let no_directory = problem(vec![StaticFiles::new("/a", &file)]).unwrap();
        assert!(
            no_directory.ends_with("file is no directory"),
            "{no_directory}"
        );
        let twice = ["/a", "/b", "/a/"].map(|path| StaticFiles::new(path, &here));
        let twice = problem(twice.into()).unwrap();
        assert!(
            twice.ends_with(": give one directory for /a/, not two"),
            "{twice}"
        );
    }

    #[test]
    fn it_is_written_as_a_path_and_a_directory() {
        let setting = Config::find("static").unwrap();
        let mut config = Config::default();
        (setting.set)(&mut config, setting.parse("/a=b=c,/=d").unwrap()).unwrap();
        let expected = [StaticFiles::new("/a", "b=c"), StaticFiles::new("/", "d")];
        assert_eq!(config.static_files, expected);
        assert_eq!(config.static_files[1].prefix(), "");
        for text in ["/static", "/static="] {
            let error = setting.parse(text).unwrap_err();
            assert_eq!(error, "expected PATH=DIRECTORY, such as /static=static");
        }
    }
}
