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
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use tokio::{
    runtime::{Handle, Id},
    task,
};

thread_local! {
    static HERE: RefCell<Option<(Id, Arc<WakeList>)>> = const { RefCell::new(None) };
}

#[derive(Default)]
pub(super) struct WakeList(Mutex<State>);

#[derive(Default)]
struct State {
    wakers: Vec<Waker>,
    /// Of the task that wakes the others; `None` once it has been woken.
    task: Option<Waker>,
    /// The runtime has ended.
    closed: bool,
}

impl WakeList {
    /// Of the runtime that polls the current task. There is none outside of a task: nobody may be
    /// driving the runtime then.
    pub(super) fn current() -> Option<Arc<Self>> {
        task::try_id()?;
        let runtime = Handle::try_current().ok()?;
        HERE.with_borrow_mut(|here| {
            if let Some((id, list)) = here
                && *id == runtime.id()
            {
                return Some(Arc::clone(list));
            }
            let list = Arc::<Self>::default();
            runtime.spawn(Waking {
                list: Arc::clone(&list),
                wakers: Vec::new(),
            });
            *here = Some((runtime.id(), Arc::clone(&list)));
            Some(list)
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

    // Nothing of others runs under the lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task that wakes the others, as long as its runtime lives.
struct Waking {
    list: Arc<WakeList>,
    wakers: Vec<Waker>,
}

impl Future for Waking {
    type Output = Infallible;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Infallible> {
        let Self { list, wakers } = self.get_mut();
        {
            let mut state = list.state();
            mem::swap(&mut state.wakers, wakers);
            state.task = Some(cx.waker().clone());
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
        sync::atomic::{AtomicBool, Ordering::SeqCst},
        thread,
    };

    use tokio::runtime::Builder;

    use super::*;

    #[tokio::test]
    async fn many_tasks_are_woken_from_another_thread() {
        assert!(WakeList::current().is_none(), "this is not a task");
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let ready = Arc::new(AtomicBool::new(false));
                tokio::spawn(poll_fn(move |cx| {
                    if ready.load(SeqCst) {
                        return Poll::Ready(());
                    }
                    let list = WakeList::current().expect("this is a task");
                    let (ready, waker) = (Arc::clone(&ready), cx.waker().clone());
                    thread::spawn(move || {
                        ready.store(true, SeqCst);
                        list.wake(waker);
                    });
                    Poll::Pending
                }))
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    }

    #[test]
    fn each_runtime_has_its_own_and_after_its_end_tasks_are_woken_at_once() {
        let list = || {
            let runtime = Builder::new_current_thread().build().unwrap();
            let task = runtime.spawn(async { WakeList::current().unwrap() });
            runtime.block_on(task).unwrap()
        };
        let (one, other) = (list(), list());
        assert!(!Arc::ptr_eq(&one, &other));
        let mut task = tokio_test::task::spawn(poll_fn(|cx| {
            one.wake(cx.waker().clone());
            Poll::<()>::Pending
        }));
        assert!(task.poll().is_pending());
        assert!(task.is_woken());
    }
}
