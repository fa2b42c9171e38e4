//! Applications that have replaced Python's threads by greenlets.

use pyo3::prelude::*;

/// The call by which an application has done so, with gevent or eventlet, if it has.
///
/// The locks of `threading` then belong to an event loop in the thread that has taken them: a thread of the server's
/// that waits for one may wait for ever.
pub(crate) fn patched_by(py: Python<'_>) -> PyResult<Option<&'static str>> {
    let modules = py.import("sys")?.getattr("modules")?;
    let checks = [
        ("gevent.monkey", "is_module_patched", "threading"),
        ("gevent.monkey", "is_module_patched", "_thread"),
        ("eventlet.patcher", "is_monkey_patched", "thread"),
    ];
    for (module, check, patched) in checks {
        let module_object = modules.call_method1("get", (module,))?;
        // Who has not imported it has not patched anything.
        if !module_object.is_none() && module_object.call_method1(check, (patched,))?.is_truthy()? {
            return Ok(Some(match module {
                "gevent.monkey" => "gevent.monkey.patch_all",
                _ => "eventlet.monkey_patch",
            }));
        }
    }
    Ok(None)
}

/// Why such an application is not served by threads, and what to do.
pub(crate) fn refusal(patched_by: &str) -> String {
    format!(
        "it has replaced Python's threads by greenlets ({patched_by}), which cannot run on the threads of this \
         server: remove that call, or run it with --thread-workers 0, where each request blocks the others"
    )
}
