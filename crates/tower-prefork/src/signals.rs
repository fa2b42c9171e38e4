//! What an operator asks of a process by signals.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What an operator asks of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// SIGHUP: replace the workers.
    Reload,
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
    hangup: Signal,
}

impl Signals {
    /// From here on the signals no longer end the process by themselves.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The next one. Of several that wait, the strongest comes first.
    pub(crate) async fn recv(&mut self) -> Request {
        tokio::select! {
            biased;
            _ = self.quit.recv() => Request::Quit,
            _ = self.terminate.recv() => Request::Drain,
            _ = self.interrupt.recv() => Request::Drain,
            _ = self.hangup.recv() => Request::Reload,
        }
    }

    /// The next one that asks to stop; `ignored` hears of the others.
    pub(crate) async fn stop(&mut self, ignored: impl Fn()) -> Request {
        loop {
            match self.recv().await {
                Request::Reload => ignored(),
                request => return request,
            }
        }
    }
}
