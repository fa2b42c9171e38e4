//! Importing an application by its path: `module:callable`.

use std::{env, ffi::CString};

use pyo3::{
    exceptions::{PyAttributeError, PyImportError, PyModuleNotFoundError, PyValueError},
    prelude::*,
    types::{PyDict, PyTuple},
};

use crate::load_error::{did_you_mean, path_of_file};

const EXPECTED: &str =
    "expected a name after the colon, or a call of one, as in mysite:create_app()";

/// Imports `module:name`, `module:object.attribute` or `module:factory('with', literals=1)`; without a name it is
/// `application`.
pub(crate) fn load<'py>(py: Python<'py>, path: &str) -> PyResult<Bound<'py, PyAny>> {
    native(import(py, path)?)
}

/// A router or a chain of the Python package as the server calls it; anything else is unchanged.
fn native(application: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyAny>> {
    let modules = application.py().import("sys")?.getattr("modules")?;
    // If the application has not imported it, it is none of these.
    match modules.get_item("tower_wsgi.wsgi.handler") {
        Ok(module) => module.call_method1("native_application", (application,)),
        Err(_) => Ok(application),
    }
}

fn import<'py>(py: Python<'py>, path: &str) -> PyResult<Bound<'py, PyAny>> {
    let (module, expression) = path.split_once(':').unwrap_or((path, "application"));
    if module.is_empty() || module.starts_with('.') {
        return Err(PyValueError::new_err(match path_of_file(path) {
            Some(suggestion) => is_a_file(module, &suggestion),
            None => "expected MODULE:CALLABLE, as in mysite.wsgi:application".to_owned(),
        }));
    }
    let module = py
        .import(module)
        .map_err(|error| not_found(py, path, module, error))?;
    let expression = expression.trim();
    // Importing Python's parser takes time and memory in each worker.
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

/// The error of an import; a sentence if the application's own module does not exist.
fn not_found(py: Python<'_>, path: &str, module: &str, error: PyErr) -> PyErr {
    // The error of an import inside the module has a traceback.
    if !error.is_instance_of::<PyModuleNotFoundError>(py) || error.traceback(py).is_some() {
        return error;
    }
    if let Some(suggestion) = path_of_file(path) {
        return PyImportError::new_err(is_a_file(module, &suggestion));
    }
    let missing = error.value(py).getattr("name");
    let missing = missing.map_or_else(|_| module.to_owned(), |name| name.to_string());
    let directory = env::current_dir().unwrap_or_default();
    PyModuleNotFoundError::new_err(format!(
        "there is no module {missing:?} in {} or elsewhere on Python's path; set the path with --chdir or \
         --pythonpath",
        directory.display()
    ))
}

fn is_a_file(file: &str, suggestion: &str) -> String {
    format!("{file:?} is a file, not a module: write {suggestion}")
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

/// A name of the module, or an attribute of an object in it: `object.attribute`.
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

/// The same for an expression that Python has parsed.
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

/// Starts the interpreter if the program has none, and adds the current directory and the virtual environment of the
/// variable `VIRTUAL_ENV` to its path.
pub(crate) fn prepare_interpreter() -> PyResult<()> {
    Python::initialize();
    let code = CString::new(include_str!("prepare.py")).unwrap_or_default();
    Python::attach(|py| py.run(&code, Some(&PyDict::new(py)), None))
}
