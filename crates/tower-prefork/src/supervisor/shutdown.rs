//! How the supervisor ends.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use super::{
    event_loop::{SupervisorLoop, next_request},
    handover::Successor,
    server::SupervisedServer,
    server_state::ServerState,
    slot::ShutdownMode,
};
use crate::{
    listener::Bound,
    phase::Phase,
    prepare,
    signals::Signals,
    system::{Credentials, log_cut, log_shutdown_delay, log_stopping},
};

/// How long the workers may take, at a stop, to accept the connections that are queued at the listeners.
const CLOSING: Duration = Duration::from_secs(1);

/// Listeners that are shut down on drop.
#[derive(Debug)]
struct ClosingListeners(Vec<Arc<Bound>>);

impl Drop for ClosingListeners {
    fn drop(&mut self) {
        for bound in &self.0 {
            bound.shut_down();
        }
    }
}

/// Why the supervisor ends.
#[derive(Debug)]
pub(super) enum End {
    /// An operator stops the program.
    Drain,
    /// An operator stops the program at once.
    Quit,
    /// Another supervisor has taken over.
    TakenOver(Box<Successor>),
    StartFailed(String),
}

impl SupervisorLoop {
    /// An operator requests a stop. It begins at once or after the `shutdown_delay`, in which the server serves but is not
    /// ready. A second request ends the program at once.
    pub(super) fn request_stop(&mut self) -> Option<End> {
        if self.drain_at.is_some() {
            tracing::warn!("second request to stop; stopping at once");
            return Some(End::Quit);
        }
        let servers = self.servers.iter();
        let delays = servers.map(|server| server.state.config().shutdown_delay);
        let delay = delays.max().unwrap_or_default();
        if delay.is_zero() || !self.is_ready() {
            return Some(End::Drain);
        }
        log_shutdown_delay(delay);
        // The new supervisor would keep serving.
        self.operations.abort_upgrade();
        self.drain_at = Some(Instant::now() + delay);
        self.announcer.announce(Phase::Stopping);
        for server in &self.servers {
            server.state.announce_stop();
        }
        None
    }

    /// Ends the workers, and waits for them. The error is a sentence for the operator.
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
                // Closed after the workers have ended.
                let _listeners = self.closing();
                self.stop(ShutdownMode::Now);
                self.wait().await;
                return Err(error);
            }
        }
        self.announcer.announce(Phase::Stopped);
        tracing::info!("stopped");
        Ok(())
    }

    fn stop(&self, mode: ShutdownMode) {
        for server in &self.servers {
            server.stop(mode);
        }
    }

    /// The listeners, to be shut down, unless the previous supervisor still serves.
    fn closing(&mut self) -> ClosingListeners {
        let bound = self
            .servers
            .iter_mut()
            .map(SupervisedServer::close)
            .collect();
        match self.predecessor {
            None => ClosingListeners(bound),
            Some(_) => ClosingListeners(Vec::new()),
        }
    }

    /// Lets the workers serve queued connections and finish their requests.
    async fn drain(&mut self, signals: &mut Signals) {
        let deadline = self.longest_timeout();
        log_stopping(deadline);
        self.announcer.announce(Phase::Draining);
        let deadline = Instant::now() + deadline;
        self.stop(match self.predecessor {
            None => ShutdownMode::Drain(deadline),
            Some(_) => ShutdownMode::Retire(deadline),
        });
        // The workers shut the listeners down when their queues are empty. Those that they have not shut down by then are
        // shut down here, even if other processes have copies.
        let listeners = self.closing();
        let closing = tokio::spawn(async move {
            let _shut_down = listeners;
            sleep(CLOSING).await;
        });
        self.finish(signals, "signal ignored: the server is stopping")
            .await;
        closing.abort();
        // The aborted task drops the listeners.
        let _ = closing.await;
    }

    /// Another supervisor has taken over: lets the workers finish their requests.
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
        if let Some(server) = &mut self.control_server {
            server.close();
        }
        self.stop(ShutdownMode::Retire(Instant::now() + deadline));
        for server in &mut self.servers {
            server.bound.leave_files();
            drop(server.close());
        }
        self.finish(
            signals,
            "signal ignored: another supervisor has taken over; send the signal to it",
        )
        .await;
    }

    fn longest_timeout(&self) -> Duration {
        let servers = self.servers.iter();
        let timeouts = servers.map(|server| server.state.config().graceful_timeout);
        timeouts.max().unwrap_or_default()
    }

    /// Waits until all workers have ended. A second request to stop ends them at once.
    async fn finish(&mut self, signals: &mut Signals, ignored: &str) {
        // A slot must not wait for the event loop to receive its events.
        self.events.close();
        let mut cut = 0;
        let servers: Vec<_> = self.servers.iter().map(|one| one.state.clone()).collect();
        let credentials = self.credentials;
        let reopen_logs =
            || reopen_logs(servers.iter().map(|server| &**server), credentials.as_ref());
        loop {
            tokio::select! {
                slot = self.slots.join_next() => match slot {
                    Some(slot) => cut += slot.unwrap_or_default(),
                    None => return log_cut(cut),
                },
                _ = signals.stop(|| tracing::info!("{ignored}"), reopen_logs) => break,
                () = self.announcer.alive() => {}
                Some(request) = next_request(&mut self.control_server) => {
                    if self.execute_while_stopping(request) {
                        break;
                    }
                }
            }
        }
        tracing::warn!("second request to stop; stopping at once");
        self.quit().await;
    }

    /// Ends the workers at once.
    async fn quit(&mut self) {
        self.stop(ShutdownMode::Now);
        log_cut(self.wait().await);
    }

    /// Waits until all workers have ended.
    async fn wait(&mut self) -> usize {
        // A slot must not wait for the event loop to receive its events.
        self.events.close();
        let mut cut = 0;
        while let Some(slot) = self.slots.join_next().await {
            cut += slot.unwrap_or_default();
        }
        cut
    }
}

/// Opens the log files again, in this process and in all workers.
pub(super) fn reopen_logs<'a>(
    servers: impl IntoIterator<Item = &'a ServerState>,
    credentials: Option<&Credentials>,
) {
    for server in servers {
        prepare::reopen_logs(&server.config(), credentials);
        server.reopen_logs();
    }
    tracing::info!("log files opened again");
}
