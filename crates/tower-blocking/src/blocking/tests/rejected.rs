//! Why the pool refuses a job, as its callers see it.

use tower_server_info::ConnectInfo;

use super::*;
use crate::Rejection;

/// Occupies the only thread of the pool until the handler is released.
async fn occupy(pool: &BlockingPool) -> (HeldHandler, tokio::task::JoinHandle<Done>) {
    let (handler, service) = held(pool);
    let running = tokio::spawn(service.oneshot(request()));
    tokio::task::yield_now().await;
    handler.started();
    (handler, running)
}

#[tokio::test]
async fn a_function_runs_on_the_pool_and_its_panic_unwinds_into_the_future() {
    let pool = BlockingPool::new(1);
    let here = thread::current().id();
    let there = pool.run(|| thread::current().id()).await.unwrap();
    assert_ne!(here, there);
    let panic = AssertUnwindSafe(pool.run(|| panic!("boom"))).catch_unwind();
    assert_eq!(panic.await.unwrap_err().downcast_ref(), Some(&"boom"));
    assert_eq!(pool.run(|| 1 + 1).await, Ok(2));
}

#[tokio::test]
async fn a_full_queue_and_a_drained_pool_refuse_a_function_at_once() {
    let pool = BlockingPool::new(1).max_queued(0);
    let (handler, running) = occupy(&pool).await;
    let refused = pool.run(|| ()).now_or_never();
    assert_eq!(refused, Some(Err(Rejection::QueueFull)));

    let queued = pool.clone().max_queued(1).run(|| ());
    pool.drain(Duration::ZERO).await.unwrap_err();
    assert_eq!(queued.await, Err(Rejection::Draining));
    assert_eq!(pool.run(|| ()).await, Err(Rejection::Draining));
    handler.release();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_function_whose_future_is_dropped_in_the_queue_does_not_run() {
    let pool = BlockingPool::new(1);
    let (handler, running) = occupy(&pool).await;
    drop(pool.run(|| panic!("it runs")));
    assert_eq!(pool.stats().queued, 0);
    handler.release();
    running.await.unwrap().unwrap();
    pool.drain(LONG).await.unwrap();
    assert_eq!(pool.stats().finished, 1);
}

#[tokio::test]
async fn a_function_that_is_stuck_is_known_by_its_name() {
    let pool = BlockingPool::new(1);
    let (release, wait) = mpsc::sync_channel::<()>(1);
    let (say, started) = mpsc::sync_channel(1);
    let job = pool.run(move || {
        say.send(()).unwrap();
        wait.recv_timeout(LONG).unwrap();
    });
    started.recv_timeout(LONG).unwrap();
    drop(job);
    let stuck = pool.stats().stuck;
    assert!(stuck[0].path.contains("stuck_is_known_by_its_name"));
    release.send(()).unwrap();
    pool.drain(LONG).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_job_that_waits_too_long_is_refused_for_that() {
    let pool = BlockingPool::new(1).queue_timeout(Duration::from_secs(5));
    let (handler, running) = occupy(&pool).await;
    assert_eq!(pool.run(|| ()).await, Err(Rejection::QueueTimeout));
    handler.release();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn without_any_thread_a_job_is_refused_for_that() {
    let pool = BlockingPool::new(1).thread_stack_size(1 << 60);
    assert_eq!(pool.run(|| ()).await, Err(Rejection::NoThread));
    assert_eq!(pool.run(|| ()).await, Err(Rejection::NoThread));
}

#[tokio::test(start_paused = true)]
async fn the_hook_of_the_layer_makes_the_response_and_knows_the_cause() {
    let pool = BlockingPool::new(1);
    let (handler, running) = occupy(&pool).await;
    let layer = BlockingLayer::new(&pool).on_rejection(|rejection| {
        let mut response = Response::new(Body::from(format!("{rejection:?}")));
        *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        response
    });
    let service = layer.layer(blocking_fn(|_: Request<Body>| Response::new(Body::empty())));
    let connection = ConnectInfo::unix(None);
    connection.input().close();
    let mut gone = request();
    gone.extensions_mut().insert(connection);
    let response = service.clone().oneshot(gone).await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(text(response).await, "ClientClosed");

    pool.drain(Duration::ZERO).await.unwrap_err();
    let response = service.oneshot(request()).await.unwrap();
    assert_eq!(text(response).await, "Draining");
    handler.release();
    running.await.unwrap().unwrap();
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn in_axum_a_handler_may_return_the_rejection() {
    use axum::{Router, routing::get};

    let pool = BlockingPool::new(1);
    let theirs = pool.clone();
    let app = Router::new().route(
        "/",
        get(move || async move { theirs.run(|| "from the pool").await }),
    );
    let get = || axum::extract::Request::new(axum::body::Body::empty());
    let response = app.clone().oneshot(get()).await.unwrap();
    assert_eq!(text(response).await, "from the pool");
    pool.drain(LONG).await.unwrap();
    let response = app.oneshot(get()).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "1");
}
