//! The state machine of a slot.

use std::sync::Arc;

use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, watch},
    time::{Instant, sleep_until},
};

use crate::{
    control::RecycleReason,
    operator::{ProcessRole, WorkerStatus},
    supervisor::{
        backoff::Backoff,
        balance::surplus,
        event_loop::SlotEvent,
        process::{Process, ProcessUpdate},
        server::ReplaceRequest,
        server_state::ServerState,
    },
};

/// How a slot is to shut down.
#[derive(Clone, Copy, Debug)]
pub(in crate::supervisor) enum ShutdownMode {
    /// It is not to shut down.
    None,
    /// Leave queued connections to others, and finish all requests until this deadline.
    Retire(Instant),
    /// Serve queued connections, and finish all requests until this deadline.
    Drain(Instant),
    /// End at once.
    Now,
}

/// The slot of one worker. If its process dies, the slot starts another one. To replace a process, the slot starts the new one
/// first, and retires the old one when the new one serves.
///
/// There are two processes at most: a retired process must end before the next one is replaced.
#[derive(Debug)]
pub(in crate::supervisor) struct Slot {
    pub(super) server: Arc<ServerState>,
    pub(super) index: usize,
    pub(super) number: u64,
    pub(super) events: mpsc::Sender<SlotEvent>,
    pub(super) requests: mpsc::Receiver<ReplaceRequest>,
    pub(super) shutdown: watch::Receiver<ShutdownMode>,
    /// It serves, or starts in the place of one that died.
    pub(super) serving: Option<Process>,
    /// It starts while the other one still serves.
    pub(super) replacement: Option<Process>,
    /// It finishes its requests while the other one already serves.
    pub(super) retired: Option<Process>,
    /// A request that waits until a retired process has ended.
    pub(super) waiting: Option<ReplaceRequest>,
    /// A request whose worker is starting: as the replacement, or in the place of one that died.
    pub(super) request: Option<ReplaceRequest>,
    /// Why the serving worker is to be recycled, until it is its turn.
    pub(super) recycle: Option<RecycleReason>,
    /// Held while this slot recycles its worker.
    pub(super) permit: Option<OwnedSemaphorePermit>,
    /// The earliest time to recycle the worker, after a failure.
    pub(super) recycle_after: Instant,
    /// When the next worker starts after a death.
    pub(super) restart: Option<Instant>,
    pub(super) backoff: Backoff,
    /// The number of workers that have died.
    pub(super) deaths: u32,
    /// The number of requests that a stop has cut.
    pub(super) cut: usize,
}

impl Slot {
    pub(in crate::supervisor) fn new(
        server: Arc<ServerState>,
        index: usize,
        events: mpsc::Sender<SlotEvent>,
        requests: mpsc::Receiver<ReplaceRequest>,
        shutdown: watch::Receiver<ShutdownMode>,
    ) -> Self {
        let now = Instant::now();
        Self {
            number: server.next_number(),
            server,
            index,
            events,
            requests,
            shutdown,
            serving: None,
            replacement: None,
            retired: None,
            waiting: None,
            request: None,
            recycle: None,
            permit: None,
            recycle_after: now,
            restart: Some(now),
            backoff: Backoff::default(),
            deaths: 0,
            cut: 0,
        }
    }

    /// Keeps a worker running until the slot is shut down. Returns the number of requests that this has cut.
    pub(in crate::supervisor) async fn run(mut self) -> usize {
        while self.step().await {
            self.update_status();
        }
        self.server.set_status(self.id(), Vec::new());
        self.cut
    }

    /// Moves connections to siblings that have more capacity.
    fn balance(&self) {
        let Some(process) = &self.serving else {
            return;
        };
        let now = process.status(ProcessRole::Serving, self.deaths);
        let surplus = surplus(&now, &self.server.workers(), process.threads());
        if surplus > 0 {
            process.shed(surplus);
        }
    }

    /// Waits for one event and handles it. `false` when the slot has shut down.
    async fn step(&mut self) -> bool {
        let restart = self.restart.unwrap_or(self.recycle_after);
        let can_recycle = self.recycle.is_some() && self.can_replace();
        tokio::select! {
            biased;
            mode = changed(&mut self.shutdown) => self.shut_down(mode),
            update = next(&mut self.serving) => match update {
                ProcessUpdate::Ready => self.serving_ready().await,
                ProcessUpdate::Heartbeat => self.balance(),
                ProcessUpdate::Recycle(reason) => self.recycle_requested(reason),
                ProcessUpdate::Ended(ended) => self.serving_ended(ended).await,
            },
            update = next(&mut self.replacement) => match update {
                ProcessUpdate::Ready => self.replacement_ready(),
                ProcessUpdate::Ended(ended) => self.replacement_failed(ended),
                ProcessUpdate::Heartbeat | ProcessUpdate::Recycle(_) => {}
            },
            update = next(&mut self.retired) => match update {
                ProcessUpdate::Ended(ended) => self.retired_ended(&ended),
                // It has become ready after the request to drain, or is already replaced.
                ProcessUpdate::Ready | ProcessUpdate::Heartbeat | ProcessUpdate::Recycle(_) => {}
            },
            Some(request) = self.requests.recv(), if self.is_idle() => {
                self.waiting = Some(request);
                self.replace();
            }
            () = sleep_until(restart), if self.restart.is_some() => self.start().await,
            permit = recycling(&self.server, self.recycle_after), if can_recycle => {
                self.permit = permit;
                self.recycle();
            }
        }
        !self.is_stopping() || !self.is_empty()
    }

    /// Identifies this slot.
    fn id(&self) -> (usize, u64) {
        (self.index, self.number)
    }

    /// Reports the status of its processes.
    fn update_status(&self) {
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
        self.server.set_status(self.id(), workers);
    }

    pub(super) fn is_stopping(&self) -> bool {
        !matches!(*self.shutdown.borrow(), ShutdownMode::None)
    }

    fn is_empty(&self) -> bool {
        self.serving.is_none() && self.replacement.is_none() && self.retired.is_none()
    }

    /// Whether no replacement is requested or running.
    fn is_idle(&self) -> bool {
        self.waiting.is_none() && self.request.is_none() && self.permit.is_none()
    }

    /// Whether the serving worker can be replaced at once.
    fn can_replace(&self) -> bool {
        self.is_idle() && self.serving.is_some() && self.retired.is_none()
    }

    fn shut_down(&mut self, mode: ShutdownMode) {
        self.waiting = None;
        self.request = None;
        self.recycle = None;
        self.permit = None;
        self.restart = None;
        let processes = [&mut self.serving, &mut self.replacement, &mut self.retired];
        for process in processes.into_iter().flatten() {
            process.shut_down(mode);
        }
    }
}

/// Waits until the mode changes.
async fn changed(shutdown: &mut watch::Receiver<ShutdownMode>) -> ShutdownMode {
    if shutdown.changed().await.is_ok() {
        return *shutdown.borrow_and_update();
    }
    // The event loop has ended.
    if matches!(*shutdown.borrow(), ShutdownMode::None) {
        return ShutdownMode::Now;
    }
    std::future::pending().await
}

/// Waits until no other worker of the server is being recycled, and at least until `after`.
async fn recycling(server: &ServerState, after: Instant) -> Option<OwnedSemaphorePermit> {
    sleep_until(after).await;
    // The semaphore is never closed.
    server.recycling.clone().acquire_owned().await.ok()
}

/// The next update of the process, if there is one.
async fn next(process: &mut Option<Process>) -> ProcessUpdate {
    match process {
        Some(process) => process.next().await,
        None => std::future::pending().await,
    }
}
