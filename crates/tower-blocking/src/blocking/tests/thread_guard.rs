//! The guard that the threads of a pool hold while they run jobs.

use std::{
    pin::pin,
    sync::{
        Condvar,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Instant,
};

use tokio::{runtime::Builder, sync::oneshot};

use super::*;
use crate::blocking::{block_on::block_on, shared::PoolShared, thread_guard::release_while};

/// A lock that counts the threads that wait for it.
#[derive(Default)]
struct Lock {
    taken: Mutex<bool>,
    free: Condvar,
    waiting: AtomicUsize,
    most_waiting: AtomicUsize,
}

struct Guard(Arc<Lock>);

impl Lock {
    fn take(self: &Arc<Self>) -> Guard {
        let waiting = self.waiting.fetch_add(1, SeqCst) + 1;
        self.most_waiting.fetch_max(waiting, SeqCst);
        let taken = self.taken.lock().unwrap();
        let wait = self.free.wait_timeout_while(taken, LONG, |taken| *taken);
        let (mut taken, late) = wait.unwrap();
        assert!(!late.timed_out(), "no thread releases the lock");
        *taken = true;
        self.waiting.fetch_sub(1, SeqCst);
        Guard(Arc::clone(self))
    }

    fn is_taken(&self) -> bool {
        *self.taken.lock().unwrap()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        *self.0.taken.lock().unwrap() = false;
        self.0.free.notify_one();
    }
}

fn holding(pool: BlockingPool) -> (Arc<Lock>, BlockingPool) {
    let lock = Arc::new(Lock::default());
    let theirs = Arc::clone(&lock);
    (lock, pool.thread_guard(move || theirs.take()))
}

/// Polls until the condition holds.
async fn until(condition: impl Fn() -> bool) {
    let look = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    in_time(look).await;
}

async fn in_time<F: Future>(future: F) -> F::Output {
    let in_time = tokio::time::timeout(LONG, future).await;
    in_time.expect("it ends")
}

#[tokio::test]
async fn one_job_runs_at_a_time_but_for_those_that_wait_and_one_thread_stands_by() {
    let (lock, pool) = holding(BlockingPool::new(8));
    let inside = Arc::new(AtomicUsize::new(0));
    let service = {
        let (lock, inside) = (Arc::clone(&lock), Arc::clone(&inside));
        BlockingLayer::new(&pool).layer(blocking_fn(move |request: Request<Body>| {
            assert!(lock.is_taken());
            assert_eq!(inside.fetch_add(1, SeqCst), 0, "two jobs run at once");
            thread::yield_now();
            inside.fetch_sub(1, SeqCst);
            if request.uri().path() == "/wait" {
                release_while(thread::yield_now);
            }
            assert_eq!(inside.fetch_add(1, SeqCst), 0, "two jobs run at once");
            inside.fetch_sub(1, SeqCst);
            Ok::<_, Infallible>(Response::new(Body::empty()))
        }))
    };
    for _ in 0..20 {
        let calls = (0..50).map(|n| {
            let path = if n % 3 == 0 { "/wait" } else { "/" };
            let request = Request::get(path).body(Body::empty()).unwrap();
            service.clone().oneshot(request)
        });
        for response in in_time(join_all(calls)).await {
            assert_eq!(response.unwrap().status(), StatusCode::OK);
        }
    }
    in_time(pool.drain(LONG)).await.unwrap();
    assert_eq!(pool.stats().finished, 1000);
    assert_eq!(lock.most_waiting.load(SeqCst), 1);
}

#[tokio::test]
async fn an_uncontended_thread_keeps_the_guard_for_many_jobs_and_releases_it_without_the_lock() {
    struct Guard(Arc<AtomicBool>, std::sync::Weak<PoolShared>);
    impl Drop for Guard {
        fn drop(&mut self) {
            // Other threads lock it only for a moment.
            let pool = self.1.upgrade();
            let is_free = || pool.as_ref().is_none_or(|pool| pool.is_free());
            let free = (0..10_000).any(|_| is_free() || (thread::yield_now(), false).1);
            self.0.fetch_or(!free, SeqCst);
        }
    }
    let (entered, locked) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let pool = BlockingPool::new(1);
    let pool = {
        let (entered, locked) = (Arc::clone(&entered), Arc::clone(&locked));
        let shared = Arc::downgrade(pool.shared());
        pool.thread_guard(move || {
            entered.fetch_add(1, SeqCst);
            Guard(Arc::clone(&locked), shared.clone())
        })
    };
    let (handler, service) = held(&pool);
    let calls: Vec<_> = (0..10)
        .map(|_| tokio::spawn(service.clone().oneshot(request())))
        .collect();
    tokio::task::yield_now().await;
    handler.started();
    (0..10).for_each(|_| handler.release());
    for call in calls {
        assert_eq!(
            in_time(call).await.unwrap().unwrap().status(),
            StatusCode::OK
        );
    }
    assert_eq!(entered.load(SeqCst), 1);
    in_time(pool.drain(LONG)).await.unwrap();
    until(|| pool.shared().queue().threads.total() == 0).await;
    assert!(!locked.load(SeqCst), "its drop may ask the pool");
}

#[tokio::test]
async fn the_guard_is_released_while_a_future_waits() {
    let (_, pool) = holding(BlockingPool::new(2));
    let (sender, receiver) = oneshot::channel();
    let receiver = Arc::new(Mutex::new(Some(receiver)));
    let waits = BlockingLayer::new(&pool).layer(service_fn(move |_: Request<Body>| {
        let receiver = receiver.lock().unwrap().take().unwrap();
        async move {
            let said: &str = receiver.await.unwrap();
            Ok::<_, Infallible>(Response::new(Body::from(said)))
        }
    }));
    let sender = Arc::new(Mutex::new(Some(sender)));
    let speaks = blocking_fn(move |_: Request<Body>| {
        let sender = sender.lock().unwrap().take().unwrap();
        sender.send("hello").unwrap();
        Ok::<_, Infallible>(Response::new(Body::empty()))
    });
    let speaks = BlockingLayer::new(&pool).layer(speaks);
    let waits = tokio::spawn(waits.oneshot(request()));
    until(|| pool.stats().busy == 1).await;
    in_time(speaks.oneshot(request())).await.unwrap();
    let response = in_time(waits).await.unwrap().unwrap();
    assert_eq!(text(response).await, "hello");
}

#[tokio::test]
async fn the_guard_is_released_while_a_body_waits_for_its_client() {
    let (_, pool) = holding(BlockingPool::new(2).max_spooled(0));
    let service = streaming(&pool, || {
        Frames::new((0..40).map(|n| format!("{n:0>49999};")))
    });
    let stalled = service.clone().oneshot(request()).await.unwrap();
    let other = BlockingLayer::new(&pool).layer(blocking_fn(|_: Request<Body>| {
        Ok::<_, Infallible>(Response::new(Body::empty()))
    }));
    in_time(other.oneshot(request())).await.unwrap();
    // A job is counted for a moment longer than its response needs.
    until(|| pool.stats().busy == 1).await;
    assert_eq!(text(stalled).await.len(), 2_000_000);
}

#[tokio::test]
async fn a_thread_that_has_waited_gets_the_guard_among_others_that_never_pause() {
    let (_, pool) = holding(BlockingPool::new(2));
    let over = Arc::new(AtomicBool::new(false));
    let (go, wait) = mpsc::sync_channel::<()>(1);
    let wait = Arc::new(Mutex::new(wait));
    let (theirs, ours) = (Arc::clone(&over), pool.clone());
    let end = Instant::now() + LONG / 2;
    let service = blocking_fn(move |request: Request<Body>| {
        if request.uri().path() == "/wait" {
            release_while(|| wait.lock().unwrap().recv_timeout(LONG)).unwrap();
            theirs.store(true, SeqCst);
        }
        // There is always one more job that waits.
        while !theirs.load(SeqCst) && ours.stats().queued == 0 {
            assert!(Instant::now() < end, "it does not get the guard");
            thread::yield_now();
        }
        Ok::<_, Infallible>(Response::new(Body::empty()))
    });
    let service = BlockingLayer::new(&pool).layer(service);
    let waits = Request::get("/wait").body(Body::empty()).unwrap();
    let waits = tokio::spawn(service.clone().oneshot(waits));
    until(|| pool.stats().busy == 1).await;
    let others: Vec<_> = (0..8)
        .map(|_| {
            let (service, over) = (service.clone(), Arc::clone(&over));
            tokio::spawn(async move {
                while !over.load(SeqCst) {
                    service.clone().oneshot(request()).await.unwrap();
                }
            })
        })
        .collect();
    until(|| pool.stats().finished > 10).await;
    go.send(()).unwrap();
    in_time(waits).await.unwrap().unwrap();
    for other in in_time(join_all(others)).await {
        other.expect("the thread that has waited got the guard");
    }
}

#[tokio::test]
async fn guarded_threads_stay_and_end_with_the_pool() {
    let (_, pool) = holding(BlockingPool::new(1));
    let other = BlockingPool::new(1);
    for pool in [&pool, &other] {
        let service = streaming(pool, || Frames::new(["done"]));
        service.oneshot(request()).await.unwrap();
    }
    until(|| other.shared().queue().threads.total() == 0).await;
    let shared = Arc::clone(pool.shared());
    assert_eq!(shared.queue().threads.total(), 1);
    drop(pool);
    until(|| shared.queue().threads.total() == 0).await;
}

#[tokio::test]
async fn guarded_threads_end_when_the_pool_is_drained() {
    let (_, pool) = holding(BlockingPool::new(1));
    let service = streaming(&pool, || Frames::new(["done"]));
    service.oneshot(request()).await.unwrap();
    pool.drain(LONG).await.unwrap();
    until(|| pool.shared().queue().threads.total() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_waits_for_the_guard_too_long_is_503_though_a_thread_is_free() {
    let (_, pool) = holding(BlockingPool::new(2).queue_timeout(Duration::from_secs(5)));
    let (handler, service) = held(&pool);
    let running = tokio::spawn(service.clone().oneshot(request()));
    tokio::task::yield_now().await;
    handler.started();
    let mut queued = pin!(service.clone().oneshot(request()));
    assert!(futures_util::poll!(&mut queued).is_pending());
    assert_eq!(pool.stats().queued, 0);
    tokio::time::advance(Duration::from_millis(5100)).await;
    let refused = queued.await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    handler.release();
    assert_eq!(running.await.unwrap().unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn if_the_guard_cannot_be_entered_the_job_is_503_and_the_next_one_tries_again() {
    let first = AtomicBool::new(true);
    let pool = BlockingPool::new(2).thread_guard(move || {
        assert!(!first.swap(false, SeqCst), "as the test wants it");
    });
    let service = streaming(&pool, || Frames::new(["done"]));
    let refused = in_time(service.clone().oneshot(request())).await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    let response = in_time(service.oneshot(request())).await.unwrap();
    assert_eq!(text(response).await, "done");
    in_time(pool.drain(LONG)).await.unwrap();
}

#[tokio::test]
async fn a_thread_that_cannot_enter_the_guard_again_takes_no_job_without_it() {
    let lock = Arc::new(Lock::default());
    let entered = Arc::new(AtomicUsize::new(0));
    let pool = {
        let (lock, entered) = (Arc::clone(&lock), Arc::clone(&entered));
        BlockingPool::new(1).thread_guard(move || {
            assert_ne!(entered.fetch_add(1, SeqCst), 1, "as the test wants it");
            lock.take()
        })
    };
    let (handler, service) = {
        let (say, started) = mpsc::sync_channel(1);
        let (release, wait) = mpsc::sync_channel(1);
        let (wait, lock) = (Arc::new(Mutex::new(wait)), Arc::clone(&lock));
        let function = blocking_fn(move |request: Request<Body>| {
            assert!(lock.is_taken());
            if request.uri().path() == "/wait" {
                say.send(()).unwrap();
                release_while(|| wait.lock().unwrap().recv_timeout(LONG)).unwrap();
            }
            Ok::<_, Infallible>(Response::new(Body::empty()))
        });
        let service = BlockingLayer::new(&pool).layer(function);
        (HeldHandler { started, release }, service)
    };
    let waits = Request::get("/wait").body(Body::empty()).unwrap();
    let waits = tokio::spawn(AssertUnwindSafe(service.clone().oneshot(waits)).catch_unwind());
    tokio::task::yield_now().await;
    handler.started();
    let next = tokio::spawn(service.oneshot(request()));
    until(|| pool.stats().queued == 1).await;
    handler.release();
    assert!(in_time(waits).await.unwrap().is_err());
    let response = in_time(next).await.unwrap().unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(entered.load(SeqCst), 3);
}

#[test]
fn a_job_of_a_runtime_that_has_ended_is_run_and_its_thread_ends() {
    let (_, pool) = holding(BlockingPool::new(1));
    let service = streaming(&pool, || Frames::new(["done"]));
    let runtime = || Builder::new_current_thread().enable_all().build().unwrap();
    let first = runtime();
    let handle = first.handle().clone();
    drop(first);
    let response = {
        let _context = handle.enter();
        block_on(pin!(service.clone().oneshot(request())))
    };
    assert_eq!(response.unwrap().status(), StatusCode::OK);

    let second = runtime();
    let response = second.block_on(in_time(service.oneshot(request())));
    assert_eq!(response.unwrap().status(), StatusCode::OK);
    drop(pool);
}

#[test]
fn a_runtime_ends_though_its_pool_continues() {
    let (_, pool) = holding(BlockingPool::new(2));
    let service = streaming(&pool, || Frames::new(["done"]));
    for mut builder in [Builder::new_current_thread(), Builder::new_multi_thread()] {
        let runtime = builder.enable_all().build().unwrap();
        let call = runtime.block_on(in_time(service.clone().oneshot(request())));
        assert_eq!(call.unwrap().status(), StatusCode::OK);
        let (say, ended) = mpsc::sync_channel(1);
        thread::spawn(move || {
            drop(runtime);
            say.send(()).unwrap();
        });
        ended.recv_timeout(LONG).expect("the runtime ends");
        let other = Builder::new_current_thread().enable_all().build().unwrap();
        other.block_on(until(|| pool.shared().queue().threads.total() == 0));
    }
}

#[test]
#[should_panic(expected = "before its first job")]
fn the_guard_cannot_be_set_after_a_job() {
    let pool = BlockingPool::new(1);
    let service = streaming(&pool, || Frames::new(["done"]));
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let response = runtime.block_on(service.oneshot(request()));
    assert_eq!(response.unwrap().status(), StatusCode::OK);
    let _ = pool.thread_guard(|| ());
}
