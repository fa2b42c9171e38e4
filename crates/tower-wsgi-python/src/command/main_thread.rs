//! Python's main thread. It runs the application's signal handlers, while the server runs on another thread.
//!
//! Python runs signal handlers only in its main thread, while that runs Python code. So the main thread waits for
//! signals: `signal.set_wakeup_fd` writes their numbers to a socket, whichever thread the kernel has interrupted. Calls
//! that must run in this thread wake it through the same socket, such as the import of the application, which may set
//! signal handlers.

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

/// Interval for checking signals if the application has closed the socket.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The capacity of the channel for events.
const MAX_EVENTS: usize = 16;

/// The signals that stop a server.
const STOP_SIGNALS: [&str; 3] = ["SIGTERM", "SIGINT", "SIGQUIT"];

/// An event for Python's main thread.
enum Event {
    /// A function to call.
    Call(Box<dyn FnOnce(Python<'_>) + Send>),
    /// A handler of the application has received a signal that is to stop the server.
    StopSignal,
    /// The server has ended.
    ServerEnded,
}

/// The main thread while the server runs.
pub(super) struct MainThread {
    events: Receiver<Event>,
    /// The receiving end of the socket; `None` after the application has closed one of the ends.
    wakeup: Option<UnixStream>,
    handle: MainThreadHandle,
    /// The file descriptor that the application has set by `signal.set_wakeup_fd`.
    forward: Option<i32>,
    /// Takes the reason for which to stop the server.
    stop: Option<oneshot::Sender<String>>,
    stop_signals: usize,
    /// The first exception that a signal handler has raised.
    raised: Option<PyErr>,
}

/// Sends events to the main thread.
#[derive(Clone)]
pub(super) struct MainThreadHandle {
    events: SyncSender<Event>,
    wakeup: Arc<Wakeup>,
}

/// Wakes the main thread.
struct Wakeup {
    stream: Option<UnixStream>,
    /// Whether the application has closed it. Its number may belong to another file by now.
    is_lost: AtomicBool,
}

/// Tells the main thread, when it is dropped, that the server has ended.
pub(super) struct EndGuard(MainThreadHandle);

impl MainThread {
    /// `stop` receives a reason if a signal handler of the application is to stop the server.
    pub(super) fn new(stop: oneshot::Sender<String>) -> io::Result<Self> {
        let (wakeup, sender) = UnixStream::pair()?;
        // If its buffer is full, a wake-up is pending.
        sender.set_nonblocking(true)?;
        let (events_sender, events) = mpsc::sync_channel(MAX_EVENTS);
        Ok(Self {
            events,
            wakeup: Some(wakeup),
            handle: MainThreadHandle {
                events: events_sender,
                wakeup: Arc::new(Wakeup {
                    stream: Some(sender),
                    is_lost: AtomicBool::new(false),
                }),
            },
            forward: None,
            stop: Some(stop),
            stop_signals: 0,
            raised: None,
        })
    }

    pub(super) fn handle(&self) -> MainThreadHandle {
        self.handle.clone()
    }

    /// Runs signal handlers until the server has ended. Returns the first exception that one of them has raised.
    pub(super) fn run(mut self, py: Python<'_>) -> Option<PyErr> {
        self.take_wakeup_fd(py);
        if let Err(error) = reset_in_forks(py) {
            tracing::warn!(%error, "cannot reset the wake-up socket in forked processes; their signals will reach this process too");
        }
        self.run_until_ended(py);
        // The application may have closed its file descriptor.
        let _ = set_wakeup_fd(py, self.forward.unwrap_or(-1));
        self.raised
    }

    fn run_until_ended(&mut self, py: Python<'_>) {
        let mut next = None;
        loop {
            while let Some(event) = next.take().or_else(|| self.events.try_recv().ok()) {
                match event {
                    Event::Call(call) => call(py),
                    Event::StopSignal => self.stop_server(py),
                    Event::ServerEnded => return,
                }
            }
            self.take_wakeup_fd(py);
            while let Err(error) = py.check_signals() {
                self.handler_raised(py, error);
            }
            let mut signals = Vec::new();
            next = py.detach(|| self.wait(&mut signals));
            self.forward_signals(py, &signals);
        }
    }

    /// Waits for an event or a signal.
    fn wait(&mut self, signals: &mut Vec<u8>) -> Option<Event> {
        let Some(wakeup) = &mut self.wakeup else {
            return self.events.recv_timeout(POLL_INTERVAL).ok();
        };
        let mut bytes = [0; 256];
        match wakeup.read(&mut bytes) {
            Ok(length) if length > 0 => {
                signals.extend(bytes[..length].iter().filter(|byte| **byte != 0));
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            _ => self.lose_wakeup(),
        }
        None
    }

    /// Sets the wake-up socket again. The application may have set a file descriptor of its own, as Twisted does for its
    /// child processes; signals are forwarded to that.
    fn take_wakeup_fd(&mut self, py: Python<'_>) {
        if self.wakeup.is_none() {
            return;
        }
        let own = self.handle.wakeup.as_raw_fd();
        match set_wakeup_fd(py, own) {
            Ok(before) if before != own && before != -1 => self.forward = Some(before),
            Ok(_) => {}
            Err(_) => self.lose_wakeup(),
        }
    }

    fn lose_wakeup(&mut self) {
        tracing::error!(
            "the application has closed a file descriptor of the server; signal handlers may run up to one second late"
        );
        self.handle.wakeup.is_lost.store(true, Ordering::Relaxed);
        // Not closed: its number may belong to another file.
        mem::forget(self.wakeup.take());
    }

    fn forward_signals(&self, py: Python<'_>, signals: &[u8]) {
        if let (Some(fd), false) = (self.forward, signals.is_empty()) {
            let os = py.import("os");
            // As in Python, errors are ignored.
            let _ = os.and_then(|os| os.call_method1("write", (fd, signals)));
        }
    }

    /// An exception of a signal handler stops the server, as it ends a worker of gunicorn.
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
            // It fails only if the server has ended already.
            Some(stop) => drop(stop.send(reason)),
            None => tracing::warn!(reason, "the server is already stopping"),
        }
    }

    /// As with the signal itself: the first one starts the drain, the second one ends the server at once.
    fn stop_server(&mut self, py: Python<'_>) {
        self.stop_signals += 1;
        if self.stop_signals == 1 {
            if self.stop.is_some() {
                self.request_stop(
                    "it received a signal for which the application has a handler".into(),
                );
            }
            return;
        }
        let quit = py
            .import("signal")
            .and_then(|signal| signal.call_method1("raise_signal", (signal.getattr("SIGQUIT")?,)));
        if let Err(error) = quit {
            tracing::error!(%error, "cannot end the server at once");
        }
    }
}

impl MainThreadHandle {
    /// Calls a function in Python's main thread. `None` if that has ended.
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

