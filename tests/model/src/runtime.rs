//! `tokio::runtime`: an event loop of one thread, which waits where it has nothing to do.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    mem,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread,
};

use crate::time::Instant;

thread_local! {
    static CURRENT: RefCell<Option<Handle>> = const { RefCell::new(None) };
}

type Spawned = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Of an event loop.
#[derive(Clone)]
pub(crate) struct Handle(Arc<Shared>);

/// Which event loop it is.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Id(usize);

#[derive(Debug)]
pub(crate) struct NoRuntime;

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// A task is ready, or there is another timer.
    wakeup: shuttle::sync::Condvar,
    spawned: Mutex<Vec<Arc<Task>>>,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Arc<Task>>,
    last_timer: u64,
    /// Those that a task waits for.
    timers: BTreeMap<u64, (Instant, Waker)>,
}

/// What wakes a task: the vtable of its waker is the same for all.
struct Task {
    runtime: Handle,
    /// `None` for the one that the event loop was started with, while it is polled, and at the end.
    future: Mutex<Option<Spawned>>,
    aborted: AtomicBool,
}

/// Of a task that was spawned.
pub(crate) struct AbortHandle(Arc<Task>);

/// Until this is dropped, the thread belongs to an event loop.
pub(crate) struct EnterGuard(Option<Handle>);

/// As [`Handle::spawn`], in the current event loop.
pub(crate) fn spawn<F: Future + Send + 'static>(future: F) -> AbortHandle {
    Handle::current().spawn(future)
}

impl Handle {
    pub(crate) fn try_current() -> Result<Self, NoRuntime> {
        CURRENT.with_borrow(Clone::clone).ok_or(NoRuntime)
    }

    pub(crate) fn current() -> Self {
        Self::try_current().expect("a thread of an event loop")
    }

    pub(crate) fn id(&self) -> Id {
        Id(Arc::as_ptr(&self.0).addr())
    }

    /// A task for as long as the event loop runs.
    pub(crate) fn spawn<F: Future + Send + 'static>(&self, future: F) -> AbortHandle {
        let future = async {
            future.await;
        };
        let task = self.task(Some(Box::pin(future)));
        self.0.spawned.lock().unwrap().push(Arc::clone(&task));
        Arc::clone(&task).wake();
        AbortHandle(task)
    }

    pub(crate) fn enter(&self) -> EnterGuard {
        let before = Self::try_current().ok();
        CURRENT.set(Some(self.clone()));
        EnterGuard(before)
    }

    /// The number of another timer.
    pub(crate) fn timer(&self) -> u64 {
        let mut state = self.state();
        state.last_timer += 1;
        state.last_timer
    }

    pub(crate) fn set_timer(&self, id: u64, deadline: Instant, waker: Waker) {
        self.state().timers.insert(id, (deadline, waker));
        self.0.wakeup.notify_one();
    }

    pub(crate) fn remove_timer(&self, id: u64) {
        self.state().timers.remove(&id);
    }

    fn task(&self, future: Option<Spawned>) -> Arc<Task> {
        Arc::new(Task {
            runtime: self.clone(),
            future: Mutex::new(future),
            aborted: AtomicBool::new(false),
        })
    }

    /// The next task that is ready. Time goes by where there is none: the first timer stays until its owner knows.
    fn next(&self) -> Arc<Task> {
        loop {
            let mut state = self.state();
            if let Some(task) = state.ready.pop_front() {
                return task;
            }
            let near = state.timers.values().filter(|timer| timer.0.is_near());
            let Some((deadline, waker)) = near.min_by_key(|timer| timer.0).cloned() else {
                drop(self.0.wakeup.wait(state).unwrap());
                continue;
            };
            drop(state);
            deadline.comes();
            waker.wake();
            thread::yield_now();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }
}

/// Runs an event loop on this thread until `main`, its first task, is done.
pub(crate) fn run<T>(main: impl Future<Output = T>) -> T {
    let handle = Handle(Arc::default());
    CURRENT.set(Some(handle.clone()));
    let mut main = pin!(main);
    let main_task = handle.task(None);
    Arc::clone(&main_task).wake();
    let output = loop {
        let task = handle.next();
        let waker = Waker::from(Arc::clone(&task));
        let mut context = Context::from_waker(&waker);
        if Arc::ptr_eq(&task, &main_task) {
            if let Poll::Ready(output) = main.as_mut().poll(&mut context) {
                break output;
            }
            continue;
        }
        let future = task.future.lock().unwrap().take();
        if let Some(mut future) = future
            && !task.aborted.load(Ordering::Relaxed)
            && future.as_mut().poll(&mut context).is_pending()
        {
            task.future.lock().unwrap().replace(future);
        }
    };
    let spawned = mem::take(&mut *handle.0.spawned.lock().unwrap());
    for task in spawned {
        let future = task.future.lock().unwrap().take();
        drop(future);
    }
    handle.state().ready.clear();
    CURRENT.set(None);
    output
}

impl AbortHandle {
    pub(crate) fn abort_handle(self) -> Self {
        self
    }

    /// The event loop drops the task.
    pub(crate) fn abort(&self) {
        self.0.aborted.store(true, Ordering::Relaxed);
        Arc::clone(&self.0).wake();
    }
}

impl Drop for EnterGuard {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        let handle = self.runtime.clone();
        let mut state = handle.state();
        if !state.ready.iter().any(|task| Arc::ptr_eq(task, &self)) {
            state.ready.push_back(self);
        }
        drop(state);
        handle.0.wakeup.notify_one();
    }
}
