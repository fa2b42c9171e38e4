//! Threads that the system refuses.

use super::*;

/// More than there is address space for: each thread is refused.
const TOO_MUCH: usize = 1 << 60;

/// What any thread has.
const ENOUGH: usize = 2 << 20;

async fn status(service: impl Future<Output = Done>) -> StatusCode {
    service.await.unwrap().status()
}

/// Waits until a handler starts, while the event loop keeps running.
async fn started(handler: &HeldHandler) {
    let look = async {
        while handler.started.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
    };
    let in_time = tokio::time::timeout(LONG, look).await;
    in_time.expect("a handler starts");
}

#[tokio::test]
async fn with_no_thread_at_all_a_job_is_503_at_once_and_later_the_system_is_asked_again() {
    let pool = BlockingPool::new(8).thread_stack_size(TOO_MUCH);
    let service = BlockingLayer::new(&pool).layer(blocking_fn(|_: Request<Body>| {
        Ok::<_, Infallible>(Response::new(Body::empty()))
    }));
    for refused in 1..=3 {
        let call = service.clone().oneshot(request());
        let response = call.now_or_never().expect("at once").unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(pool.stats().refused, refused);
    }
    let pool = pool.thread_stack_size(ENOUGH);
    let again = async {
        while status(service.clone().oneshot(request())).await != StatusCode::OK {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, again)
        .await
        .expect("it recovers");
    pool.drain(LONG).await.unwrap();
}

/// A pool of which one thread runs a job, and others cannot be had.
async fn one_thread(pool: BlockingPool) -> (BlockingPool, HeldHandler, impl Fn() -> Call) {
    let (handler, service) = held(&pool);
    let call = move || -> Call { Box::pin(service.clone().oneshot(request())) };
    handler.release();
    assert_eq!(status(call()).await, StatusCode::OK);
    handler.started();
    (pool.thread_stack_size(TOO_MUCH), handler, call)
}

type Call = Pin<Box<dyn Future<Output = Done> + Send>>;

#[tokio::test]
async fn the_pool_continues_with_the_threads_that_it_has_and_starts_more_when_it_can() {
    for holds in [false, true] {
        let pool = BlockingPool::new(8).thread_stack_size(ENOUGH);
        let pool = if holds {
            pool.thread_guard(|| ())
        } else {
            pool
        };
        let (pool, handler, call) = one_thread(pool).await;
        let calls: Vec<_> = (0..6).map(|_| tokio::spawn(call())).collect();
        tokio::task::yield_now().await;
        handler.started();
        assert_eq!((pool.stats().busy, pool.stats().queued), (1, 5));
        handler.release();
        handler.started();
        // No job is added or ends: a timer tries again.
        let pool = pool.thread_stack_size(ENOUGH);
        for _ in 0..4 {
            started(&handler).await;
        }
        assert_eq!(pool.stats().busy, 5);
        (0..5).for_each(|_| handler.release());
        for call in calls {
            assert_eq!(status(async { call.await.unwrap() }).await, StatusCode::OK);
        }
        pool.drain(LONG).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_that_was_to_have_a_thread_of_its_own_is_limited_in_its_wait() {
    let pool = BlockingPool::new(8).queue_timeout(Duration::from_secs(5));
    let (pool, handler, call) = one_thread(pool.thread_stack_size(ENOUGH)).await;
    let running = tokio::spawn(call());
    tokio::task::yield_now().await;
    handler.started();
    assert_eq!(status(call()).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!((pool.stats().busy, pool.stats().refused), (1, 1));
    handler.release();
    assert_eq!(running.await.unwrap().unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn the_last_thread_stays_while_another_could_not_be_had_in_its_place() {
    let pool = BlockingPool::new(2).thread_stack_size(ENOUGH);
    let (pool, handler, call) = one_thread(pool).await;
    let running = tokio::spawn(call());
    tokio::task::yield_now().await;
    handler.started();
    let refused = tokio::spawn(call());
    while !pool.shared().queue().refusals.are_recent() {
        tokio::task::yield_now().await;
    }
    handler.release();
    handler.release();
    for call in [running, refused] {
        assert_eq!(call.await.unwrap().unwrap().status(), StatusCode::OK);
    }
    let has_decided = || {
        let queue = pool.shared().queue();
        queue.kept_threads > 0 || queue.threads.total() == 0
    };
    let decides = async {
        while !has_decided() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let in_time = tokio::time::timeout(LONG, decides).await;
    in_time.expect("a second without work ends");
    assert_eq!(pool.shared().queue().threads.total(), 1);
    handler.release();
    assert_eq!(status(call()).await, StatusCode::OK);
}
