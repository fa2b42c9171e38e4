//! The limit of a worker's connections, and how the accept thread is woken.

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
    time::{Duration, Instant},
};

use pin_project_lite::pin_project;
use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    io::{Errno, retry_on_intr},
};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tower_serve::Load;

use super::WorkerContext;
use crate::server_log::WarnLimit;

const WAKE_UP: &str = "the accept thread cannot be woken";

/// The limit of a worker's connections, which wakes the accept thread. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct ConnectionLimit(Arc<LimitState>);

#[derive(Debug)]
struct LimitState {
    permits: Arc<Semaphore>,
    max: u32,
    /// The thread waits for a connection to end.
    waiting: AtomicBool,
    closed: AtomicBool,
    /// The number of connections that are to make room.
    requested: AtomicUsize,
    is_requested: Notify,
    /// Why no connection can be accepted any more.
    failure: OnceLock<String>,
    has_failed: Notify,
    /// A bit for each listener whose queued connections only this worker accepts.
    queues: AtomicU64,
    /// A bit for each listener that is shut down by this worker.
    ending: AtomicU64,
    /// An eventfd.
    wake: OwnedFd,
}

/// The permit of one connection; dropping it makes room for another.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    permit: Option<OwnedSemaphorePermit>,
    limit: ConnectionLimit,
}

impl ConnectionLimit {
    pub(super) fn new(max: usize) -> io::Result<Self> {
        let max = u32::try_from(max).unwrap_or(u32::MAX);
        Ok(Self(Arc::new(LimitState {
            permits: Arc::new(Semaphore::new(max as usize)),
            max,
            waiting: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            requested: AtomicUsize::new(0),
            is_requested: Notify::new(),
            failure: OnceLock::new(),
            has_failed: Notify::new(),
            queues: AtomicU64::new(0),
            ending: AtomicU64::new(0),
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        })))
    }

    /// A permit for a connection. If there is none, the thread is woken when there may be one again.
    pub(super) fn try_acquire(&self) -> Option<ConnectionPermit> {
        self.try_permit().or_else(|| {
            self.wake_at_next_end();
            // A connection that ended in between has not woken the thread.
            self.try_permit()
        })
    }

    /// The most connections at a time.
    pub(super) fn max(&self) -> u32 {
        self.0.max
    }

    /// Has the event loop make room for this many connections.
    pub(super) fn request_room(&self, connections: usize) {
        self.0.requested.store(connections, SeqCst);
        self.0.is_requested.notify_one();
    }

    /// Waits until the thread requests room. Returns the number of connections.
    async fn room_requested(&self) -> usize {
        self.0.is_requested.notified().await;
        self.0.requested.swap(0, SeqCst)
    }

    /// Wakes the thread when the next connection ends.
    pub(super) fn wake_at_next_end(&self) {
        self.0.waiting.store(true, SeqCst);
    }

    fn try_permit(&self) -> Option<ConnectionPermit> {
        let permit = self.0.permits.clone().try_acquire_owned().ok()?;
        Some(ConnectionPermit {
            permit: Some(permit),
            limit: self.clone(),
        })
    }

    /// Makes the thread stop, after it has accepted what the kernel has queued at the listeners that have a bit in `queues`.
    /// Those that have a bit in `ending` are shut down afterwards.
    pub(super) fn close(&self, queues: u64, ending: u64) {
        self.0.ending.store(ending, SeqCst);
        self.0.queues.store(queues, SeqCst);
        self.0.closed.store(true, SeqCst);
        self.wake();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.0.closed.load(SeqCst)
    }

