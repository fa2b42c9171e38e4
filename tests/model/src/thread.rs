//! `std::thread` with shuttle's threads.

use std::{
    cell::{Cell, RefCell},
    io,
};

pub(crate) use real::thread::available_parallelism;
use shuttle::rand::{Rng as _, thread_rng};
pub(crate) use shuttle::thread::*;

/// Starts a thread. The system refuses some of those that ask for a size of their stack.
pub(crate) struct Builder {
    builder: shuttle::thread::Builder,
    may_fail: bool,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            builder: shuttle::thread::Builder::new(),
            may_fail: false,
        }
    }

    pub(crate) fn name(mut self, name: String) -> Self {
        self.builder = self.builder.name(name);
        self
    }

    pub(crate) fn stack_size(mut self, _bytes: usize) -> Self {
        self.may_fail = true;
        self
    }

    pub(crate) fn spawn(self, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
        if self.may_fail && thread_rng().gen_bool(0.5) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.builder.spawn(work)
    }
}

/// As `std`'s: shuttle's has `with` alone.
pub(crate) struct LocalKey<T: 'static>(&'static shuttle::thread::LocalKey<T>);

impl<T> LocalKey<T> {
    pub(crate) const fn new(key: &'static shuttle::thread::LocalKey<T>) -> Self {
        Self(key)
    }
}

impl<T: Copy> LocalKey<Cell<T>> {
    pub(crate) fn get(&'static self) -> T {
        self.0.with(Cell::get)
    }

    pub(crate) fn set(&'static self, value: T) {
        self.0.with(|cell| cell.set(value));
    }
}

impl<T> LocalKey<RefCell<T>> {
    pub(crate) fn with_borrow<R>(&'static self, read: impl FnOnce(&T) -> R) -> R {
        self.0.with(|cell| read(&cell.borrow()))
    }

    pub(crate) fn with_borrow_mut<R>(&'static self, write: impl FnOnce(&mut T) -> R) -> R {
        self.0.with(|cell| write(&mut cell.borrow_mut()))
    }

    pub(crate) fn set(&'static self, value: T) {
        self.0.with(|cell| drop(cell.replace(value)));
    }

    pub(crate) fn take(&'static self) -> T
    where
        T: Default,
    {
        self.0.with(RefCell::take)
    }
}
