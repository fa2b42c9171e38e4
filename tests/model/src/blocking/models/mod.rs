//! Few threads that use the pieces as the pool does, for a model checker to run.

pub mod pipe;
pub mod replies;
pub mod threads;

use std::sync::{Arc, Condvar, Mutex};

/// Acquires a lock such as that of an interpreter.
fn lock() -> impl Fn() -> LockGuard + Send + Sync + 'static {
    let lock = Arc::new((Mutex::new(false), Condvar::new()));
    move || {
        let (held, notice) = &*lock;
        let held = held.lock().unwrap();
        *notice.wait_while(held, |held| *held).unwrap() = true;
        LockGuard(Arc::clone(&lock))
    }
}

struct LockGuard(Arc<(Mutex<bool>, Condvar)>);

impl Drop for LockGuard {
    fn drop(&mut self) {
        let (held, notice) = &*self.0;
        *held.lock().unwrap() = false;
        notice.notify_one();
    }
}
