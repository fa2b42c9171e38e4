//! Where an application is: `module:callable`.

use std::{env, error::Error, ffi::CString, fmt};

use pyo3::{
    exceptions::{
        PyAttributeError, PyImportError, PyModuleNotFoundError, PySyntaxError, PyTypeError,
        PyValueError,
    },
    prelude::*,
    types::{PyDict, PyTuple},
};

use crate::{
    failure::traceback,
    near::{did_you_mean, module_of_file},
};

/// Why an application cannot be loaded: a sentence, and the traceback where its module failed.
#[derive(Debug)]
pub struct LoadError {
    text: String,
}

impl LoadError {
    pub(crate) fn new(py: Python<'_>, place: &str, error: &PyErr) -> Self {
        let mut text = format!("cannot load the application {place}: ");
        // A syntax error has no frame, but a place of its own.
        let has_place = error.traceback(py).is_some() || error.is_instance_of::<PySyntaxError>(py);
        if !has_place {
            text.push_str(&sentence(py, error));
            return Self { text };
        }
        let error_text = error.to_string();
        text.push_str(&error_text);
        if let Ok(trace) = traceback(py, error) {
            // The last line says the error again, for a syntax error without its place.
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

    /// It was loaded, but cannot be served.
    pub(crate) fn refused(place: &str, reason: &str) -> Self {
        Self {
            text: format!("cannot serve the application {place}: {reason}"),
        }
    }
}

/// An error that no code of the application's has raised. What the kinds say that are raised for want of an
/// application is a sentence.
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

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for LoadError {}

const EXPECTED: &str =
    "expected a name after the colon, or a call of one, as in mysite:create_app()";

/// Imports `module:name`, `module:name.of.an.attribute` or `module:factory('with', literals=1)`; without a
/// name it is `application`.
pub(crate) fn load<'py>(py: Python<'py>, place: &str) -> PyResult<Bound<'py, PyAny>> {
    let (module, expression) = place.split_once(':').unwrap_or((place, "application"));
    if module.is_empty() || module.starts_with('.') {
        return Err(PyValueError::new_err(match module_of_file(place) {
            Some(right) => is_a_file(module, &right),
            None => "expected MODULE:CALLABLE, as in mysite.wsgi:application".to_owned(),
        }));
    }
    let module = py
        .import(module)
        .map_err(|error| not_found(py, place, module, error))?;
    let expression = expression.trim();
    // Python's parser brings much along, which every worker would import and keep.
    if expression.split('.').all(is_name) {
        return find_dotted(&module, expression);
    }
    let ast = py.import("ast")?;
    let tree = ast.call_method("parse", (expression,), Some(&mode(py)?));
    let tree = tree.map_err(|_| PyValueError::new_err(EXPECTED))?;
    let node = tree.getattr("body")?;
    if node.is_instance(&ast.getattr("Call")?)? {
        let factory = find(&module, &ast, &node.getattr("func")?)?;
        let literal = |node: &Bound<'py, PyAny>| {
            let value = ast.call_method1("literal_eval", (node,));
            value.map_err(|_| {
                PyValueError::new_err(format!("the arguments in {expression} must be literals"))
            })
        };
        let mut arguments = Vec::new();
        for node in node.getattr("args")?.try_iter()? {
            arguments.push(literal(&node?)?);
        }
        let keywords = PyDict::new(py);
        for keyword in node.getattr("keywords")?.try_iter()? {
            let keyword = keyword?;
            keywords.set_item(
                keyword.getattr("arg")?,
                literal(&keyword.getattr("value")?)?,
            )?;
        }
        return factory.call(PyTuple::new(py, arguments)?, Some(&keywords));
    }
    find(&module, &ast, &node)
}

/// The error, or a sentence where it is the application's own module that is not there.
fn not_found(py: Python<'_>, place: &str, module: &str, error: PyErr) -> PyErr {
    // An import within the module has a traceback.
    if !error.is_instance_of::<PyModuleNotFoundError>(py) || error.traceback(py).is_some() {
        return error;
    }
    if let Some(right) = module_of_file(place) {
        return PyImportError::new_err(is_a_file(module, &right));
    }
    let missing = error.value(py).getattr("name");
    let missing = missing.map_or_else(|_| module.to_owned(), |name| name.to_string());
    let directory = env::current_dir().unwrap_or_default();
    PyModuleNotFoundError::new_err(format!(
        "there is no module {missing:?} in {} or elsewhere on Python's path; set it with --chdir or \
         --pythonpath",
        directory.display()
    ))
}

fn is_a_file(module: &str, right: &str) -> String {
    format!("{module:?} is a file, and an application is named by its module: write {right}")
}

fn mode(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let mode = PyDict::new(py);
    mode.set_item("mode", "eval")?;
    Ok(mode)
}

fn is_name(text: &str) -> bool {
    let mut characters = text.chars();
    let is_start = |character: char| character.is_ascii_alphabetic() || character == '_';
    characters.next().is_some_and(is_start)
        && characters.all(|character| is_start(character) || character.is_ascii_digit())
}

/// A name of the module, or an attribute of one: `name.of.an.attribute`.
fn find_dotted<'py>(module: &Bound<'py, PyModule>, path: &str) -> PyResult<Bound<'py, PyAny>> {
    let mut names = path.split('.');
    let first = names.next().unwrap_or_default();
    names.try_fold(find_name(module, first)?, |object, name| {
        object.getattr(name)
    })
}

fn find_name<'py>(module: &Bound<'py, PyModule>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    module.getattr(name).map_err(|error| {
        let py = module.py();
        if !error.is_instance_of::<PyAttributeError>(py) {
            return error;
        }
        let file = module.filename().map(|file| file.to_string());
        let file = file.unwrap_or_else(|_| "the module".to_owned());
        PyAttributeError::new_err(format!(
            "{file} has no {name:?}{}",
            did_you_mean(module, name)
        ))
    })
}

/// A name of the module, or an attribute of one.
fn find<'py>(
    module: &Bound<'py, PyModule>,
    ast: &Bound<'py, PyModule>,
    node: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    if node.is_instance(&ast.getattr("Name")?)? {
        let name: String = node.getattr("id")?.extract()?;
        return find_name(module, &name);
    }
    if node.is_instance(&ast.getattr("Attribute")?)? {
        let name: String = node.getattr("attr")?.extract()?;
        return find(module, ast, &node.getattr("value")?)?.getattr(&*name);
    }
    Err(PyValueError::new_err(EXPECTED))
}

/// Starts the interpreter if this program is not one, and lets it find what lies in the current directory
/// and, where `VIRTUAL_ENV` says so, in a virtual environment.
pub(crate) fn prepare() -> PyResult<()> {
    Python::initialize();
    let code = CString::new(include_str!("prepare.py")).unwrap_or_default();
    Python::attach(|py| py.run(&code, Some(&PyDict::new(py)), None))
}
