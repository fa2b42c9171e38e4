//! How the threads of a pool are started, and what they are called.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

pub(super) struct Spawner(Mutex<State>);

struct State {
    name: String,
    stack_size: Option<usize>,
    /// Which numbers the threads have that exist.
    taken: Vec<bool>,
}

impl Spawner {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            name: "blocking".to_owned(),
            stack_size: None,
            taken: Vec::new(),
        })))
    }

    pub(super) fn set_name(&self, name: String) {
        self.state().name = name;
    }

    pub(super) fn set_stack_size(&self, bytes: usize) {
        self.state().stack_size = Some(bytes);
    }

    /// Starts a thread, and does not wait until it runs. `work` is dropped when the system refuses it.
    pub(super) fn spawn(self: &Arc<Self>, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let (builder, number) = self.next();
        let spawned = builder.spawn(move || {
            // It is free when the thread has ended.
            let _number = number;
            work();
        });
        spawned.map(drop)
    }

    fn next(self: &Arc<Self>) -> (thread::Builder, Number) {
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
        (builder, Number { spawner, index })
    }

    // Nothing panics under the lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The number of a thread, until it ends.
struct Number {
    spawner: Arc<Spawner>,
    index: usize,
}

impl Drop for Number {
    fn drop(&mut self) {
        self.spawner.state().taken[self.index] = false;
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
}