    /// The same for a thread of Python, which waits. `None` if the main thread has ended.
    pub(super) fn call_and_wait<T: Send + 'static>(
        &self,
        py: Python<'_>,
        call: impl FnOnce(Python<'_>) -> T + Send + 'static,
    ) -> Option<T> {
        let (sender, result) = mpsc::sync_channel(1);
        self.send(Event::Call(Box::new(move |py| {
            // The other end waits.
            let _ = sender.send(call(py));
        })));
        py.detach(move || result.recv().ok())
    }

    /// A guard to drop when the server has ended.
    pub(super) fn end_guard(&self) -> EndGuard {
        EndGuard(self.clone())
    }

    /// Makes the signals that stop the server do so although handlers of the application have replaced the server's: the
    /// application's handler runs, then the server stops.
    pub(super) fn chain_signal_handlers(&self, py: Python<'_>) -> PyResult<()> {
        let code = CString::new(include_str!("chain_handlers.py")).unwrap_or_default();
        let globals = PyDict::new(py);
        py.run(&code, Some(&globals), None)?;
        let handle = self.clone();
        // This runs in the main thread itself. If the channel is full, a stop is pending.
        let stop = move || {
            let _ = handle.events.try_send(Event::StopSignal);
            handle.wakeup.wake();
        };
        let stop = PyCFunction::new_closure(py, None, None, move |_, _| stop())?;
        if let Some(function) = globals.get_item("chain_handlers")? {
            function.call1((STOP_SIGNALS, stop))?;
        }
        Ok(())
    }

    fn send(&self, event: Event) {
        // It cannot fail: the main thread runs until the server has ended.
        let _ = self.events.send(event);
        self.wakeup.wake();
    }
}

impl Wakeup {
    fn wake(&self) {
        if !self.is_lost.load(Ordering::Relaxed) {
            // If its buffer is full, a wake-up is pending.
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

impl Drop for EndGuard {
    fn drop(&mut self) {
        self.0.send(Event::ServerEnded);
    }
}

/// Sets the file descriptor for the numbers of signals. Returns the one before.
fn set_wakeup_fd(py: Python<'_>, fd: i32) -> PyResult<i32> {
    let options = PyDict::new(py);
    options.set_item("warn_on_full_buffer", false)?;
    let signal = py.import("signal")?;
    let before = signal.call_method("set_wakeup_fd", (fd,), Some(&options))?;
    before.extract()
}

/// Resets the wake-up file descriptor in processes that the application forks: they inherit the socket.
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
