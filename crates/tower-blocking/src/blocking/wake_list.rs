//! Wakes many tasks of an event loop for the price of one.
//!
//! To wake a task from another thread costs a system call, and a switch of threads where both share a
//! core. So threads that have answers leave the wakers in a list and wake one task of the loop, which
//! wakes the others from there, where it costs next to nothing.

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

/// How the wakers of the runtime's tasks are known.
static TASK: OnceLock<&'static RawWakerVTable> = OnceLock::new();

thread_local! {
    static HERE: RefCell<Option<(Id, Arc<WakeList>)>> = const { RefCell::new(None) };
}

/// How long a waker that was left may stay where nobody tells of it.
const LOOK: Duration = Duration::from_millis(2);

#[derive(Default)]
pub(super) struct WakeList(Mutex<State>);

#[derive(Default)]
struct State {
    wakers: Vec<Waker>,
    /// Of the task that wakes the others; `None` once it has been woken.
    task: Option<Waker>,
    /// That task looks by itself before long.
    looks: bool,
    /// It would be better if it did.
    wants_look: bool,
    /// The runtime has ended.
    closed: bool,
}

impl WakeList {
    /// Of the runtime whose task the waker wakes. There is none for other wakers: who waits in a blocking
    /// way on the thread of an event loop has to be woken by another one.
    pub(super) fn of(waker: &Waker) -> Option<Arc<Self>> {
        // The first time nobody knows.
        let known = TASK.get();
        if known.is_some_and(|task| !ptr::eq(*task, waker.vtable())) {
            return None;
        }
        let runtime = Handle::try_current().ok()?;
        let list = Self::here(&runtime);
        known.map(|_| list)
    }

    fn here(runtime: &Handle) -> Arc<Self> {
        HERE.with_borrow_mut(|here| {
            if let Some((id, list)) = here
                && *id == runtime.id()
            {
                return Arc::clone(list);
            }
            let list = Arc::<Self>::default();
            runtime.spawn(Waking {
                list: Arc::clone(&list),
                wakers: Vec::new(),
                look: Look::default(),
            });
            *here = Some((runtime.id(), Arc::clone(&list)));
            list
        })
    }

    /// Wakes a task of the list's runtime.
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

    /// Leaves the waker for later, until [`tell`](Self::tell). Says whether there is something to tell then: at
    /// first the task is woken, so that it knows to look by itself.
    pub(super) fn leave(&self, waker: Waker) -> bool {
        let mut state = self.state();
        if !state.looks {
            state.wants_look = true;
            drop(state);
            self.wake(waker);
            return false;
        }
        state.wakers.push(waker);
        true
    }

    /// Has the loop wake those whose wakers were left.
    pub(super) fn tell(&self) {
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

    /// Of a task that looks by itself, and was not told yet.
    #[cfg(test)]
    pub(super) fn looking() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            task: Some(Waker::noop().clone()),
            looks: true,
            ..State::default()
        })))
    }

    #[cfg(test)]
    pub(super) fn is_told(&self) -> bool {
        self.state().task.is_none()
    }

    // Nothing of others runs under the lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task that wakes the others, as long as its runtime lives.
struct Waking {
    list: Arc<WakeList>,
    wakers: Vec<Waker>,
    look: Look,
}

/// The looks of the task without being woken, while threads leave wakers.
#[derive(Default)]
struct Look {
    /// Until the next one; `None` where there is none.
    sleep: Option<Pin<Box<Sleep>>>,
    /// A waker was there since the last one.
    found: bool,
}

impl Look {
    /// Whether it is time for one.
    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let sleep = self.sleep.as_mut();
        sleep.is_some_and(|sleep| sleep.as_mut().poll(cx).is_ready())
    }

    /// Sees to the next one.
    fn again(&mut self, cx: &mut Context<'_>) {
        let next = Instant::now() + LOOK;
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(sleep_until(next)));
        sleep.as_mut().reset(next);
        // It knows the task now. It is not ready yet, but nobody would wake the task if it were.
        if sleep.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }
}

