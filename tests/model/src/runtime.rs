//! `tokio::runtime`: an event loop of one thread, which waits where it has nothing to do.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    mem,
    pin::{Pin, pin},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    task::{Context, Poll, Wake, Waker},
};

use crate::time::Instant;

thread_local! {
    static CURRENT: RefCell<Option<Handle>> = const { RefCell::new(None) };
}

type Spawned = Pin<Box<dyn Future<Output = Infallible> + Send>>;

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
    ready: Mutex<VecDeque<Arc<Task>>>,
    /// A task is ready.
    wakeup: Condvar,
    spawned: Mutex<Vec<Arc<Task>>>,
    timers: Arc<Timers>,
}

/// What wakes a task: the vtable of its waker is the same for all.
struct Task {
    runtime: Handle,
    /// `None` for the one that the event loop was started with, while it is polled, and at the end.
    future: Mutex<Option<Spawned>>,
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
    pub(crate) fn spawn(&self, future: impl Future<Output = Infallible> + Send + 'static) {
        let task = self.task(Some(Box::pin(future)));
        self.0.spawned.lock().unwrap().push(Arc::clone(&task));
        task.wake();
    }

    pub(crate) fn timers(&self) -> Arc<Timers> {
        Arc::clone(&self.0.timers)
    }

    fn task(&self, future: Option<Spawned>) -> Arc<Task> {
        Arc::new(Task {
            runtime: self.clone(),
            future: Mutex::new(future),
        })
    }

    /// The next task that is ready. Time goes by where there is none.
    fn next(&self) -> Arc<Task> {
        loop {
            let mut ready = self.ready();
            if let Some(task) = ready.pop_front() {
                return task;
            }
            if !self.0.timers.any() {
                drop(self.0.wakeup.wait(ready).unwrap());
                continue;
            }
            drop(ready);
            self.0.timers.fire();
        }
    }

    fn ready(&self) -> MutexGuard<'_, VecDeque<Arc<Task>>> {
        self.0.ready.lock().unwrap()
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
        if let Some(mut future) = future {
            let Poll::Pending = future.as_mut().poll(&mut context);
            task.future.lock().unwrap().replace(future);
        }
    };
    let spawned = mem::take(&mut *handle.0.spawned.lock().unwrap());
    for task in spawned {
        let future = task.future.lock().unwrap().take();
        drop(future);
    }
    handle.ready().clear();
    CURRENT.set(None);
    output
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        let handle = self.runtime.clone();
        let mut ready = handle.ready();
        if !ready.iter().any(|task| Arc::ptr_eq(task, &self)) {
            ready.push_back(self);
        }
        drop(ready);
        handle.0.wakeup.notify_one();
    }
}

/// The timers of an event loop that somebody waits for.
#[derive(Default)]
pub(crate) struct Timers(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    last_id: u64,
    timers: BTreeMap<u64, (Instant, Waker)>,
}

impl Timers {
    pub(crate) fn next_id(&self) -> u64 {
        let mut waiting = self.waiting();
        waiting.last_id += 1;
        waiting.last_id
    }

    pub(crate) fn set(&self, id: u64, deadline: Instant, waker: Waker) {
        self.waiting().timers.insert(id, (deadline, waker));
    }

    pub(crate) fn remove(&self, id: u64) {
        self.waiting().timers.remove(&id);
    }

    fn any(&self) -> bool {
        !self.waiting().timers.is_empty()
    }

    /// The time of the first one has come.
    fn fire(&self) {
        let mut waiting = self.waiting();
        let first = waiting.timers.iter().min_by_key(|(_, timer)| timer.0);
        let Some((&id, _)) = first else {
            return;
        };
        let timer = waiting.timers.remove(&id);
        drop(waiting);
        if let Some((deadline, waker)) = timer {
            deadline.comes();
            waker.wake();
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap()
    }
}
