//! The start of a pool's threads: their names, what happens when the system refuses one, and the end of their runtime.

use std::{
    future::pending,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::task::AbortHandle;

use super::shared::PoolShared;
use crate::throttle::Throttle;

/// Starts threads and names them.
pub(super) struct Spawner {
    state: Mutex<SpawnerState>,
    refused: Throttle,
}

struct SpawnerState {
    name: String,
    stack_size: Option<usize>,
    /// Whether the number of this index belongs to a thread.
    taken: Vec<bool>,
}

impl Spawner {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(SpawnerState {
                name: "blocking".to_owned(),
                stack_size: None,
                taken: Vec::new(),
            }),
            refused: Throttle::new(),
        })
    }

    pub(super) fn set_name(&self, name: String) {
        self.state().name = name;
    }

    pub(super) fn set_stack_size(&self, bytes: usize) {
        self.state().stack_size = Some(bytes);
    }

    /// Starts a thread, and does not wait until it runs. If the system refuses it, `work` is dropped.
    pub(super) fn spawn(self: &Arc<Self>, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let (builder, number) = self.next();
        let spawned = builder.spawn(move || {
            // It is free when the thread has ended.
            let _number = number;
            work();
        });
        spawned.map(drop)
    }

    fn next(self: &Arc<Self>) -> (thread::Builder, ThreadNumber) {
        let mut state = self.state();
        let free = state.taken.iter().position(|taken| !taken);
        let index = free.unwrap_or_else(|| {
            state.taken.push(false);
            state.taken.len() - 1
        });
        state.taken[index] = true;
        let mut builder = thread::Builder::new().name(format!("{}-{}", state.name, index + 1));
        if let Some(bytes) = state.stack_size {
            builder = builder.stack_size(bytes);
        }
        let spawner = Arc::clone(self);
        (builder, ThreadNumber { spawner, index })
    }

    // Nothing panics under the lock.
    fn state(&self) -> MutexGuard<'_, SpawnerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The number in the name of a thread, until the thread ends.
struct ThreadNumber {
    spawner: Arc<Spawner>,
    index: usize,
}

impl Drop for ThreadNumber {
    fn drop(&mut self) {
        self.spawner.state().taken[self.index] = false;
    }
}

/// How long after its first refusal the system is asked for a thread again. The delay doubles with each further one.
const FIRST_DELAY: Duration = Duration::from_millis(100);

/// The maximum of this delay.
const MAX_DELAY: Duration = Duration::from_secs(10);

/// What the queue remembers of the threads that the system has refused.
#[derive(Default)]
pub(super) struct ThreadRefusals {
    /// The delay after the last one; `None` once the system has started a thread since.
    delay: Option<Duration>,
}

/// What the pool does after a refusal.
pub(super) struct ThreadRefusal {
    /// The delay after which the system is asked again.
    pub(super) delay: Duration,
    /// The number of threads that the pool has.
    pub(super) threads: usize,
}

impl ThreadRefusals {
    /// Records one. Returns the delay after which to ask again, which is short for a pool without any thread.
    pub(super) fn add(&mut self, threads: usize) -> Duration {
        let next = self
            .delay
            .map_or(FIRST_DELAY, |delay| MAX_DELAY.min(2 * delay));
        let delay = if threads == 0 { FIRST_DELAY } else { next };
        self.delay = Some(delay);
        delay
    }

    /// The system has started a thread.
    pub(super) fn end(&mut self) {
        self.delay = None;
    }

    /// Whether a thread that ends might not be replaced.
    pub(super) fn are_recent(&self) -> bool {
        self.delay.is_some()
    }
}

