//! `std::thread` with shuttle's threads.

use std::cell::RefCell;

pub(crate) use shuttle::thread::*;

/// As `std`'s: shuttle's has `with` alone.
pub(crate) struct LocalKey<T: 'static>(&'static shuttle::thread::LocalKey<T>);

impl<T> LocalKey<T> {
    pub(crate) const fn new(key: &'static shuttle::thread::LocalKey<T>) -> Self {
        Self(key)
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