impl Future for Waking {
    type Output = Infallible;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Infallible> {
        let Self { list, wakers, look } = self.get_mut();
        TASK.get_or_init(|| cx.waker().vtable());
        let is_time = look.poll(cx);
        let looks = {
            let mut state = list.state();
            mem::swap(&mut state.wakers, wakers);
            state.task = Some(cx.waker().clone());
            look.found |= !wakers.is_empty();
            // None is wanted while there is a next one.
            let looks = if is_time {
                mem::take(&mut look.found)
            } else {
                mem::take(&mut state.wants_look)
            };
            if is_time || looks {
                state.looks = looks;
            }
            looks
        };
        if looks {
            look.again(cx);
        } else if is_time {
            look.sleep = None;
        }
        wakers.drain(..).for_each(Waker::wake);
        Poll::Pending
    }
}

impl Drop for Waking {
    fn drop(&mut self) {
        let wakers = {
            let mut state = self.list.state();
            state.closed = true;
            state.looks = false;
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

    /// The list of the task that waits for this.
    async fn list() -> Arc<WakeList> {
        poll_fn(|cx| match WakeList::of(cx.waker()) {
            Some(list) => Poll::Ready(list),
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
                    let list = list().await;
                    let ready = Arc::new(AtomicBool::new(false));
                    let mut started = false;
                    poll_fn(move |cx| {
                        if ready.load(SeqCst) {
                            return Poll::Ready(());
                        }
                        if !mem::replace(&mut started, true) {
                            let (list, ready) = (Arc::clone(&list), Arc::clone(&ready));
                            let waker = cx.waker().clone();
                            thread::spawn(move || {
                                ready.store(true, SeqCst);
                                list.wake(waker);
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
    async fn a_waker_that_is_left_is_told_of_or_found_by_and_by() {
        let wait = || {
            let (sender, receiver) = tokio::sync::oneshot::channel();
            (Arc::new(Mutex::new(Some(sender))), receiver)
        };
        let list = tokio::spawn(list()).await.unwrap();
        for tells in [false, true, false] {
            for _ in 0..50 {
                let (sender, receiver) = wait();
                let left = list.leave(futures_util::task::waker(Arc::new(Told(sender))));
                if tells && left {
                    list.tell();
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
        let list = Arc::<WakeList>::default();
        let mut waking = tokio_test::task::spawn(Waking {
            list: Arc::clone(&list),
            wakers: Vec::new(),
            look: Look::default(),
        });
        let (list, mut is_new) = (&list, true);
        let mut tasks = Vec::new();
        for step in steps {
            match step {
                0 | 1 => {
                    let mut task = tokio_test::task::spawn(poll_fn(move |cx| {
                        if step == 0 {
                            list.wake(cx.waker().clone());
                        } else {
                            list.leave(cx.waker().clone());
                        }
                        Poll::<()>::Pending
                    }));
                    assert!(task.poll().is_pending());
                    tasks.push(task);
                }
                2 => list.tell(),
                3 => tokio::time::advance(LOOK / 2).await,
                _ => {
                    if mem::take(&mut is_new) || waking.is_woken() {
                        assert!(waking.poll().is_pending());
                    }
                }
            }
        }
        if ends {
            drop(waking);
        } else {
            for _ in 0..4 {
                if mem::take(&mut is_new) || waking.is_woken() {
                    assert!(waking.poll().is_pending());
                }
                tokio::time::advance(LOOK * 2).await;
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

    struct Told(Arc<Mutex<Option<tokio::sync::oneshot::Sender<()>>>>);

    impl futures_util::task::ArcWake for Told {
        fn wake_by_ref(this: &Arc<Self>) {
            let _ = this.0.lock().unwrap().take().unwrap().send(());
        }
    }

    #[tokio::test]
    async fn who_blocks_within_a_task_is_not_woken_by_the_loop() {
        let task = tokio::spawn(async {
            list().await;
            block_on(pin!(poll_fn(|cx| Poll::Ready(
                WakeList::of(cx.waker()).is_none()
            ))))
        });
        assert!(task.await.unwrap());
    }

    #[test]
    fn each_runtime_has_its_own_and_after_its_end_tasks_are_woken_at_once() {
        let new = || {
            let runtime = Builder::new_current_thread().build().unwrap();
            runtime.block_on(runtime.spawn(list())).unwrap()
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
