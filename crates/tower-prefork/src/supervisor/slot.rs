use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, watch},
    time::{Instant, sleep_until},
};

use super::{
    backoff::Backoff,
    balance::surplus,
    fleet::Fleet,
    process::{Ended, Happening, Process, Spent},
    reload::Replace,
    run::Event,
};
use crate::{
    error::Reason,
    operator::{Role, WorkerStatus},
};

/// A worker that could not be replaced for being spent is tried again after so long at the earliest.
const AGAIN: Duration = Duration::from_secs(1);

/// Whether a slot goes on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stop {
    No,
    /// Leave what is queued to others, and finish what runs, until then.
    Retire(Instant),
    /// Finish what is queued and what runs, until then.
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
    number: u64,
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
    /// Why the worker that serves is to be replaced, when it is its turn.
    spent: Option<Spent>,
    /// Nobody else of the server is replaced for being spent.
    turn: Option<OwnedSemaphorePermit>,
    /// Not before this time, after a replacement that failed.
    again: Instant,
    /// When the next worker starts after a death.
    restart: Option<Instant>,
    backoff: Backoff,
    /// Workers that have died.
    deaths: u32,
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
        let now = Instant::now();
        Self {
            number: fleet.number(),
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
            spent: None,
            turn: None,
            again: now,
            restart: Some(now),
            backoff: Backoff::default(),
            deaths: 0,
            cut: 0,
        }
    }

    /// Keeps a worker running until it is told to stop. Gives the number of requests that were
    /// not finished then.
    pub(super) async fn run(mut self) -> usize {
        while self.step().await {
            self.post();
        }
        self.fleet.post(self.place(), Vec::new());
        self.cut
    }

    /// Waits for one thing and does what it asks for. Whether there is anything left to do.
    async fn step(&mut self) -> bool {
        let restart = self.restart.unwrap_or(self.again);
        let is_its_turn = self.spent.is_some() && self.has_room();
        tokio::select! {
            biased;
            stop = changed(&mut self.stop) => self.stop(stop),
            happening = next(&mut self.serving) => match happening {
                Happening::Ready => self.serves().await,
                Happening::Beat => self.balance(),
                Happening::Spent(spent) => self.wears_out(spent),
                Happening::Ended(ended) => self.died(ended).await,
            },
            happening = next(&mut self.replacement) => match happening {
                Happening::Ready => self.took_over(),
                Happening::Ended(ended) => self.failed(ended),
                Happening::Beat | Happening::Spent(_) => {}
            },
            happening = next(&mut self.retired) => match happening {
                Happening::Ended(ended) => self.left(&ended),
                // It was told to drain before it was ready, or is replaced already.
                Happening::Ready | Happening::Beat | Happening::Spent(_) => {}
            },
            Some(order) = self.orders.recv(), if self.is_at_rest() => {
                self.waiting = Some(order);
                self.replace();
            }
            () = sleep_until(restart), if self.restart.is_some() => self.start().await,
            turn = turn(&self.fleet, self.again), if is_its_turn => {
                self.turn = turn;
                self.replace_spent();
            }
        }
        !self.is_stopping() || !self.is_empty()
    }

    fn place(&self) -> (usize, u64) {
        (self.index, self.number)
    }

    /// Says what its processes do.
    fn post(&self) {
        let processes = [
            (&self.serving, Role::Serving),
            (&self.replacement, Role::Replacement),
            (&self.retired, Role::Retired),
        ];
        let mut workers = Vec::new();
        for (process, role) in processes {
            let process = process.as_ref();
            workers.extend(process.map(|process| process.status(role, self.deaths)));
        }
        if workers.is_empty() {
            workers.push(WorkerStatus::waiting(self.index, self.deaths));
        }
        self.fleet.post(self.place(), workers);
    }

    fn is_stopping(&self) -> bool {
        !matches!(*self.stop.borrow(), Stop::No)
    }

    fn is_empty(&self) -> bool {
        self.serving.is_none() && self.replacement.is_none() && self.retired.is_none()
    }

    fn is_at_rest(&self) -> bool {
        self.waiting.is_none() && self.order.is_none() && self.turn.is_none()
    }

    /// Whether the worker that serves can be replaced at once.
    fn has_room(&self) -> bool {
        self.is_at_rest() && self.serving.is_some() && self.retired.is_none()
    }

    fn stop(&mut self, stop: Stop) {
        self.waiting = None;
        self.order = None;
        self.spent = None;
        self.turn = None;
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

    /// The worker is to be replaced, for a reason of its own.
    fn wears_out(&mut self, spent: Spent) {
        if let Some(retired) = &mut self.retired
            && spent.stuck
            && retired.has_drained()
        {
            // It is stuck as well, nobody waits for it, and there would be no room for another.
            retired.kill();
        }
        self.spent = Some(spent);
    }

    /// Starts the worker that is to replace the spent one.
    fn replace_spent(&mut self) {
        let reason = self.spent.as_ref().map(|spent| &*spent.reason);
        tracing::info!(
            server = self.fleet.name,
            slot = self.index,
            pid = self.serving.as_ref().map(Process::pid),
            reason,
            "replacing a worker"
        );
        match Process::start(&self.fleet, self.index) {
            Ok(process) => self.replacement = Some(process),
            Err(error) => self.failed(Ended::not_started(&error)),
        }
    }

    /// Lets connections go to siblings that have more room.
    fn balance(&self) {
        let Some(process) = &self.serving else {
            return;
        };
        let now = process.status(Role::Serving, self.deaths);
        let surplus = surplus(&now, &self.fleet.workers(), process.threads());
        if surplus > 0 {
            process.shed(surplus);
        }
    }

    /// Starts to carry out an order, as soon as there is room for another process.
    fn replace(&mut self) {
        if let Some(retired) = &mut self.retired {
            if self.waiting.is_none() {
                return;
            }
            if self.fleet.is_in_development() {
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
        self.spent = None;
        self.turn = None;
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
        if self.turn.take().is_some() {
            let delay = self.backoff.after(ended.ready_for).max(AGAIN);
            self.again = Instant::now() + delay;
            tracing::error!(
                server = self.fleet.name,
                slot = self.index,
                cause = ended.cause,
                delay_ms = delay.as_millis(),
                "the worker could not be replaced and goes on; the next try comes after the delay"
            );
        }
        self.answer(Err(ended.cause));
    }

    /// The worker has ended, or could not be started.
    async fn died(&mut self, ended: Ended) {
        self.serving = self.replacement.take();
        // The next one is not.
        self.spent = None;
        self.turn = None;
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
        self.deaths = self.deaths.saturating_add(1);
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

/// What the slot is told next.
async fn changed(stop: &mut watch::Receiver<Stop>) -> Stop {
    if stop.changed().await.is_ok() {
        return *stop.borrow_and_update();
    }
    // Nobody is left to tell it anything.
    if matches!(*stop.borrow(), Stop::No) {
        return Stop::Now;
    }
    std::future::pending().await
}

/// Waits until no other worker is replaced for being spent, and not less than until `again`.
async fn turn(fleet: &Fleet, again: Instant) -> Option<OwnedSemaphorePermit> {
    sleep_until(again).await;
    // The semaphore is never closed.
    fleet.turn.clone().acquire_owned().await.ok()
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