    /// Blocks until the limit is closed, at most for this time. Whether it is closed.
    pub(super) fn closes_within(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        while !self.is_closed() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || !self.pause(left) {
                break;
            }
        }
        self.is_closed()
    }

    /// Waits for a wake-up, at most for this time. `false` if the wake-up is broken.
    pub(super) fn pause(&self, time: Duration) -> bool {
        let time = Timespec {
            tv_sec: time.as_secs().cast_signed(),
            tv_nsec: time.subsec_nanos().into(),
        };
        let mut fds = [PollFd::new(self, PollFlags::IN)];
        match retry_on_intr(|| poll(&mut fds, Some(&time))) {
            Ok(0) => true,
            Ok(_) => {
                self.woken();
                fds[0].revents() == PollFlags::IN
            }
            Err(_) => false,
        }
    }

    /// Whether this worker is to accept all queued connections of the listener.
    pub(super) fn is_last_at(&self, listener: usize) -> bool {
        self.0.queues.load(SeqCst) >> listener & 1 == 1
    }

    /// Whether this worker is to shut the listener down.
    pub(super) fn ends(&self, listener: usize) -> bool {
        self.0.ending.load(SeqCst) >> listener & 1 == 1
    }

    /// Waits until all permits are released.
    pub(super) async fn all_released(&self) {
        // The semaphore is never closed.
        let _ = self.0.permits.acquire_many(self.0.max).await;
    }

    /// Wakes the thread.
    pub(super) fn wake(&self) {
        match rustix::io::write(&self.0.wake, &1_u64.to_ne_bytes()) {
            // At its maximum the eventfd is readable anyway.
            Ok(_) | Err(Errno::AGAIN) => {}
            Err(error) => self.fail_for(WAKE_UP, error),
        }
    }

    /// Checks that the thread can still be woken, before that is needed.
    pub(super) fn check(&self) {
        if let Err(error) = rustix::io::fcntl_getfd(&self.0.wake) {
            self.fail_for(WAKE_UP, error);
        }
    }

    /// Reports that no connection can be accepted any more. The first reason is kept.
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

    /// Waits until no connection can be accepted any more. Returns the reason, once.
    pub(super) async fn failed(&self) -> String {
        self.0.has_failed.notified().await;
        self.0.failure.get().cloned().unwrap_or_default()
    }

    pub(super) fn has_failed(&self) -> bool {
        self.0.failure.get().is_some()
    }

    /// Resets the wake-up, so that the thread can wait for the next one.
    pub(super) fn woken(&self) {
        let _ = rustix::io::read(&self.0.wake, &mut [0; 8]);
    }
}

impl ConnectionPermit {
    /// Keeps the permit until the connection ends.
    pub(super) fn held_by<F>(self, connection: F) -> WithPermit<F> {
        WithPermit {
            connection,
            permit: self,
        }
    }
}

pin_project! {
    /// A connection with its permit.
    // An asynchronous block would need twice the memory of the connection.
    pub(super) struct WithPermit<F> {
        #[pin]
        connection: F,
        permit: ConnectionPermit,
    }
}

impl<F: Future> Future for WithPermit<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().connection.poll(cx)
    }
}

/// Readable when the thread is woken.
impl AsFd for ConnectionLimit {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.wake.as_fd()
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.permit = None;
        if self.limit.0.waiting.swap(false, SeqCst) {
            self.limit.wake();
        }
    }
}

/// Closes idle connections when new ones wait at the limit, and warns of that.
pub(super) async fn make_room(worker: WorkerContext, limit: ConnectionLimit, load: Load) {
    let max_connections = limit.max();
    let (mut closing, mut waiting) = (WarnLimit::default(), WarnLimit::default());
    let mut closed = 0;
    loop {
        let connections = limit.room_requested().await;
        closed += load.make_room(connections);
        let (server, slot) = (worker.server(), worker.slot());
        if closed > 0 && closing.is_due() {
            tracing::warn!(
                server,
                slot,
                max_connections,
                closed,
                "max_connections reached; the connections that are idle for longest are closed for new ones"
            );
            closed = 0;
        } else if closed == 0 && waiting.is_due() {
            tracing::warn!(
                server,
                slot,
                max_connections,
                "max_connections reached and no connection is idle; new connections wait"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_awake(limit: &ConnectionLimit) -> bool {
        let mut fds = [PollFd::new(limit, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).unwrap() == 1
    }

    #[test]
    fn the_end_of_a_connection_wakes_only_a_waiting_thread() {
        let limit = ConnectionLimit::new(2).unwrap();
        let first = limit.try_acquire().unwrap();
        drop(limit.try_acquire().unwrap());
        assert!(!is_awake(&limit));

        let second = limit.try_acquire().unwrap();
        assert!(limit.try_acquire().is_none());
        drop(first);
        assert!(is_awake(&limit));
        limit.woken();
        assert!(!is_awake(&limit));
        assert!(limit.try_acquire().is_some());
        drop(second);
    }

    #[tokio::test]
    async fn it_knows_when_all_permits_are_released() {
        let limit = ConnectionLimit::new(3).unwrap();
        let permit = limit.try_acquire().unwrap();
        let mut released = tokio_test::task::spawn(limit.all_released());
        assert!(released.poll().is_pending());
        drop(permit);
        assert!(released.poll().is_ready());
    }

    #[test]
    fn closing_wakes() {
        let limit = ConnectionLimit::new(1).unwrap();
        limit.close(0b10, 0b10);
        assert!(limit.is_closed() && is_awake(&limit));
        assert!(limit.is_last_at(1) && !limit.is_last_at(0));
        assert!(limit.ends(1) && !limit.ends(0));
    }

    #[test]
    fn the_thread_can_wait_for_the_close() {
        let limit = ConnectionLimit::new(1).unwrap();
        assert!(!limit.closes_within(Duration::ZERO));
        let closed = limit.clone();
        let closing = std::thread::spawn(move || {
            // A wake-up for another reason.
            closed.wake();
            closed.close(0, 0);
        });
        assert!(limit.closes_within(Duration::from_secs(60)));
        closing.join().unwrap();
    }
}
