//! `std::sync` with shuttle's locks.

pub(crate) use real::sync::*;
pub(crate) use shuttle::sync::{Condvar, Mutex, MutexGuard, atomic};
