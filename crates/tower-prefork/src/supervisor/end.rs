//! How the supervisor ends.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use super::{
    fleet::Fleet,
    handover::Successor,
    run::{SupervisorLoop, next_order},
    server::Supervised,
    slot::Stop,
};
use crate::{Phase, listener::Bound, signals::Signals, start, system::Credentials};

/// What the workers get, at a stop, to take what is queued at the listeners.
const CLOSING: Duration = Duration::from_secs(1);

/// Listeners that are shut down when this is dropped.
#[derive(Debug)]
struct ShutDown(Vec<Arc<Bound>>);

impl Drop for ShutDown {
    fn drop(&mut self) {
        for bound in &self.0 {
            bound.shut_down();
        }
    }
}

/// Why the supervisor ends.
#[derive(Debug)]
pub(super) enum End {
    /// An operator asks for it, and runs out of patience at a second time.
    Drain,
    Quit,
    /// Another supervisor serves.
    TakenOver(Box<Successor>),
    StartFailed(String),
}

impl SupervisorLoop {
    /// Ends the workers, and waits for them. The error is a line for the operator.
    pub(super) async fn end(mut self, end: End, signals: &mut Signals) -> Result<(), String> {
        self.is_ending = true;
        match end {
            End::Drain => self.drain(signals).await,
            End::Quit => {
                tracing::info!("stopping at once");
                let _listeners = self.closing();
                self.quit().await;
            }
            End::TakenOver(successor) => self.leave(&successor, signals).await,
            End::StartFailed(error) => {
                // After the workers have ended.
                let _listeners = self.closing();
                self.stop(Stop::Now);
                self.wait().await;
                return Err(error);
            }
        }
        self.announcer.announce(Phase::Stopped);
        tracing::info!("stopped");
        Ok(())
    }

    fn stop(&self, how: Stop) {
        for server in &self.servers {
            server.stop(how);
        }
    }

    /// The listeners, to be shut down, unless the supervisor before this one still serves.
    fn closing(&mut self) -> ShutDown {
        let bound = self.servers.iter_mut().map(Supervised::close).collect();
        match self.predecessor {
            None => ShutDown(bound),
            Some(_) => ShutDown(Vec::new()),
        }
    }

    /// Lets the workers finish what is queued and what they run.
    async fn drain(&mut self, signals: &mut Signals) {
        let deadline = self.longest_timeout();
        log_stopping(deadline);
        self.announcer.announce(Phase::Draining);
        let deadline = Instant::now() + deadline;
        self.stop(match self.predecessor {
            None => Stop::Drain(deadline),
            Some(_) => Stop::Retire(deadline),
        });
        // The workers shut the listeners down when nothing is queued any more; what they have not done by then
        // is done here, whoever else has copies.
        let listeners = self.closing();
        let closing = tokio::spawn(async move {
            let _shut_down = listeners;
            sleep(CLOSING).await;
        });
        self.finish(signals, "the server stops; a signal is ignored")
            .await;
        closing.abort();
        // Aborted, it shuts them down at once.
        let _ = closing.await;
    }

    /// Another supervisor serves: lets the workers finish what they run.
    async fn leave(&mut self, successor: &Successor, signals: &mut Signals) {
        let deadline = self.longest_timeout();
        tracing::info!(
            pid = successor.pid(),
            deadline_s = deadline.as_secs_f64(),
            "the new supervisor has taken over; running requests of this one may finish until the deadline"
        );
        self.announcer.leave();
        if let Some(socket) = self.control_socket.take()
            && successor.has_control_socket()
        {
            socket.leave_file();
        }
        if let Some(console) = &mut self.console {
            console.close();
        }
        self.stop(Stop::Retire(Instant::now() + deadline));
        for server in &mut self.servers {
            server.bound.leave_files();
            drop(server.close());
        }
        self.finish(
            signals,
            "another supervisor has taken over; send the signal there",
        )
        .await;
    }

    fn longest_timeout(&self) -> Duration {
        let servers = self.servers.iter();
        let timeouts = servers.map(|server| server.fleet.config().graceful_timeout);
        timeouts.max().unwrap_or_default()
    }

    /// Waits until all workers have ended, or a signal asks to stop once more.
    async fn finish(&mut self, signals: &mut Signals, ignored: &str) {
        // A slot that still wants to tell something must not wait for a reader.
        self.events.close();
        let mut cut = 0;
        let fleets: Vec<_> = self.servers.iter().map(|one| one.fleet.clone()).collect();
        let credentials = self.credentials;
        let reopen_logs = || reopen_logs(fleets.iter().map(|fleet| &**fleet), credentials.as_ref());
        loop {
            tokio::select! {
                slot = self.slots.join_next() => match slot {
                    Some(slot) => cut += slot.unwrap_or_default(),
                    None => return report(cut),
                },
                _ = signals.stop(|| tracing::info!("{ignored}"), reopen_logs) => break,
                () = self.announcer.alive() => {}
                Some(order) = next_order(&mut self.console) => {
                    if self.refuse(order) {
                        break;
                    }
                }
            }
        }
        tracing::warn!("asked again; stopping at once");
        self.quit().await;
    }

    /// Ends the workers at once.
    async fn quit(&mut self) {
        self.stop(Stop::Now);
        report(self.wait().await);
    }

    /// Waits until all workers have ended.
    async fn wait(&mut self) -> usize {
        // A slot that still wants to tell something must not wait for a reader.
        self.events.close();
        let mut cut = 0;
        while let Some(slot) = self.slots.join_next().await {
            cut += slot.unwrap_or_default();
        }
        cut
    }
}

/// Opens the files of the logs again, in this process and in all workers.
pub(super) fn reopen_logs<'a>(
    fleets: impl IntoIterator<Item = &'a Fleet>,
    credentials: Option<&Credentials>,
) {
    for fleet in fleets {
        start::reopen_logs(&fleet.config(), credentials);
        fleet.reopen_logs();
    }
    tracing::info!("the logs are opened again");
}

fn report(cut: usize) {
    if cut > 0 {
        tracing::warn!(requests = cut, "requests were cut before they were done");
    }
}

/// Tells the operator that the stop was heard.
pub(crate) fn log_stopping(left: Duration) {
    tracing::info!(
        deadline_s = left.as_secs_f64(),
        "stopping; running requests may finish until the deadline"
    );
}
