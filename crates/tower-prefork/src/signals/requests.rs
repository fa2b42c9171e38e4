//! What signals, and the program itself, ask of a process.

use std::{
    fmt,
    future::{Future, pending},
    io,
    pin::Pin,
};

use tokio::{
    runtime::Runtime,
    signal::unix::{Signal, SignalKind, signal},
};

/// What a signal asks of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignalRequest {
    /// SIGHUP: read the configuration again, and replace the workers.
    Reload,
    /// SIGUSR2: start a new supervisor, which takes over.
    Upgrade,
    /// SIGUSR1: open the log files again.
    ReopenLogs,
    /// SIGTTIN: one more worker.
    More,
    /// SIGTTOU: one worker less.
    Fewer,
    /// SIGTERM or SIGINT: finish the running requests, then exit.
    Drain,
    /// SIGQUIT: exit at once.
    Quit,
}

/// The signals that an operator sends, and the stop that the program itself requests.
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
    stop_request: StopRequest,
}

impl Signals {
    /// From here on the signals have no longer their default effect.
    pub(crate) fn new(stop_request: StopRequest) -> io::Result<Self> {
        // A write to a log that has the maximum size of a file fails then, instead of ending the process.
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

    /// The next request. Of several that are pending, the most urgent comes first.
    pub(crate) async fn recv(&mut self) -> SignalRequest {
        tokio::select! {
            biased;
            _ = self.quit.recv() => SignalRequest::Quit,
            _ = self.terminate.recv() => SignalRequest::Drain,
            _ = self.interrupt.recv() => SignalRequest::Drain,
            reason = self.stop_request.recv() => {
                tracing::warn!(reason, "the program requests a stop");
                SignalRequest::Drain
            }
            _ = self.hangup.recv() => SignalRequest::Reload,
            _ = self.upgrade.recv() => SignalRequest::Upgrade,
            _ = self.reopen_logs.recv() => SignalRequest::ReopenLogs,
            _ = self.more.recv() => SignalRequest::More,
            _ = self.fewer.recv() => SignalRequest::Fewer,
        }
    }

    /// The next request to stop. Calls `reopen_logs` at a request to open the log files again, and `ignored` at any other.
    pub(crate) async fn stop(
        &mut self,
        ignored: impl Fn(),
        reopen_logs: impl Fn(),
    ) -> SignalRequest {
        loop {
            match self.recv().await {
                request @ (SignalRequest::Drain | SignalRequest::Quit) => return request,
                SignalRequest::ReopenLogs => reopen_logs(),
                _ => ignored(),
            }
        }
    }
}

/// Ignores the signals that only a supervisor acts on. One that is sent to all processes of the program must not end, or
/// stop, workers that are still starting.
pub(crate) fn leave_to_supervisor(runtime: &Runtime) -> io::Result<()> {
    let _inside = runtime.enter();
    let kinds = [
        SignalKind::hangup(),
        SignalKind::user_defined1(),
        SignalKind::user_defined2(),
        file_size(),
        ttin(),
        ttou(),
    ];
    for kind in kinds {
        // It is dropped at once, but the handler stays.
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

/// A future that is ready when the program wants to stop, with its reason: see
/// [`Supervisor::stop_when`](crate::Supervisor::stop_when).
#[derive(Default)]
pub(crate) struct StopRequest(Option<Pin<Box<dyn Future<Output = String> + Send>>>);

impl StopRequest {
    pub(crate) fn new(reason: impl Future<Output = String> + Send + 'static) -> Self {
        Self(Some(Box::pin(reason)))
    }

    /// Waits for the reason, which comes once. It is cancel safe.
    pub(crate) async fn recv(&mut self) -> String {
        let Some(reason) = &mut self.0 else {
            return pending().await;
        };
        let reason = reason.await;
        self.0 = None;
        reason
    }
}

impl fmt::Debug for StopRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StopRequest")
            .field(&self.0.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use tokio_test::{assert_pending, assert_ready_eq, task::spawn};

    use super::*;

    #[test]
    fn a_reason_comes_once() {
        let mut request = StopRequest::new(async { "worn out".to_owned() });
        assert_ready_eq!(spawn(request.recv()).poll(), "worn out");
        assert_pending!(spawn(request.recv()).poll());
        assert_pending!(spawn(StopRequest::default().recv()).poll());
    }

    #[test]
    fn waiting_is_cancel_safe() {
        let (sender, reason) = tokio::sync::oneshot::channel();
        let mut request = StopRequest::new(async { reason.await.unwrap() });
        assert_pending!(spawn(request.recv()).poll());
        sender.send("later".to_owned()).unwrap();
        assert_ready_eq!(spawn(request.recv()).poll(), "later");
    }
}
