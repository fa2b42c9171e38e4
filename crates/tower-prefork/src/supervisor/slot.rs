use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

use super::{
    backoff::Backoff,
    fleet::Fleet,
    process::{Ended, Happening, Process},
    reload::Replace,
    run::Event,
};
use crate::error::Reason;

/// Whether the program goes on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stop {
    No,
    /// Finish what runs, until then.
    Drain(Instant),
    Now,
}

/// The place of one worker. When its process dies, the slot starts another; when it is to be
/// replaced, the slot starts the other first, and retires the old one once the other serves.
///
/// So there are two processes at most: a retired one has ended before the next one is replaced.
#[derive(Debug)]
pub(super) struct Slot {
    fleet: Arc<Fleet>,
    index: usize,
    events: mpsc::Sender<Event>,
    orders: mpsc::Receiver<Replace>,
    stop: watch::Receiver<Stop>,
    /// Serves, or starts in the place of one that died.
    serving: Option<Process>,
    /// Starts while the other still serves.
    replacement: Option<Process>,
    /// Finishes what it has, while the other serves already.
    retired: Option<Process>,
    /// An order that waits for room.
    waiting: Option<Replace>,
    /// An order whose worker starts: as the replacement, or else, when the other has died, as the
    /// one that serves.
    order: Option<Replace>,
    /// When the next worker starts after a death.
    restart: Option<Instant>,
    backoff: Backoff,
    /// Requests that were not finished when the program stopped.
    cut: usize,
}

impl Slot {
    pub(super) fn new(
        fleet: Arc<Fleet>,
        index: usize,
        events: mpsc::Sender<Event>,
        orders: mpsc::Receiver<Replace>,
        stop: watch::Receiver<Stop>,
    ) -> Self {
        Self {
            fleet,
            index,
            events,
            orders,
            stop,
            serving: None,
            replacement: None,
            retired: None,
            waiting: None,
            order: None,
            restart: Some(Instant::now()),
            backoff: Backoff::default(),
            cut: 0,
        }
    }

    /// Keeps a worker running until the program stops. Gives the number of requests that were
    /// not finished then.
    pub(super) async fn run(mut self) -> usize {
        while self.step().await {}
        self.cut
    }

    /// Waits for one thing and does what it asks for. Whether there is anything left to do.
    async fn step(&mut self) -> bool {
        let restart = self.restart.unwrap_or_else(Instant::now);
        tokio::select! {
            biased;
            changed = self.stop.changed() => {
                let stop = *self.stop.borrow_and_update();
                self.stop(if changed.is_ok() { stop } else { Stop::Now });
            }
            happening = next(&mut self.serving) => match happening {
                Happening::Ready => self.serves().await,
                Happening::Ended(ended) => self.died(ended).await,
            },
            happening = next(&mut self.replacement) => match happening {
                Happening::Ready => self.took_over(),
                Happening::Ended(ended) => self.failed(ended),
            },
            happening = next(&mut self.retired) => match happening {
                // Told to drain before it was ready.
                Happening::Ready => {}
                Happening::Ended(ended) => self.left(&ended),
            },
            Some(order) = self.orders.recv(), if self.is_at_rest() => {
                self.waiting = Some(order);
                self.replace();
            }
            () = sleep_until(restart), if self.restart.is_some() => self.start().await,
        }
        !self.is_stopping() || !self.is_empty()
    }

    fn is_stopping(&self) -> bool {
        !matches!(*self.stop.borrow(), Stop::No)
    }

    fn is_empty(&self) -> bool {
        self.serving.is_none() && self.replacement.is_none() && self.retired.is_none()
    }

    fn is_at_rest(&self) -> bool {
        self.waiting.is_none() && self.order.is_none()
    }

    fn stop(&mut self, stop: Stop) {
        self.waiting = None;
        self.order = None;
        self.restart = None;
        let processes = [&mut self.serving, &mut self.replacement, &mut self.retired];
        for process in processes.into_iter().flatten() {
            process.stop(stop);
        }
    }

    /// Starts a worker where there is none.
    async fn start(&mut self) {
        self.restart = None;
        match Process::start(&self.fleet, self.index) {
            Ok(process) => self.serving = Some(process),
            Err(error) => self.died(Ended::not_started(&error)).await,
        }
    }

