use std::{
    future::Future,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use rustix::{
    event::{EventfdFlags, eventfd},
    io::Errno,
};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

const WAKE_UP: &str = "the accept thread cannot be woken";

/// Holds a worker's connections below their limit, and wakes the thread that accepts them.
#[derive(Clone, Debug)]
pub(super) struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    permits: Arc<Semaphore>,
    limit: u32,
    /// The thread waits for a connection to end.
    waiting: AtomicBool,
    closed: AtomicBool,
    /// So many places are wanted.
    wanted: AtomicUsize,
    is_wanted: Notify,
    /// Why nothing can be accepted any more.
    failure: OnceLock<String>,
    has_failed: Notify,
    /// A bit for each listener whose queued connections are for this worker alone.
    queues: AtomicU64,
    /// A bit for each listener that ends with this worker.
    ending: AtomicU64,
    wake: OwnedFd,
}

/// One connection's place; dropping it makes room.
#[derive(Debug)]
pub(super) struct Permit {
    place: Option<OwnedSemaphorePermit>,
    gate: Gate,
}

impl Gate {
    pub(super) fn new(limit: usize) -> io::Result<Self> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        Ok(Self(Arc::new(Inner {
            permits: Arc::new(Semaphore::new(limit as usize)),
            limit,
            waiting: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            wanted: AtomicUsize::new(0),
            is_wanted: Notify::new(),
            failure: OnceLock::new(),
            has_failed: Notify::new(),
            queues: AtomicU64::new(0),
            ending: AtomicU64::new(0),
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        })))
    }

    /// A place for a connection. With `None` the thread is woken when there may be one again.
    pub(super) fn try_enter(&self) -> Option<Permit> {
        self.try_permit().or_else(|| {
            self.wake_at_next_end();
            // A connection that ended in between saw no reason to wake anyone.
            self.try_permit()
        })
    }

    /// The most connections at once.
    pub(super) fn limit(&self) -> u32 {
        self.0.limit
    }

    /// Has the event loop make room for so many connections.
    pub(super) fn want_room(&self, places: usize) {
        self.0.wanted.store(places, SeqCst);
        self.0.is_wanted.notify_one();
    }

    /// Waits until there are connections without room. Gives how many places to make.
    pub(super) async fn room_wanted(&self) -> usize {
        self.0.is_wanted.notified().await;
        self.0.wanted.swap(0, SeqCst)
    }

    /// Wakes the thread when the next connection ends.
    pub(super) fn wake_at_next_end(&self) {
        self.0.waiting.store(true, SeqCst);
    }

    fn try_permit(&self) -> Option<Permit> {
        let place = self.0.permits.clone().try_acquire_owned().ok()?;
        Some(Permit {
            place: Some(place),
            gate: self.clone(),
        })
    }

    /// Tells the thread to stop accepting, after it has taken what the kernel has queued at the listeners
    /// that have a bit in `queues`. Those that have one in `ending` are shut down then.
    pub(super) fn close(&self, queues: u64, ending: u64) {
        self.0.ending.store(ending, SeqCst);
        self.0.queues.store(queues, SeqCst);
        self.0.closed.store(true, SeqCst);
        self.wake();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.0.closed.load(SeqCst)
    }

    /// Whether all that is queued at this listener is to be taken.
    pub(super) fn is_last_at(&self, listener: usize) -> bool {
        self.0.queues.load(SeqCst) >> listener & 1 == 1
    }

    /// Whether this listener is to be shut down.
    pub(super) fn ends(&self, listener: usize) -> bool {
        self.0.ending.load(SeqCst) >> listener & 1 == 1
    }

    /// Waits until no connection is left.
    pub(super) async fn empty(&self) {
        // The semaphore is never closed.
        let _ = self.0.permits.acquire_many(self.0.limit).await;
    }

    /// Has the thread look at the worker again.
    pub(super) fn wake(&self) {
        match rustix::io::write(&self.0.wake, &1_u64.to_ne_bytes()) {
            // At its maximum it wakes anyway.
            Ok(_) | Err(Errno::AGAIN) => {}
            Err(error) => self.fail_for(WAKE_UP, error),
        }
    }

    /// Looks whether the thread can still be woken: it might not be for a long time otherwise.
    pub(super) fn check(&self) {
        if let Err(error) = rustix::io::fcntl_getfd(&self.0.wake) {
            self.fail_for(WAKE_UP, error);
        }
    }

    /// Nothing can be accepted any more. The first reason counts.
    pub(super) fn fail_for(&self, what: &str, error: impl Into<io::Error>) {
        let error = error.into();
        self.fail(format!(
            "{what}: {error}; the application has closed a file descriptor that is not its own"
        ));
    }

    pub(super) fn fail(&self, reason: String) {
        if self.0.failure.set(reason).is_ok() {
            self.0.has_failed.notify_one();
        }
    }

    /// Waits until nothing can be accepted any more. Gives the reason, once.
    pub(super) async fn failed(&self) -> String {
        self.0.has_failed.notified().await;
        self.0.failure.get().cloned().unwrap_or_default()
    }

    pub(super) fn has_failed(&self) -> bool {
        self.0.failure.get().is_some()
    }

    /// Takes a wake-up back, so that the next one can be waited for.
    pub(super) fn woken(&self) {
        let _ = rustix::io::read(&self.0.wake, &mut [0; 8]);
    }
}

impl Permit {
    /// The place is that of this connection, and free again after its end.
    pub(super) fn held_by<F>(self, connection: F) -> Placed<F> {
        Placed {
            connection,
            permit: self,
        }
    }
}

pin_project! {
    /// A connection in its place.
    // An asynchronous block would need twice the room of the connection.
    pub(super) struct Placed<F> {
        #[pin]
        connection: F,
        permit: Permit,
    }
}

impl<F: Future> Future for Placed<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().connection.poll(cx)
    }
}

/// Readable when the thread is to look at the gate again.
impl AsFd for Gate {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.wake.as_fd()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.place = None;
        if self.gate.0.waiting.swap(false, SeqCst) {
            self.gate.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    fn is_awake(gate: &Gate) -> bool {
        let mut fds = [PollFd::new(gate, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).unwrap() == 1
    }

    #[test]
    fn the_end_of_a_connection_wakes_only_a_waiting_thread() {
        let gate = Gate::new(2).unwrap();
        let first = gate.try_enter().unwrap();
        drop(gate.try_enter().unwrap());
        assert!(!is_awake(&gate));

        let second = gate.try_enter().unwrap();
        assert!(gate.try_enter().is_none());
        drop(first);
        assert!(is_awake(&gate));
        gate.woken();
        assert!(!is_awake(&gate));
        assert!(gate.try_enter().is_some());
        drop(second);
    }

    #[tokio::test]
    async fn it_is_empty_when_all_have_left() {
        let gate = Gate::new(3).unwrap();
        let permit = gate.try_enter().unwrap();
        let mut empty = tokio_test::task::spawn(gate.empty());
        assert!(empty.poll().is_pending());
        drop(permit);
        assert!(empty.poll().is_ready());
    }

    #[test]
    fn closing_wakes() {
        let gate = Gate::new(1).unwrap();
        gate.close(0b10, 0b10);
        assert!(gate.is_closed() && is_awake(&gate));
        assert!(gate.is_last_at(1) && !gate.is_last_at(0));
        assert!(gate.ends(1) && !gate.ends(0));
    }
}
