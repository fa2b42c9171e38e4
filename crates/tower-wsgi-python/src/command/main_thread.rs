//! Python's main thread: it runs the application's signal handlers, while the server runs on another thread.
//!
//! Python runs a handler in its main thread alone, when that thread runs Python. So it waits for signals: their
//! numbers come through `signal.set_wakeup_fd`, whichever thread the system has interrupted. What must be done
//! in this thread comes the same way: the import of the application, which may set handlers.

use std::{
    ffi::CString,
    io::{self, ErrorKind, Read as _, Write as _},
    mem,
    os::{fd::AsRawFd, unix::net::UnixStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, SyncSender},
    },
    time::Duration,
};

use pyo3::{
    exceptions::{PyKeyboardInterrupt, PySystemExit},
    prelude::*,
    types::{PyCFunction, PyDict},
};
use tokio::sync::oneshot;

use crate::exception::WsgiErrors;

/// How often to look for signals when the application has closed the descriptor that tells of them.
const LOOK: Duration = Duration::from_secs(1);

/// Events that the main thread has not taken yet.
const EVENTS: usize = 16;

/// The signals that stop a server.
const STOPS: [&str; 3] = ["SIGTERM", "SIGINT", "SIGQUIT"];

/// What Python's main thread waits for.
enum Event {
    /// To be called there.
    Call(Box<dyn FnOnce(Python<'_>) + Send>),
    /// The application has had a signal that stops the server, and the server has not.
    Stop,
    /// The server has ended.
    Ended,
}

/// The main thread, while the server runs.
pub(super) struct MainThread {
    events: Receiver<Event>,
    /// `None` when the application has closed it, or its other end.
    wakeup: Option<UnixStream>,
    handle: Handle,
    /// The application's own descriptor for the numbers of signals.
    forward: Option<i32>,
    stop: Option<oneshot::Sender<String>>,
    stops: usize,
    raised: Option<PyErr>,
}

/// The way to the main thread.
#[derive(Clone)]
pub(super) struct Handle {
    events: SyncSender<Event>,
    wakeup: Arc<Wakeup>,
}

/// Wakes the main thread.
struct Wakeup {
    stream: Option<UnixStream>,
    /// It was closed by others, and its number may be that of another file.
    is_lost: AtomicBool,
}

/// Dropped when the server has ended.
pub(super) struct Ended(Handle);

impl MainThread {
    /// `stop` gets the reason when a signal handler of the application ends the process.
    pub(super) fn new(stop: oneshot::Sender<String>) -> io::Result<Self> {
        let (wakeup, sender) = UnixStream::pair()?;
        // Where it is full there is a wake-up to come.
        sender.set_nonblocking(true)?;
        let (events_sender, events) = mpsc::sync_channel(EVENTS);
        Ok(Self {
            events,
            wakeup: Some(wakeup),
            handle: Handle {
                events: events_sender,
                wakeup: Arc::new(Wakeup {
                    stream: Some(sender),
                    is_lost: AtomicBool::new(false),
                }),
            },
            forward: None,
            stop: Some(stop),
            stops: 0,
            raised: None,
        })
    }

    pub(super) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Runs signal handlers until the server has ended. Gives the first exception that one of them has raised.
    pub(super) fn run(mut self, py: Python<'_>) -> Option<PyErr> {
        self.take_wakeup_fd(py);
        if let Err(error) = reset_in_forks(py) {
            tracing::warn!(%error, "processes that the application forks tell this one of their signals");
        }
        self.run_until_ended(py);
        // What the application has set may be closed by now.
        let _ = set_wakeup_fd(py, self.forward.unwrap_or(-1));
        self.raised
    }

    fn run_until_ended(&mut self, py: Python<'_>) {
        let mut next = None;
        loop {
            while let Some(event) = next.take().or_else(|| self.events.try_recv().ok()) {
                match event {
                    Event::Call(call) => call(py),
                    Event::Stop => self.stop_too(py),
                    Event::Ended => return,
                }
            }
            self.take_wakeup_fd(py);
            while let Err(error) = py.check_signals() {
                self.handler_raised(py, error);
            }
            let mut signals = Vec::new();
            next = py.detach(|| self.wait(&mut signals));
            self.pass_on(py, &signals);
        }
    }

    /// Waits for an event or a signal.
    fn wait(&mut self, signals: &mut Vec<u8>) -> Option<Event> {
        let Some(wakeup) = &mut self.wakeup else {
            return self.events.recv_timeout(LOOK).ok();
        };
        let mut bytes = [0; 256];
        match wakeup.read(&mut bytes) {
            Ok(length) if length > 0 => {
                signals.extend(bytes[..length].iter().filter(|byte| **byte != 0));
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            _ => self.go_blind(),
        }
        None
    }

    /// The application may have set a descriptor of its own, as Twisted does for its children. It gets what comes.
    fn take_wakeup_fd(&mut self, py: Python<'_>) {
        if self.wakeup.is_none() {
            return;
        }
        let own = self.handle.wakeup.as_raw_fd();
        match set_wakeup_fd(py, own) {
            Ok(before) if before != own && before != -1 => self.forward = Some(before),
            Ok(_) => {}
            Err(_) => self.go_blind(),
        }
    }

    fn go_blind(&mut self) {
        tracing::error!(
            "the application has closed a file descriptor of the server; its signal handlers may run a second late"
        );
        self.handle.wakeup.is_lost.store(true, Ordering::Relaxed);
        // Its number is not ours to close any more.
        mem::forget(self.wakeup.take());
    }

    fn pass_on(&self, py: Python<'_>, signals: &[u8]) {
        if let (Some(fd), false) = (self.forward, signals.is_empty()) {
            let os = py.import("os");
            // Python itself drops what such a descriptor does not take.
            let _ = os.and_then(|os| os.call_method1("write", (fd, signals)));
        }
    }

    /// What else an exception ends, Python does not say: gunicorn ends the worker.
    fn handler_raised(&mut self, py: Python<'_>, error: PyErr) {
        let is_exit = error.is_instance_of::<PySystemExit>(py)
            || error.is_instance_of::<PyKeyboardInterrupt>(py);
        if !is_exit && let Ok(stderr) = py.import("sys").and_then(|sys| sys.getattr("stderr")) {
            WsgiErrors::new(stderr.unbind()).report(py, &error);
        }
        self.request_stop(format!(
            "a signal handler of the application raised {error}"
        ));
        self.raised.get_or_insert(error);
    }

    fn request_stop(&mut self, reason: String) {
        match self.stop.take() {
            // Where it has ended meanwhile there is nothing to stop.
            Some(stop) => drop(stop.send(reason)),
            None => tracing::warn!(reason, "the server stops already"),
        }
    }

    /// As at the signal: the first one drains, the second one ends it.
    fn stop_too(&mut self, py: Python<'_>) {
        self.stops += 1;
        if self.stops == 1 {
            if self.stop.is_some() {
                self.request_stop(
                    "it was told to by a signal that the application handles as well".into(),
                );
            }
            return;
        }
        let quit = py
            .import("signal")
            .and_then(|signal| signal.call_method1("raise_signal", (signal.getattr("SIGQUIT")?,)));
        if let Err(error) = quit {
            tracing::error!(%error, "cannot stop at once");
        }
    }
}

impl Handle {
    /// Calls this in Python's main thread. `None` when that has ended.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(Python<'_>) -> T + Send + 'static,
    ) -> Option<T> {
        let (sender, result) = oneshot::channel();
        self.send(Event::Call(Box::new(move |py| {
            drop(sender.send(call(py)));
        })));
        result.await.ok()
    }

    /// Tells the main thread when it is dropped.
    pub(super) fn ended(&self) -> Ended {
        Ended(self.clone())
    }

    /// Has the server stop by its signals although the application has handlers of its own for them, which have
    /// replaced the server's: both run.
    pub(super) fn stop_beside_handlers(&self, py: Python<'_>) -> PyResult<()> {
        let code = CString::new(include_str!("both.py")).unwrap_or_default();
        let globals = PyDict::new(py);
        py.run(&code, Some(&globals), None)?;
        let handle = self.clone();
        // In the main thread itself: where there is no room it stops already.
        let stop = move || {
            let _ = handle.events.try_send(Event::Stop);
            handle.wakeup.wake();
        };
        let stop = PyCFunction::new_closure(py, None, None, move |_, _| stop())?;
        if let Some(function) = globals.get_item("run_beside_handlers")? {
            function.call1((STOPS, stop))?;
        }
        Ok(())
    }

    fn send(&self, event: Event) {
        // The main thread is there until the server has ended.
        let _ = self.events.send(event);
        self.wakeup.wake();
    }
}

impl Wakeup {
    fn wake(&self) {
        if !self.is_lost.load(Ordering::Relaxed) {
            // Where it takes no more the main thread is being woken already.
            let _ = self.stream.as_ref().map(|mut stream| stream.write(&[0]));
        }
    }

    fn as_raw_fd(&self) -> i32 {
        self.stream.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }
}

impl Drop for Wakeup {
    fn drop(&mut self) {
        if *self.is_lost.get_mut() {
            mem::forget(self.stream.take());
        }
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.send(Event::Ended);
    }
}

/// Sets where the numbers of signals go. Gives where they went.
fn set_wakeup_fd(py: Python<'_>, fd: i32) -> PyResult<i32> {
    let options = PyDict::new(py);
    options.set_item("warn_on_full_buffer", false)?;
    let signal = py.import("signal")?;
    let before = signal.call_method("set_wakeup_fd", (fd,), Some(&options))?;
    before.extract()
}

/// A process that the application forks has the same socket: its signals are not this one's.
fn reset_in_forks(py: Python<'_>) -> PyResult<()> {
    let reset = PyCFunction::new_closure(py, None, None, |arguments, _| {
        set_wakeup_fd(arguments.py(), -1).map(drop)
    })?;
    let options = PyDict::new(py);
    options.set_item("after_in_child", reset)?;
    py.import("os")?
        .call_method("register_at_fork", (), Some(&options))
        .map(drop)
}