/// The system has refused a thread. Must not be called under the lock.
pub(super) fn thread_refused(shared: &Arc<PoolShared>, error: &io::Error) {
    let refusal = shared.queue().refuse_thread(tokio::time::Instant::now);
    tokio::spawn(retry(StartPause(Arc::clone(shared)), refusal.delay));
    PoolShared::start_queue_timeout(shared);
    let Some(times) = shared.spawner.refused.pass(Instant::now()) else {
        return;
    };
    if refusal.threads == 0 {
        tracing::warn!(
            %error,
            times,
            "the system refuses threads and the pool has none, so requests get 503; \
            raise pids.max of the control group, or RLIMIT_NPROC (ulimit -u) of the user"
        );
    } else {
        tracing::warn!(
            %error,
            times,
            threads = refusal.threads,
            "the system refuses the pool more threads, so it continues with those that it has; \
            raise pids.max of the control group, or RLIMIT_NPROC (ulimit -u) of the user"
        );
    }
}

async fn retry(pause: StartPause, delay: Duration) {
    tokio::time::sleep(delay).await;
    let shared = Arc::clone(&pause.0);
    drop(pause);
    let dispatch = shared.queue().call_thread();
    PoolShared::dispatch(&shared, dispatch);
}

/// No thread is started until this is dropped, which is with its runtime at the latest.
struct StartPause(Arc<PoolShared>);

impl Drop for StartPause {
    fn drop(&mut self) {
        self.0.queue().threads.resume_starts();
    }
}

/// Detects that a runtime is shut down: it drops its tasks then.
pub(super) struct RuntimeShutdown {
    is_complete: Arc<AtomicBool>,
    task: AbortHandle,
}

impl RuntimeShutdown {
    /// Watches the current runtime. `notify` is called when it is shut down, or when this is dropped.
    pub(super) fn watch(notify: impl Fn() + Send + 'static) -> Self {
        let is_complete = Arc::new(AtomicBool::new(false));
        let on_drop = NotifyOnDrop {
            is_complete: Arc::clone(&is_complete),
            notify,
        };
        let task = tokio::spawn(async move {
            let _on_drop = on_drop;
            pending::<()>().await;
        });
        Self {
            is_complete,
            task: task.abort_handle(),
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.is_complete.load(Ordering::Acquire)
    }
}

impl Drop for RuntimeShutdown {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct NotifyOnDrop<F: Fn()> {
    is_complete: Arc<AtomicBool>,
    notify: F,
}

impl<F: Fn()> Drop for NotifyOnDrop<F> {
    fn drop(&mut self) {
        self.is_complete.store(true, Ordering::Release);
        (self.notify)();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// More than there is address space for.
    const TOO_MUCH: usize = 1 << 60;

    #[test]
    fn a_thread_has_the_smallest_number_that_is_free() {
        let spawner = Spawner::new();
        spawner.set_name("worker-thread".to_owned());
        let numbers: Vec<_> = (0..3).map(|_| spawner.next().1).collect();
        let [first, second, third] = numbers.try_into().ok().unwrap();
        assert_eq!([first.index, second.index, third.index], [0, 1, 2]);
        drop(second);
        let (say, hear) = mpsc::sync_channel(1);
        let name = move || {
            say.send(thread::current().name().map(str::to_owned))
                .unwrap();
        };
        spawner.spawn(name).unwrap();
        assert_eq!(hear.recv().unwrap().unwrap(), "worker-thread-2");
    }

    #[test]
    fn a_thread_that_is_refused_keeps_no_number() {
        let spawner = Spawner::new();
        spawner.set_stack_size(TOO_MUCH);
        let held = Arc::new(());
        let theirs = Arc::clone(&held);
        spawner.spawn(move || drop(theirs)).unwrap_err();
        assert_eq!(Arc::strong_count(&held), 1, "it never runs");
        assert_eq!(spawner.next().1.index, 0);
    }

    #[test]
    fn the_delay_between_attempts_grows_but_for_the_first_thread() {
        let mut refusals = ThreadRefusals::default();
        assert!(!refusals.are_recent());
        let delays: Vec<_> = (0..9).map(|_| refusals.add(1).as_millis()).collect();
        assert_eq!(
            delays,
            [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]
        );
        assert_eq!(refusals.add(0), FIRST_DELAY);
        assert!(refusals.are_recent());
        refusals.add(1);
        refusals.end();
        assert!(!refusals.are_recent());
        assert_eq!(refusals.add(1), FIRST_DELAY);
    }
}
