//! Wakes many tasks of an event loop with one wake.
//!
//! Waking a task from another thread costs a system call, and a context switch where both threads share a core. So
//! threads that have responses push the wakers into the event loop's batch and wake one task of the loop, which wakes
//! the others from there, where a wake costs next to nothing.

use std::{
    cell::RefCell,
    convert::Infallible,
    mem,
    pin::Pin,
    ptr,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    task::{Context, Poll, RawWakerVTable, Waker},
    time::Duration,
};

use tokio::{
    runtime::{Handle, Id},
    time::{Instant, Sleep, sleep_until},
};

/// By this the wakers of the runtime's tasks are recognized.
static TASK_VTABLE: OnceLock<&'static RawWakerVTable> = OnceLock::new();

thread_local! {
    static HERE: RefCell<Option<(Id, Arc<WakeBatch>)>> = const { RefCell::new(None) };
}

/// How long a pushed waker may stay if no thread flushes the batch.
const FLUSH_INTERVAL: Duration = Duration::from_millis(2);

/// The wakers of one event loop's tasks that its [`WakeTask`] has to wake.
#[derive(Default)]
pub(super) struct WakeBatch(Mutex<BatchState>);

#[derive(Default)]
struct BatchState {
    wakers: Vec<Waker>,
    /// Wakes the `WakeTask`; `None` once it has been woken.
    task: Option<Waker>,
    /// The `WakeTask` has a timer that flushes the batch.
    has_timer: bool,
    /// A thread wants it to have one.
    wants_timer: bool,
    /// The runtime has ended.
    closed: bool,
}

impl WakeBatch {
    /// The batch of the current runtime, if `waker` belongs to one of its tasks. Other wakers have none: code that
    /// blocks the thread of an event loop has to be woken by another thread.
    pub(super) fn of(waker: &Waker) -> Option<Arc<Self>> {
        // Not known before the first `WakeTask` has run.
        let known = TASK_VTABLE.get();
        if known.is_some_and(|task| !ptr::eq(*task, waker.vtable())) {
            return None;
        }
        let runtime = Handle::try_current().ok()?;
        let batch = Self::here(&runtime);
        known.map(|_| batch)
    }

    fn here(runtime: &Handle) -> Arc<Self> {
        HERE.with_borrow_mut(|here| {
            if let Some((id, batch)) = here
                && *id == runtime.id()
            {
                return Arc::clone(batch);
            }
            let batch = Arc::<Self>::default();
            runtime.spawn(WakeTask {
                batch: Arc::clone(&batch),
                wakers: Vec::new(),
                timer: FlushTimer::default(),
            });
            *here = Some((runtime.id(), Arc::clone(&batch)));
            batch
        })
    }

    /// Wakes a task of the batch's runtime.
    pub(super) fn wake(&self, waker: Waker) {
        let mut state = self.state();
        if state.closed {
            drop(state);
            return waker.wake();
        }
        state.wakers.push(waker);
        let task = state.task.take();
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
    }

    /// Adds the waker for the next [`flush`](Self::flush). Returns whether there is something to flush: without a timer
    /// the `WakeTask` is woken at once, so that it starts one.
    pub(super) fn push(&self, waker: Waker) -> bool {
        let mut state = self.state();
        if !state.has_timer {
            state.wants_timer = true;
            drop(state);
            self.wake(waker);
            return false;
        }
        state.wakers.push(waker);
        true
    }

    /// Has the event loop wake the tasks whose wakers were pushed.
    pub(super) fn flush(&self) {
        let mut state = self.state();
        let task = if state.wakers.is_empty() {
            None
        } else {
            state.task.take()
        };
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
    }

    /// A batch whose task has a timer.
    #[cfg(test)]
    pub(super) fn with_timer() -> Arc<Self> {
        Arc::new(Self(Mutex::new(BatchState {
            task: Some(Waker::noop().clone()),
            has_timer: true,
            ..BatchState::default()
        })))
    }

    #[cfg(test)]
    pub(super) fn is_flushed(&self) -> bool {
        self.state().task.is_none()
    }

    // No foreign code runs under the lock.
    fn state(&self) -> MutexGuard<'_, BatchState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task of an event loop that wakes the others, for as long as its runtime lives.
struct WakeTask {
    batch: Arc<WakeBatch>,
    wakers: Vec<Waker>,
    timer: FlushTimer,
}

/// Flushes a batch while threads push wakers.
#[derive(Default)]
struct FlushTimer {
    /// Until the next flush; `None` while it is off.
    sleep: Option<Pin<Box<Sleep>>>,
    /// Whether there was a waker since the last flush.
    found: bool,
}

impl FlushTimer {
    /// Whether it is time to flush.
    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let sleep = self.sleep.as_mut();
        sleep.is_some_and(|sleep| sleep.as_mut().poll(cx).is_ready())
    }

    /// Starts it for the next flush.
    fn restart(&mut self, cx: &mut Context<'_>) {
        let next = Instant::now() + FLUSH_INTERVAL;
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(sleep_until(next)));
        sleep.as_mut().reset(next);
        // The first poll registers the task. If the time has come already, nothing else would wake it.
        if sleep.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }
}

impl Future for WakeTask {
    type Output = Infallible;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Infallible> {
        let Self {
            batch,
            wakers,
            timer,
        } = self.get_mut();
        TASK_VTABLE.get_or_init(|| cx.waker().vtable());
        let is_time = timer.poll(cx);
        let restart = {
            let mut state = batch.state();
            mem::swap(&mut state.wakers, wakers);
            state.task = Some(cx.waker().clone());
            timer.found |= !wakers.is_empty();
            // `wants_timer` is not set while there is one.
            let restart = if is_time {
                mem::take(&mut timer.found)
            } else {
                mem::take(&mut state.wants_timer)
            };
            if is_time || restart {
                state.has_timer = restart;
            }
            restart
        };
        if restart {
            timer.restart(cx);
        } else if is_time {
            timer.sleep = None;
        }
        wakers.drain(..).for_each(Waker::wake);
        Poll::Pending
    }
}

