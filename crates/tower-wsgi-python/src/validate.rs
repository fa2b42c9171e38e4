//! Whether this server can run an application, so that mistakes are reported at the start and not at each request:
//! the callable's signature, and no monkey patching of threads.

use pyo3::{
    exceptions::PyTypeError,
    prelude::*,
    types::{PyFunction, PyType},
};

use crate::exception::type_name;

// Bits of `co_flags`. Python's module `inspect` has them too, but takes long to import.
const VARARGS: u32 = 0x04;
const COROUTINE: u32 = 0x80;
const ASYNC_GENERATOR: u32 = 0x200;

/// Where an application has to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallKind {
    /// On a thread that it may block.
    Blocking,
    /// On the event loop: it is an `async def`.
    Asynchronous,
}

/// An error if the callable cannot be called with an environ and `start_response`; it says what to do.
pub(crate) fn check_signature(callable: &Bound<'_, PyAny>) -> PyResult<CallKind> {
    if !callable.is_callable() {
        return Err(PyTypeError::new_err(format!(
            "the application is not callable: its type is {}",
            type_name(callable)
        )));
    }
    // A signature that cannot be inspected shows at the first call.
    let Ok(Some(function)) = Signature::of(callable) else {
        return Ok(CallKind::Blocking);
    };
    let Signature {
        required,
        accepted,
        is_asynchronous,
    } = function;
    if required <= 2 && accepted >= 2 {
        return Ok(if is_asynchronous {
            CallKind::Asynchronous
        } else {
            CallKind::Blocking
        });
    }
    Err(PyTypeError::new_err(if required == 3 {
        "the application takes three arguments, as an ASGI application does, and this is a WSGI server: name the WSGI \
         application (Django's is in wsgi.py), or serve it with an ASGI server"
            .to_owned()
    } else if required == 0 {
        "the application takes no arguments, but a WSGI application takes two, environ and start_response: if it is a \
         factory, write it with parentheses, as in mysite:create_app()"
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

/// The signature of a function that is written in Python.
struct Signature {
    /// Whether a call returns a coroutine or an asynchronous generator.
    is_asynchronous: bool,
    /// The minimum number of positional arguments of a call.
    required: usize,
    /// The maximum number of positional arguments of a call.
    accepted: usize,
}

impl Signature {
    /// The signature of the function that runs when `callable` is called; `None` if that is not written in Python,
    /// or if it is wrapped.
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
        let functools = callable.py().import("functools")?;
        if callable.is_exact_instance(&functools.getattr("partial")?) {
            return Self::of_partial(callable);
        }
        // Calling a class creates an instance, over which the server iterates.
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
            is_asynchronous: false,
            required: 0,
            accepted: 0,
        }))
    }

    /// The signature of what a `functools.partial` leaves open.
    fn of_partial(partial: &Bound<'_, PyAny>) -> PyResult<Option<Self>> {
        let Some(inner) = Self::of(&partial.getattr("func")?)? else {
            return Ok(None);
        };
        let bound = partial.getattr("args")?.len()?;
        // Which parameters its keywords bind is not looked at: a call with wrong arguments shows that.
        let keywords = partial.getattr("keywords")?.len()?;
        Ok(Some(Self {
            required: inner.required.saturating_sub(bound + keywords),
            accepted: inner.accepted.saturating_sub(bound),
            ..inner
        }))
    }

    /// `bound` is the number of arguments that are bound already, such as `self`.
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
            is_asynchronous: flags & (COROUTINE | ASYNC_GENERATOR) != 0,
            required: accepted.saturating_sub(optional).saturating_sub(bound),
            accepted: if flags & VARARGS == 0 {
                accepted.saturating_sub(bound)
            } else {
                usize::MAX
            },
        })
    }
}

/// The call by which the application has replaced Python's threads by greenlets, if it has: with gevent or eventlet.
///
/// The locks of `threading` then belong to the event loop of the thread that has acquired them: a thread of the
/// server that waits for such a lock may wait forever.
pub(crate) fn monkey_patch(py: Python<'_>) -> PyResult<Option<&'static str>> {
    let modules = py.import("sys")?.getattr("modules")?;
    let checks = [
        ("gevent.monkey", "is_module_patched", "threading"),
        ("gevent.monkey", "is_module_patched", "_thread"),
        ("eventlet.patcher", "is_monkey_patched", "thread"),
    ];
    for (module, check, patched) in checks {
        // An application that has not imported the module has not patched anything.
        let module_object = modules.call_method1("get", (module,))?;
        if !module_object.is_none() && module_object.call_method1(check, (patched,))?.is_truthy()? {
            return Ok(Some(match module {
                "gevent.monkey" => "gevent.monkey.patch_all",
                _ => "eventlet.monkey_patch",
            }));
        }
    }
    Ok(None)
}

/// Why an `async def` cannot run on greenlets, and what to do.
pub(crate) const ASYNCHRONOUS_ON_GREENLETS: &str = "it is asynchronous (async def), and greenlets run blocking applications: leave --greenlet out, so that it runs on \
     asyncio's event loop";

/// Why an application with greenlets cannot run on threads, and what to do.
pub(crate) fn greenlets_refused(call: &str) -> String {
    let use_greenlets = if call.starts_with("gevent") {
        "use --greenlet, which runs it on gevent's hub, or "
    } else {
        ""
    };
    format!(
        "it has replaced Python's threads by greenlets ({call}), which cannot run on the threads of this server: \
         {use_greenlets}remove that call, or use --thread-workers 0, where each request blocks all others"
    )
}
