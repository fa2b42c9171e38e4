//! When a service is built, and what requests get if it fails.

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::{FutureExt as _, future::join_all};
use http::{Request, Response, StatusCode};
use tokio::sync::Notify;
use tower::ServiceExt as _;
use tower_layer::Layer as _;
use tower_service::Service;

use super::LazyLayer;
use crate::{
    Body, BoxError,
    blocking::{BlockingLayer, BlockingPool, blocking_fn},
    test_helpers::text,
};

fn request() -> Request<Body> {
    Request::new(Body::empty())
}

fn hello() -> impl Service<
    Request<Body>,
    Response = Response<Body>,
    Error = Infallible,
    Future = impl Future<Output = Result<Response<Body>, Infallible>> + Send,
> + Clone
+ Send
+ Sync
+ 'static {
    blocking_fn(|_: Request<Body>| Ok(Response::new(Body::from("hello"))))
}

#[tokio::test]
async fn all_clones_share_one_build() {
    let builds = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&builds);
    let service = LazyLayer::new().layer(move || {
        let count = Arc::clone(&count);
        async move {
            tokio::task::yield_now().await;
            count.fetch_add(1, Ordering::SeqCst);
            Ok::<_, BoxError>(hello())
        }
    });
    assert_eq!(
        builds.load(Ordering::SeqCst),
        0,
        "not before the first request"
    );
    for response in join_all((0..10).map(|_| service.clone().oneshot(request()))).await {
        assert_eq!(text(response.unwrap()).await, "hello");
    }
    service.warm().await.unwrap();
    assert_eq!(builds.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_failed_build_is_one_503_for_all_who_waited_and_the_next_request_tries_again() {
    let builds = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&builds);
    let service = LazyLayer::new().layer(move || {
        let count = Arc::clone(&count);
        async move {
            tokio::task::yield_now().await;
            match count.fetch_add(1, Ordering::SeqCst) {
                0 => Err("the secret database is down"),
                _ => Ok(hello()),
            }
        }
    });
    for response in join_all((0..10).map(|_| service.clone().oneshot(request()))).await {
        let response = response.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()["retry-after"], "1");
        assert!(!text(response).await.contains("secret"));
    }
    assert_eq!(builds.load(Ordering::SeqCst), 1, "one try for all of them");
    assert_eq!(
        text(service.oneshot(request()).await.unwrap()).await,
        "hello"
    );
}

#[tokio::test]
async fn warm_gives_the_error() {
    let service = LazyLayer::new().layer(|| async { Err::<(), _>("no database") });
    assert_eq!(service.warm().await.unwrap_err().to_string(), "no database");
}

#[tokio::test]
async fn a_client_that_leaves_hands_the_build_over() {
    let go = Arc::new(Notify::new());
    let wait = Arc::clone(&go);
    let service = LazyLayer::new().layer(move || {
        let wait = Arc::clone(&wait);
        async move {
            wait.notified().await;
            Ok::<_, BoxError>(hello())
        }
    });
    let mut first = Box::pin(service.clone().oneshot(request()));
    let mut second = Box::pin(service.oneshot(request()));
    assert!(futures_util::poll!(&mut first).is_pending());
    assert!(futures_util::poll!(&mut second).is_pending());
    drop(first);
    assert!(futures_util::poll!(&mut second).is_pending());
    go.notify_one();
    assert_eq!(text(second.await.unwrap()).await, "hello");
}

#[tokio::test]
async fn a_build_that_panics_does_not_poison() {
    let builds = Arc::new(AtomicUsize::new(0));
    let service = LazyLayer::new().layer(move || {
        let first = builds.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            assert!(!first, "boom");
            Ok::<_, BoxError>(hello())
        }
    });
    let panic = AssertUnwindSafe(service.clone().oneshot(request())).catch_unwind();
    assert!(panic.await.is_err());
    assert_eq!(
        text(service.oneshot(request()).await.unwrap()).await,
        "hello"
    );
}

#[tokio::test]
async fn under_a_pool_the_build_runs_on_its_thread() {
    let here = std::thread::current().id();
    let lazy = LazyLayer::new().layer(move || async move {
        assert_ne!(std::thread::current().id(), here);
        Ok::<_, BoxError>(hello())
    });
    let service = BlockingLayer::new(&BlockingPool::new(1)).layer(lazy);
    assert_eq!(
        text(service.oneshot(request()).await.unwrap()).await,
        "hello"
    );
}
