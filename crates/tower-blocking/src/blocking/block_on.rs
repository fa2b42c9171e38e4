//! Drives a future on a thread that may block.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use super::thread_guard::release_while;

/// Drives a future to its end. One that is ready at once, as plain functions are, needs no waker. A future that it
/// drives may call it again, which an event loop's own `block_on` does not allow.
#[must_use]
pub fn block_on<F: Future>(mut future: Pin<&mut F>) -> F::Output {
    let mut context = Context::from_waker(Waker::noop());
    if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
        return output;
    }
    let wakeup = Arc::new(Wakeup {
        given: AtomicBool::new(false),
        thread: thread::current(),
    });
    let waker = Waker::from(Arc::clone(&wakeup));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        if !wakeup.take() {
            release_while(|| wakeup.wait());
        }
    }
}

struct Wakeup {
    given: AtomicBool,
    thread: Thread,
}

impl Wakeup {
    fn take(&self) -> bool {
        self.given.swap(false, Ordering::Acquire)
    }

    /// Other code may unpark the thread as well.
    fn wait(&self) {
        while !self.take() {
            thread::park();
        }
    }
}

impl Wake for Wakeup {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.given.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, pin::pin};

    use super::*;

    /// Is ready when another thread has set a flag. The first poll is the one without a waker.
    fn elsewhere() -> impl Future<Output = usize> {
        let done = Arc::new(AtomicBool::new(false));
        let mut polls = 0;
        poll_fn(move |context| {
            polls += 1;
            if done.load(Ordering::Acquire) {
                return Poll::Ready(polls);
            }
            if polls == 2 {
                let (done, waker) = (Arc::clone(&done), context.waker().clone());
                thread::spawn(move || {
                    done.store(true, Ordering::Release);
                    waker.wake();
                });
            }
            Poll::Pending
        })
    }

    #[test]
    fn a_future_waits_for_another_thread_also_within_a_future() {
        let both = async { (elsewhere().await, block_on(pin!(elsewhere()))) };
        let (outer, inner) = block_on(pin!(both));
        assert!(outer >= 3 && inner >= 3);
    }
}
