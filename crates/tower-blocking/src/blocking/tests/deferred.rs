//! Responses that a job leaves to the task that waits for them.

use std::future::{pending, ready};

use futures_util::poll;
use tower_service::Service;

use super::*;
use crate::blocking::reply::{DeferredResponse, EarlyResponse};

/// A service whose job leaves the responses of `deferred` to its task, one a request.
fn deferring(
    pool: &BlockingPool,
    deferred: impl Fn() -> DeferredResponse + Clone + Send + 'static,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone {
    BlockingLayer::new(pool).layer(blocking_fn(move |request: Request<Body>| {
        let early = request.extensions().get::<EarlyResponse>().unwrap();
        early.defer(deferred());
        Response::new(Body::from("dropped"))
    }))
}

#[tokio::test]
async fn the_thread_is_free_while_the_response_waits() {
    let pool = BlockingPool::new(1);
    let waits = deferring(&pool, || Box::pin(pending()));
    let mut waiting = Box::pin(waits.oneshot(request()));
    assert!(poll!(&mut waiting).is_pending());
    let responds = deferring(&pool, || {
        Box::pin(ready(Response::new(Body::from("later"))))
    });
    let response = responds.oneshot(request()).await.unwrap();
    assert_eq!(text(response).await, "later");
    assert!(poll!(&mut waiting).is_pending());
    // No job is running any more.
    pool.drain(Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn a_panic_of_the_response_unwinds_into_the_future() {
    let pool = BlockingPool::new(1);
    let panics = deferring(&pool, || Box::pin(async { panic!("as the test wants it") }));
    let response = AssertUnwindSafe(panics.oneshot(request())).catch_unwind();
    assert!(response.await.is_err());
}
