//! Whether a callable can be a WSGI application: what cannot be is refused at the start, and not at each
//! request.

use pyo3::{
    exceptions::PyTypeError,
    prelude::*,
    types::{PyFunction, PyType},
};

use crate::text::type_name;

// Of `co_flags`; the module `inspect` has them, too, and is large.
const VARARGS: u32 = 0x04;
const COROUTINE: u32 = 0x80;
const ASYNC_GENERATOR: u32 = 0x200;

const ASYNCHRONOUS: &str = "the application is asynchronous (async def, ASGI), and this is a server for WSGI: \
     name the WSGI application (Django's is in wsgi.py), or serve it with an ASGI server";

/// Refuses what cannot be called with an environ and `start_response`, with a sentence that says what to do.
pub(crate) fn check(callable: &Bound<'_, PyAny>) -> PyResult<()> {
    if !callable.is_callable() {
        return Err(PyTypeError::new_err(format!(
            "the application is {}, which cannot be called",
            type_name(callable)
        )));
    }
    // What cannot be looked at is told at its first call.
    let Ok(Some(function)) = Function::of(callable) else {
        return Ok(());
    };
    if function.flags & (COROUTINE | ASYNC_GENERATOR) != 0 {
        return Err(PyTypeError::new_err(ASYNCHRONOUS));
    }
    let Function {
        required, accepted, ..
    } = function;
    if required <= 2 && accepted >= 2 {
        return Ok(());
    }
    Err(PyTypeError::new_err(if required == 0 {
        "the application cannot be called with two arguments, environ and start_response: if it is a \
         factory, write it with parentheses, as in mysite:create_app()"
            .to_owned()
    } else if required == 3 {
        "the application takes three arguments, as an ASGI application does: a WSGI application takes two, \
         environ and start_response"
            .to_owned()
    } else {
        let count = if accepted < 2 { accepted } else { required };
        format!(
            "the application takes {count} argument{}: a WSGI application takes two, environ and \
             start_response",
            if count == 1 { "" } else { "s" }
        )
    }))
}

/// What is known of a function that is written in Python.
struct Function {
    flags: u32,
    /// The positional arguments that a call must have, and those that it may have.
    required: usize,
    accepted: usize,
}

impl Function {
    /// The function that runs when `callable` is called; `None` where it is not written in Python, or
    /// where something stands between.
    fn of(callable: &Bound<'_, PyAny>) -> PyResult<Option<Self>> {
        if callable.is_exact_instance_of::<PyFunction>() {
            return Self::read(callable, 0).map(Some);
        }
        let types = callable.py().import("types")?;
        if callable.is_exact_instance(&types.getattr("MethodType")?) {
            let function = callable.getattr("__func__")?;
            let is_function = function.is_exact_instance_of::<PyFunction>();
            return is_function.then(|| Self::read(&function, 1)).transpose();
        }
        // A class is called for an instance, which is what the server iterates.
        let (class, name) = match callable.cast_exact::<PyType>() {
            Ok(class) => (class.clone(), "__init__"),
            Err(_) => (callable.get_type(), "__call__"),
        };
        let method = class.getattr(name)?;
        if method.is_exact_instance_of::<PyFunction>() {
            return Self::read(&method, 1).map(Some);
        }
        let object = callable.py().get_type::<PyAny>();
        let is_objects = |name| Ok::<_, PyErr>(class.getattr(name)?.is(&object.getattr(name)?));
        let takes_nothing = name == "__init__" && is_objects(name)? && is_objects("__new__")?;
        Ok(takes_nothing.then_some(Self {
            flags: 0,
            required: 0,
            accepted: 0,
        }))
    }

    /// `bound` arguments are given already.
    fn read(function: &Bound<'_, PyAny>, bound: usize) -> PyResult<Self> {
        let code = function.getattr("__code__")?;
        let flags: u32 = code.getattr("co_flags")?.extract()?;
        let accepted: usize = code.getattr("co_argcount")?.extract()?;
        let defaults = function.getattr("__defaults__")?;
        let optional = if defaults.is_none() {
            0
        } else {
            defaults.len()?
        };
        Ok(Self {
            flags,
            required: accepted.saturating_sub(optional).saturating_sub(bound),
            accepted: if flags & VARARGS == 0 {
                accepted.saturating_sub(bound)
            } else {
                usize::MAX
            },
        })
    }
}