impl Drop for WakeTask {
    fn drop(&mut self) {
        let wakers = {
            let mut state = self.batch.state();
            state.closed = true;
            state.has_timer = false;
            state.task = None;
            mem::take(&mut state.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        pin::pin,
        sync::atomic::{AtomicBool, Ordering::SeqCst},
        thread,
    };

    use proptest::prelude::*;
    use tokio::runtime::Builder;
    use tokio_test::task::Spawn;

    use super::*;
    use crate::blocking::block_on::block_on;

    /// The batch of the task that waits for this.
    async fn batch() -> Arc<WakeBatch> {
        poll_fn(|cx| match WakeBatch::of(cx.waker()) {
            Some(batch) => Poll::Ready(batch),
            None => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        })
        .await
    }

    #[tokio::test]
    async fn many_tasks_are_woken_from_another_thread() {
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                tokio::spawn(async {
                    let batch = batch().await;
                    let ready = Arc::new(AtomicBool::new(false));
                    let mut started = false;
                    poll_fn(move |cx| {
                        if ready.load(SeqCst) {
                            return Poll::Ready(());
                        }
                        if !mem::replace(&mut started, true) {
                            let (batch, ready) = (Arc::clone(&batch), Arc::clone(&ready));
                            let waker = cx.waker().clone();
                            thread::spawn(move || {
                                ready.store(true, SeqCst);
                                batch.wake(waker);
                            });
                        }
                        Poll::Pending
                    })
                    .await;
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_pushed_waker_is_woken_by_a_flush_or_by_the_timer() {
        let wait = || {
            let (sender, receiver) = tokio::sync::oneshot::channel();
            (Arc::new(Mutex::new(Some(sender))), receiver)
        };
        let batch = tokio::spawn(batch()).await.unwrap();
        for flushes in [false, true, false] {
            for _ in 0..50 {
                let (sender, receiver) = wait();
                let pushed = batch.push(futures_util::task::waker(Arc::new(Notified(sender))));
                if flushes && pushed {
                    batch.flush();
                }
                tokio::time::timeout(Duration::from_secs(60), receiver)
                    .await
                    .unwrap()
                    .unwrap();
            }
        }
    }

    /// The steps of threads and of the event loop, each of which takes the lock once, in some order.
    async fn take_steps(steps: Vec<u8>, ends: bool) {
        let batch = Arc::<WakeBatch>::default();
        let mut wake_task = tokio_test::task::spawn(WakeTask {
            batch: Arc::clone(&batch),
            wakers: Vec::new(),
            timer: FlushTimer::default(),
        });
        let (batch, mut is_new) = (&batch, true);
        let mut tasks = Vec::new();
        for step in steps {
            match step {
                0 | 1 => {
                    let mut task = tokio_test::task::spawn(poll_fn(move |cx| {
                        if step == 0 {
                            batch.wake(cx.waker().clone());
                        } else {
                            batch.push(cx.waker().clone());
                        }
                        Poll::<()>::Pending
                    }));
                    assert!(task.poll().is_pending());
                    tasks.push(task);
                }
                2 => batch.flush(),
                3 => tokio::time::advance(FLUSH_INTERVAL / 2).await,
                _ => {
                    if mem::take(&mut is_new) || wake_task.is_woken() {
                        assert!(wake_task.poll().is_pending());
                    }
                }
            }
        }
        if ends {
            drop(wake_task);
        } else {
            for _ in 0..4 {
                if mem::take(&mut is_new) || wake_task.is_woken() {
                    assert!(wake_task.poll().is_pending());
                }
                tokio::time::advance(FLUSH_INTERVAL * 2).await;
            }
        }
        assert!(tasks.iter().all(Spawn::is_woken), "a wake-up is lost");
    }

    proptest! {
        #[test]
        fn no_waker_is_lost_in_whatever_order_threads_and_the_event_loop_take_their_steps(
            steps in prop::collection::vec(0_u8..5, 0..40),
            ends: bool,
        ) {
            let mut builder = Builder::new_current_thread();
            let runtime = builder.enable_time().start_paused(true).build().unwrap();
            runtime.block_on(take_steps(steps, ends));
        }
    }

    struct Notified(Arc<Mutex<Option<tokio::sync::oneshot::Sender<()>>>>);

    impl futures_util::task::ArcWake for Notified {
        fn wake_by_ref(this: &Arc<Self>) {
            let _ = this.0.lock().unwrap().take().unwrap().send(());
        }
    }

    #[tokio::test]
    async fn who_blocks_within_a_task_is_not_woken_by_the_loop() {
        let task = tokio::spawn(async {
            batch().await;
            block_on(pin!(poll_fn(|cx| Poll::Ready(
                WakeBatch::of(cx.waker()).is_none()
            ))))
        });
        assert!(task.await.unwrap());
    }

    #[test]
    fn each_runtime_has_its_own_and_after_its_end_tasks_are_woken_at_once() {
        let new = || {
            let runtime = Builder::new_current_thread().build().unwrap();
            runtime.block_on(runtime.spawn(batch())).unwrap()
        };
        let (one, other) = (new(), new());
        assert!(!Arc::ptr_eq(&one, &other));
        let mut task = tokio_test::task::spawn(poll_fn(|cx| {
            one.wake(cx.waker().clone());
            Poll::<()>::Pending
        }));
        assert!(task.poll().is_pending());
        assert!(task.is_woken());
    }
}
