//! Errors of an application that cannot be loaded, and suggestions of what the user may have meant.

use std::{error::Error, fmt};

use pyo3::{
    exceptions::{PyAttributeError, PyImportError, PySyntaxError, PyTypeError, PyValueError},
    prelude::*,
};

use crate::exception::traceback;

/// The error of an application that cannot be loaded: one sentence, and the traceback if its module failed.
#[derive(Debug)]
pub struct LoadError {
    text: String,
}

impl LoadError {
    pub(crate) fn new(py: Python<'_>, path: &str, error: &PyErr) -> Self {
        let mut text = format!("cannot load the application {path}: ");
        // A syntax error has no frame, but its own position.
        let has_position =
            error.traceback(py).is_some() || error.is_instance_of::<PySyntaxError>(py);
        if !has_position {
            text.push_str(&sentence(py, error));
            return Self { text };
        }
        let error_text = error.to_string();
        text.push_str(&error_text);
        if let Ok(trace) = traceback(py, error) {
            // The last line repeats the error; that of a syntax error lacks its position.
            let trace = trace.trim_end();
            let end = trace.rfind('\n').unwrap_or(0);
            let last = trace[end..].trim_start();
            let trace = if !last.is_empty() && error_text.starts_with(last) {
                &trace[..end]
            } else {
                trace
            };
            text.push('\n');
            text.push_str(trace);
        }
        Self { text }
    }

    /// The application was loaded, but this server cannot run it.
    pub(crate) fn refused(path: &str, reason: &str) -> Self {
        Self {
            text: format!("cannot serve the application {path}: {reason}"),
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for LoadError {}

/// The text of an error that the application's code has not raised. The kinds that this crate raises have a sentence as
/// their message, which needs no type in front of it.
fn sentence(py: Python<'_>, error: &PyErr) -> String {
    let is_sentence = error.is_instance_of::<PyTypeError>(py)
        || error.is_instance_of::<PyValueError>(py)
        || error.is_instance_of::<PyAttributeError>(py)
        || error.is_instance_of::<PyImportError>(py);
    if is_sentence {
        error.value(py).to_string()
    } else {
        error.to_string()
    }
}

/// The usual names of applications and their factories.
const USUAL_NAMES: [&str; 6] = [
    "application",
    "app",
    "create_app",
    "make_app",
    "wsgi_app",
    "wsgi",
];

/// `; did you mean "app"?`, if the module has a similar name, or a usual one.
pub(crate) fn did_you_mean(module: &Bound<'_, PyModule>, name: &str) -> String {
    let similar = similar_names(module, name).unwrap_or_default();
    if similar.is_empty() {
        return String::new();
    }
    let names: Vec<_> = similar.iter().map(|name| format!("{name:?}")).collect();
    format!("; did you mean {}?", names.join(" or "))
}

fn similar_names(module: &Bound<'_, PyModule>, name: &str) -> PyResult<Vec<String>> {
    let py = module.py();
    let names: Vec<String> = module.dir()?.extract()?;
    let names: Vec<_> = names
        .into_iter()
        .filter(|name| !name.starts_with('_'))
        .collect();
    let difflib = py.import("difflib")?;
    let close: Vec<String> = difflib
        .call_method1("get_close_matches", (name, names.clone()))?
        .extract()?;
    if !close.is_empty() {
        return Ok(close);
    }
    let usual = USUAL_NAMES.iter().map(|name| (*name).to_owned());
    Ok(usual.filter(|name| names.contains(name)).collect())
}

/// The path of an application that was given by a file name; `None` for any other path.
pub(crate) fn path_of_file(path: &str) -> Option<String> {
    let (module, callable) = match path.split_once(':') {
        Some((module, callable)) => (module, format!(":{callable}")),
        None => (path, String::new()),
    };
    if !module.ends_with(".py") && !module.contains('/') {
        return None;
    }
    let stem = module.strip_suffix(".py").unwrap_or(module);
    let stem = stem.trim_start_matches("./");
    let is_below = !stem.starts_with('/') && !stem.split('/').any(|part| part == "..");
    Some(match stem.rsplit_once('/') {
        Some((directory, name)) if !is_below => {
            format!("--chdir {directory} {name}{callable}")
        }
        _ => format!("{}{callable}", stem.replace('/', ".")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_becomes_the_path_of_its_module() {
        for (given, path) in [
            ("a.py", "a"),
            ("a.py:app", "a:app"),
            ("./a.py:app", "a:app"),
            ("shop/web.py:create_app()", "shop.web:create_app()"),
            ("shop/web:app", "shop.web:app"),
            ("/srv/shop/web.py:app", "--chdir /srv/shop web:app"),
            ("../web.py:app", "--chdir .. web:app"),
        ] {
            assert_eq!(path_of_file(given).as_deref(), Some(path), "{given}");
        }
        for given in [
            "a",
            "a:app",
            "a.b:app",
            "a:create_app('x.py')",
            "a:f('/tmp')",
        ] {
            assert_eq!(path_of_file(given), None, "{given}");
        }
    }
}
