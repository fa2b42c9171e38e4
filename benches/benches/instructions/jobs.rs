//! Jobs of a pool with one thread, of which only the caller's part is counted: submitting them, and receiving their
//! replies.
//!
//! If both threads ran at a time, the count would depend on which one waits for the other. So a job blocks the pool's
//! thread while the caller runs, and the caller sleeps while the jobs run.

use std::{
    convert::Infallible,
    future::poll_fn,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    task::{Context, Poll},
    thread,
};

use benches::{request, response};
use futures_util::future::{BoxFuture, FutureExt as _};
use http::Request;
use tokio::task::unconstrained;
use tower::Layer as _;
use tower_wsgi::{
    Body,
    blocking::{BlockingLayer, BlockingPool, blocking_fn},
};

use crate::{
    CALLS,
    calls::{Calls, call},
};

/// A job that blocks the pool's thread until it is released.
struct Stop {
    job: BoxFuture<'static, ()>,
    /// The thread runs it.
    reached: Arc<AtomicBool>,
    /// It waits for its release.
    hold: Option<SyncSender<Infallible>>,
}

impl Stop {
    fn new(pool: &BlockingPool) -> Self {
        let (hold, wait) = sync_channel(0);
        let wait = Arc::new(Mutex::<Receiver<Infallible>>::new(wait));
        let reached = Arc::new(AtomicBool::new(false));
        let caller = thread::current();
        let service = BlockingLayer::new(pool).layer(blocking_fn({
            let reached = Arc::clone(&reached);
            move |_: Request<Body>| {
                reached.store(true, SeqCst);
                caller.unpark();
                // An error: nothing is ever sent.
                let _ = wait.lock().unwrap_or_else(PoisonError::into_inner).recv();
                Ok::<_, Infallible>(response())
            }
        }));
        let job = async move { call(&service, request()).await }.boxed();
        Self {
            job,
            reached,
            hold: Some(hold),
        }
    }

    /// The next job of the pool is this one.
    fn submit(&mut self, cx: &mut Context<'_>) {
        let _ = self.job.poll_unpin(cx);
    }

    /// Sleeps until the pool's thread runs it.
    fn wait(&self) {
        while !self.reached.load(SeqCst) {
            thread::park();
        }
    }

    fn let_go(&mut self) {
        self.hold = None;
    }
}

/// Jobs that are submitted while the pool's thread is busy, run one after the other, and have all replied before the
/// first reply is taken.
pub(crate) fn jobs() -> Calls {
    let pool = BlockingPool::new(1);
    let function = blocking_fn(|_: Request<Body>| Ok::<_, Infallible>(response()));
    let service = BlockingLayer::new(&pool).layer(function);
    let job = move || {
        let (service, request) = (service.clone(), request());
        async move { call(&service, request).await }.boxed()
    };
    let [mut begin, mut before, mut after] = [(); 3].map(|()| Stop::new(&pool));
    let mut first = job();
    let runtime = benches::runtime(1);
    // The one that is not counted. No more than the others it runs by the side of the caller, as then the layout of
    // the heap would be chance.
    runtime.block_on(poll_fn(|cx| {
        begin.submit(cx);
        begin.wait();
        let waits = first.poll_unpin(cx).is_pending();
        before.submit(cx);
        begin.let_go();
        before.wait();
        let done = first.poll_unpin(cx).is_ready();
        assert!(waits && done, "the job runs while the caller sleeps");
        Poll::Ready(())
    }));
    let mut jobs: Vec<_> = (0..CALLS).map(|_| job()).collect();
    Calls::made_by(move || {
        let all = poll_fn(|cx| {
            let all_wait = jobs.iter_mut().all(|job| job.poll_unpin(cx).is_pending());
            after.submit(cx);
            before.let_go();
            after.wait();
            let all_done = jobs.iter_mut().all(|job| job.poll_unpin(cx).is_ready());
            after.let_go();
            assert!(all_wait && all_done, "the jobs run while the caller sleeps");
            Poll::Ready(())
        });
        runtime.block_on(unconstrained(all));
    })
}
