//! What an operator asks of a process by signals.

use std::io;

use tokio::{
    runtime::Runtime,
    signal::unix::{Signal, SignalKind, signal},
};

use crate::stop_request::StopRequest;

/// What an operator asks of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// SIGHUP: read the configuration again, and replace the workers.
    Reload,
    /// SIGUSR2: let a new supervisor take over.
    Upgrade,
    /// SIGUSR1: open the files of the logs again.
    ReopenLogs,
    /// SIGTTIN: one more worker.
    More,
    /// SIGTTOU: one worker less.
    Fewer,
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
    upgrade: Signal,
    reopen_logs: Signal,
    more: Signal,
    fewer: Signal,
    /// What the program asks of itself.
    stop_request: StopRequest,
}

impl Signals {
    /// From here on the signals no longer end or halt the process by themselves.
    pub(crate) fn new(stop_request: StopRequest) -> io::Result<Self> {
        // A log that has the largest size that the system allows is an error of a write.
        signal(file_size()).map(drop)?;
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hangup: signal(SignalKind::hangup())?,
            upgrade: signal(SignalKind::user_defined2())?,
            reopen_logs: signal(SignalKind::user_defined1())?,
            more: signal(ttin())?,
            fewer: signal(ttou())?,
            stop_request,
        })
    }

    /// The next one. Of several that wait, the strongest comes first.
    pub(crate) async fn recv(&mut self) -> Request {
        tokio::select! {
            biased;
            _ = self.quit.recv() => Request::Quit,
            _ = self.terminate.recv() => Request::Drain,
            _ = self.interrupt.recv() => Request::Drain,
            reason = self.stop_request.recv() => {
                tracing::warn!(reason, "the program stops itself");
                Request::Drain
            }
            _ = self.hangup.recv() => Request::Reload,
            _ = self.upgrade.recv() => Request::Upgrade,
            _ = self.reopen_logs.recv() => Request::ReopenLogs,
            _ = self.more.recv() => Request::More,
            _ = self.fewer.recv() => Request::Fewer,
        }
    }

    /// The next one that asks to stop; `ignored` hears of the others, and `reopen_logs` of those that every process
    /// obeys to its end.
    pub(crate) async fn stop(&mut self, ignored: impl Fn(), reopen_logs: impl Fn()) -> Request {
        loop {
            match self.recv().await {
                request @ (Request::Drain | Request::Quit) => return request,
                Request::ReopenLogs => reopen_logs(),
                _ => ignored(),
            }
        }
    }
}

/// What is planned is the supervisor's. A signal for all processes of the program must not end, or halt,
/// the workers that are still starting.
pub(crate) fn leave_plans_to_supervisor(runtime: &Runtime) -> io::Result<()> {
    let _inside = runtime.enter();
    let plans = [
        SignalKind::hangup(),
        SignalKind::user_defined1(),
        SignalKind::user_defined2(),
        file_size(),
        ttin(),
        ttou(),
    ];
    for kind in plans {
        // Dropped at once: the handler stays.
        signal(kind).map(drop)?;
    }
    Ok(())
}

fn file_size() -> SignalKind {
    SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())
}

fn ttin() -> SignalKind {
    SignalKind::from_raw(rustix::process::Signal::TTIN.as_raw())
}

fn ttou() -> SignalKind {
    SignalKind::from_raw(rustix::process::Signal::TTOU.as_raw())
}
