use std::sync::Arc;

use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep},
};

use super::{
    backoff::Backoff,
    fleet::Fleet,
    process::{Ended, Process},
    run::Event,
};

/// Whether the program goes on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stop {
    No,
    /// Finish what runs, until then.
    Drain(Instant),
    Now,
}

/// The place of one worker: when its process dies, the slot starts another.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) fleet: Arc<Fleet>,
    pub(super) index: usize,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) stop: watch::Receiver<Stop>,
}

impl Slot {
    /// Keeps a worker running until the program stops. Gives the number of requests that the
    /// last one did not finish.
    pub(super) async fn run(mut self) -> usize {
        let mut backoff = Backoff::default();
        loop {
            let ended = match Process::start(&self.fleet, self.index) {
                Ok(process) => process.run(&self.events, &mut self.stop).await,
                Err(error) => Ended::not_started(&error),
            };
            if !matches!(*self.stop.borrow(), Stop::No) {
                return ended.cut;
            }
            if !self.fleet.is_established() {
                let (server, slot) = (&self.fleet.name, self.index);
                let _ = self
                    .events
                    .send(Event::StartFailed(format!(
                        "{server}: worker {slot} could not start: {}",
                        ended.cause
                    )))
                    .await;
                return ended.cut;
            }
            let delay = backoff.after(ended.ready_for);
            tracing::error!(
                server = self.fleet.name,
                slot = self.index,
                pid = ended.pid.map(rustix::process::Pid::as_raw_nonzero),
                cause = ended.cause,
                was_ready = ended.ready_for.is_some(),
                delay_ms = delay.as_millis(),
                "worker died; the next one starts after the delay"
            );
            tokio::select! {
                () = sleep(delay) => {}
                _ = self.stop.changed() => return 0,
            }
        }
    }
}