    /// Starts to carry out an order, as soon as there is room for another process.
    fn replace(&mut self) {
        if let Some(retired) = &mut self.retired {
            if self.waiting.is_none() {
                return;
            }
            if self.fleet.development {
                retired.kill();
            } else {
                tracing::info!(
                    server = self.fleet.name,
                    slot = self.index,
                    "the worker before this one still has requests; replacing it when they are done"
                );
            }
            return;
        }
        let Some(order) = self.waiting.take() else {
            return;
        };
        match Process::start(&self.fleet, self.index) {
            Ok(process) => {
                self.order = Some(order);
                self.restart = None;
                let place = match self.serving {
                    None => &mut self.serving,
                    Some(_) => &mut self.replacement,
                };
                *place = Some(process);
            }
            Err(error) => drop(order.send(Err(Ended::not_started(&error).cause))),
        }
    }

    /// The worker has become ready.
    async fn serves(&mut self) {
        if self.fleet.is_established() {
            self.log_replaced(None);
        }
        if self.replacement.is_none() {
            self.answer(Ok(()));
        }
        // Nobody listens any more when the whole program stops.
        let _ = self.events.send(Event::Ready(self.fleet.index)).await;
    }

    /// The replacement has become ready.
    fn took_over(&mut self) {
        self.retired = std::mem::replace(&mut self.serving, self.replacement.take());
        if let Some(process) = &mut self.retired {
            process.retire();
        }
        self.log_replaced(self.retired.as_ref());
        self.answer(Ok(()));
    }

    fn log_replaced(&self, retired: Option<&Process>) {
        tracing::info!(
            server = self.fleet.name,
            slot = self.index,
            pid = self.serving.as_ref().map(Process::pid),
            retired = retired.map(Process::pid),
            "worker replaced"
        );
    }

    fn answer(&mut self, answer: Result<(), String>) {
        if let Some(order) = self.order.take() {
            // Nobody waits for it when the whole program stops.
            let _ = order.send(answer);
        }
    }

    /// The replacement has ended before it was ready.
    fn failed(&mut self, ended: Ended) {
        self.replacement = None;
        self.cut(&ended);
        show(&ended.details);
        self.answer(Err(ended.cause));
    }

    /// The worker has ended, or could not be started.
    async fn died(&mut self, ended: Ended) {
        self.serving = self.replacement.take();
        self.cut(&ended);
        if self.is_stopping() {
            return;
        }
        if !self.fleet.is_established() {
            let (server, slot) = (&self.fleet.name, self.index);
            let place = format!("{server}: worker {slot} could not start: ");
            let reason = Reason {
                line: ended.cause,
                details: ended.details,
            };
            let event = Event::StartFailed(reason.report(place));
            let _ = self.events.send(event).await;
            return;
        }
        show(&ended.details);
        let mut delay = self.backoff.after(ended.ready_for);
        if self.serving.is_some() {
            // The next one is on its way.
            delay = Duration::ZERO;
        } else {
            self.restart = Some(Instant::now() + delay);
            self.answer(Err(ended.cause.clone()));
        }
        tracing::error!(
            server = self.fleet.name,
            slot = self.index,
            pid = ended.pid,
            cause = ended.cause,
            was_ready = ended.ready_for.is_some(),
            delay_ms = delay.as_millis(),
            "worker died; the next one starts after the delay"
        );
    }

    /// The retired worker has ended.
    fn left(&mut self, ended: &Ended) {
        self.retired = None;
        self.cut(ended);
        if ended.cut > 0 {
            tracing::warn!(
                server = self.fleet.name,
                slot = self.index,
                pid = ended.pid,
                cause = ended.cause,
                requests = ended.cut,
                "retired worker ended before its requests were done"
            );
        } else {
            tracing::info!(
                server = self.fleet.name,
                slot = self.index,
                pid = ended.pid,
                cause = ended.cause,
                "retired worker ended"
            );
        }
        self.replace();
    }

    fn cut(&mut self, ended: &Ended) {
        if self.is_stopping() {
            self.cut += ended.cut;
        }
    }
}

/// Shows the operator what is more than a line of the log.
fn show(details: &str) {
    if !details.is_empty() {
        eprintln!("{details}");
    }
}

/// What happens to the process, if there is one.
async fn next(process: &mut Option<Process>) -> Happening {
    match process {
        Some(process) => process.next().await,
        None => std::future::pending().await,
    }
}
