//! What an operator asks of a process by signals.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What an operator asks of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// SIGTERM or SIGINT: finish what runs, then end.
    Drain,
    /// SIGQUIT: end at once.
    Quit,
}

/// The signals that the operator sends.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
}

impl Signals {
    /// From here on the signals no longer end the process by themselves.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
        })
    }

    /// The next one.
    pub(crate) async fn recv(&mut self) -> Request {
        tokio::select! {
            _ = self.quit.recv() => Request::Quit,
            _ = self.terminate.recv() => Request::Drain,
            _ = self.interrupt.recv() => Request::Drain,
        }
    }
}
