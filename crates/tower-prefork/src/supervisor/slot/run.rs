use std::sync::Arc;

use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, watch},
    time::{Instant, sleep_until},
};

use crate::{
    operator::{ProcessRole, WorkerStatus},
    supervisor::{
        backoff::Backoff,
        balance::surplus,
        fleet::Fleet,
        process::{Happening, Process, Spent},
        reload::Replace,
        run::Event,
    },
};

/// Whether a slot goes on.
#[derive(Clone, Copy, Debug)]
pub(in crate::supervisor) enum Stop {
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
pub(in crate::supervisor) struct Slot {
    pub(super) fleet: Arc<Fleet>,
    pub(super) index: usize,
    pub(super) number: u64,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) orders: mpsc::Receiver<Replace>,
    pub(super) stop: watch::Receiver<Stop>,
    /// Serves, or starts in the place of one that died.
    pub(super) serving: Option<Process>,
    /// Starts while the other still serves.
    pub(super) replacement: Option<Process>,
    /// Finishes what it has, while the other serves already.
    pub(super) retired: Option<Process>,
    /// An order that waits for room.
    pub(super) waiting: Option<Replace>,
    /// An order whose worker starts: as the replacement, or else, when the other has died, as the
    /// one that serves.
    pub(super) order: Option<Replace>,
    /// Why the worker that serves is to be replaced, when it is its turn.
    pub(super) spent: Option<Spent>,
    /// Nobody else of the server is replaced for being spent.
    pub(super) turn: Option<OwnedSemaphorePermit>,
    /// Not before this time, after a replacement that failed.
    pub(super) again: Instant,
    /// When the next worker starts after a death.
    pub(super) restart: Option<Instant>,
    pub(super) backoff: Backoff,
    /// Workers that have died.
    pub(super) deaths: u32,
    /// Requests that were not finished when the program stopped.
    pub(super) cut: usize,
}

impl Slot {
    pub(in crate::supervisor) fn new(
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
    pub(in crate::supervisor) async fn run(mut self) -> usize {
        while self.step().await {
            self.post();
        }
        self.fleet.post(self.place(), Vec::new());
        self.cut
    }

    /// Lets connections go to siblings that have more room.
    fn balance(&self) {
        let Some(process) = &self.serving else {
            return;
        };
        let now = process.status(ProcessRole::Serving, self.deaths);
        let surplus = surplus(&now, &self.fleet.workers(), process.threads());
        if surplus > 0 {
            process.shed(surplus);
        }
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
            (&self.serving, ProcessRole::Serving),
            (&self.replacement, ProcessRole::Replacement),
            (&self.retired, ProcessRole::Retired),
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

    pub(super) fn is_stopping(&self) -> bool {
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

/// What happens to the process, if there is one.
async fn next(process: &mut Option<Process>) -> Happening {
    match process {
        Some(process) => process.next().await,
        None => std::future::pending().await,
    }
}
