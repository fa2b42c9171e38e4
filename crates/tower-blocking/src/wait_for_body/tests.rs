//! Bodies that arrive, and those that are refused.

use std::{
    convert::Infallible,
    io::{self, Read as _},
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use tower::{ServiceBuilder, ServiceExt as _, service_fn};
use tower_layer::Layer as _;

use super::WaitForBodyLayer;
use crate::{
    Body, BufferedBody, Rejection,
    body::Stored,
    test_helpers::{Frames, Untouched, text},
};

/// What the handler got: the text, whether it lay on disk, the trailers.
type Got = Arc<Mutex<Option<(String, bool, Option<HeaderMap>)>>>;

async fn call<B>(layer: WaitForBodyLayer, body: B) -> (Response<Body>, Got)
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<crate::BoxError>,
{
    let got = Got::default();
    let seen = Arc::clone(&got);
    let service = layer.layer(service_fn(move |request: Request<BufferedBody>| {
        let mut body = request.into_body();
        let mut text = String::new();
        body.read_to_string(&mut text).unwrap();
        let trailers = body.trailers().cloned();
        *seen.lock().unwrap() = Some((text, body.is_on_disk(), trailers));
        async { Ok::<_, Infallible>(Response::new(Body::from("ok"))) }
    }));
    let Ok(response) = service.oneshot(Request::new(body)).await;
    (response, got)
}

fn got(got: &Got) -> (String, bool) {
    let (text, on_disk, _) = got.lock().unwrap().take().expect("the handler was called");
    (text, on_disk)
}

#[tokio::test]
async fn a_body_arrives_whole_in_memory_or_on_disk() {
    let chunks = || Frames::new(["a".repeat(700), "b".repeat(400)]);
    let whole = "a".repeat(700) + &"b".repeat(400);

    let (response, seen) = call(WaitForBodyLayer::new(1100), chunks()).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(got(&seen), (whole.clone(), false));

    let small_memory = WaitForBodyLayer::new(1100).memory_threshold(1000);
    let (_, seen) = call(small_memory, chunks()).await;
    assert_eq!(got(&seen), (whole.clone(), true));

    let one_piece = WaitForBodyLayer::new(1100).memory_threshold(1000);
    let (_, seen) = call(one_piece, Body::from(whole.clone())).await;
    assert_eq!(got(&seen), (whole, true));

    let (_, seen) = call(WaitForBodyLayer::new(0), Body::empty()).await;
    assert_eq!(got(&seen), (String::new(), false));
}

#[tokio::test]
async fn a_large_body_is_written_in_batches_and_keeps_its_order() {
    let chunks: Vec<String> = (0..2000).map(|n| format!("{n:0>199};")).collect();
    let whole = chunks.concat();
    let layer = WaitForBodyLayer::new(1 << 20).memory_threshold(100_000);
    let (_, seen) = call(layer, Frames::new(chunks)).await;
    let (text, on_disk) = got(&seen);
    assert!(on_disk);
    assert!(text == whole);
}

#[tokio::test]
async fn beyond_the_shared_budget_bodies_go_to_disk_and_its_end_frees_it() {
    let layer = WaitForBodyLayer::new(1 << 20).memory_budget(150_000);
    let body = || Frames::new(["x".repeat(50_000), "y".repeat(50_000)]);
    let keep = layer.layer(service_fn(async |request: Request<BufferedBody>| {
        Ok::<_, Infallible>(Response::new(request.into_body()))
    }));

    let held = keep.clone().oneshot(Request::new(body())).await.unwrap();
    let (_, seen) = call(layer.clone(), body()).await;
    assert!(got(&seen).1, "the budget is used up");
    drop(held);
    let (_, seen) = call(layer, body()).await;
    assert!(!got(&seen).1, "the budget is free again");
}

#[tokio::test]
async fn over_the_limit_is_413_before_anything_is_read() {
    let (response, seen) = call(WaitForBodyLayer::new(10), Untouched(11)).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(response.headers()["connection"], "close");
    assert!(seen.lock().unwrap().is_none());
}

#[tokio::test]
async fn over_the_limit_without_a_length_is_413_at_the_first_byte_too_many() {
    let body = Frames::new(["12345", "67890", "x"]).endless();
    let (response, seen) = call(WaitForBodyLayer::new(10), body).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert!(seen.lock().unwrap().is_none());
}

#[tokio::test]
async fn a_limiting_body_cannot_hide_its_declared_length() {
    let limited = http_body_util::Limited::new(Untouched(5000), 100);
    let request = Request::builder()
        .header("content-length", "5000")
        .body(limited)
        .unwrap();
    let service =
        WaitForBodyLayer::new(1000).layer(service_fn(async |_: Request<BufferedBody>| {
            Ok::<_, Infallible>(Response::new(Body::empty()))
        }));
    let response = service.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_it_is_408() {
    let layer = WaitForBodyLayer::new(10).timeout(Duration::from_secs(3));
    let before = tokio::time::Instant::now();
    let (response, seen) = call(layer, Frames::new(["1"]).endless()).await;
    assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
    assert_eq!(before.elapsed().as_secs(), 3);
    assert_eq!(response.headers()["connection"], "close");
    assert!(seen.lock().unwrap().is_none());
}

#[tokio::test]
async fn a_body_that_fails_never_reaches_the_handler() {
    for (error, status) in [
        (io::Error::other("bad chunk"), StatusCode::BAD_REQUEST),
        (
            io::Error::from(io::ErrorKind::TimedOut),
            StatusCode::REQUEST_TIMEOUT,
        ),
    ] {
        let body = Frames::new(["12"]).error(error);
        let (response, seen) = call(WaitForBodyLayer::new(10), body).await;
        assert_eq!(response.status(), status);
        assert!(seen.lock().unwrap().is_none());
    }
    let limited = http_body_util::Limited::new(Frames::new(["123"]), 2);
    let (response, _) = call(WaitForBodyLayer::new(10), limited).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn trailers_are_kept() {
    let mut trailers = HeaderMap::new();
    trailers.insert("checksum", HeaderValue::from_static("abc"));
    for threshold in [0, 1000] {
        let layer = WaitForBodyLayer::new(10).memory_threshold(threshold);
        let (_, seen) = call(layer, Frames::new(["12"]).trailers(trailers.clone())).await;
        let (body, on_disk, kept) = seen.lock().unwrap().take().unwrap();
        assert_eq!(
            (&*body, on_disk, kept),
            ("12", threshold == 0, Some(trailers.clone()))
        );
    }
}

#[tokio::test]
async fn an_unfinished_upload_holds_no_permit_of_the_inner_service() {
    let service = ServiceBuilder::new()
        .layer(WaitForBodyLayer::new(10))
        .concurrency_limit(1)
        .service(service_fn(async |_: Request<BufferedBody>| {
            Ok::<_, Infallible>(Response::new(Body::from("done")))
        }));
    let stalled = service
        .clone()
        .oneshot(Request::new(Frames::new(["1"]).endless()));
    let mut stalled = std::pin::pin!(stalled);
    assert!(futures_util::poll!(&mut stalled).is_pending());
    let response = service
        .oneshot(Request::new(Frames::new(["2"])))
        .await
        .unwrap();
    assert_eq!(text(response).await, "done");
    assert!(futures_util::poll!(&mut stalled).is_pending());
}

#[tokio::test]
async fn a_declared_length_within_the_limit_passes() {
    let (response, seen) = call(WaitForBodyLayer::new(4), Frames::new(["1234"]).declaring(4)).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(got(&seen).0, "1234");
}

/// Keeps the bodies, as a handler that waits does.
fn keeping(
    layer: &WaitForBodyLayer,
) -> impl tower_service::Service<
    Request<Frames>,
    Response = Response<Body>,
    Error = Infallible,
    Future: Send,
> + Clone {
    layer.layer(service_fn(async |request: Request<BufferedBody>| {
        Ok::<_, Infallible>(Response::new(request.into_body()))
    }))
}

#[tokio::test]
async fn beyond_the_budget_of_disk_it_is_503_before_anything_is_read() {
    let layer = WaitForBodyLayer::new(1 << 30)
        .memory_threshold(1000)
        .disk_budget(5000);
    let (response, seen) = call(layer.clone(), Untouched(5001)).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(response.headers()["connection"], "close");
    assert!(seen.lock().unwrap().is_none());
    // What fits in memory needs no disk.
    let no_disk = layer.disk_budget(0);
    let (response, _) = call(no_disk, Frames::new(["x".repeat(1000)]).declaring(1000)).await;
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn bodies_share_the_disk_and_their_end_frees_it() {
    let layer = WaitForBodyLayer::new(1 << 30)
        .memory_threshold(1000)
        .disk_budget(300_000);
    let body = || Frames::new(["x".repeat(100_000), "y".repeat(100_000)]);
    let held = keeping(&layer).oneshot(Request::new(body())).await.unwrap();
    let (response, _) = call(layer.clone(), body()).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    drop(held);
    let (response, _) = call(layer, body()).await;
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_file_that_was_given_away_keeps_its_share_of_the_disk() {
    let layer = WaitForBodyLayer::new(1 << 30)
        .memory_threshold(0)
        .disk_budget(1500);
    let body = || Frames::new(["x".repeat(1000)]);
    let kept = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&kept);
    let service = layer.layer(service_fn(move |request: Request<BufferedBody>| {
        *keep.lock().unwrap() = Some(request.into_body().into_stored().unwrap());
        async { Ok::<_, Infallible>(Response::new(Body::empty())) }
    }));
    let response = service.oneshot(Request::new(body())).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(matches!(*kept.lock().unwrap(), Some(Stored::Disk(..))));
    let (response, _) = call(layer.clone(), body()).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    drop(kept.lock().unwrap().take());
    let (response, _) = call(layer, body()).await;
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_hook_makes_the_response_and_the_connection_is_closed_anyway() {
    let causes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&causes);
    let hooked = move |layer: WaitForBodyLayer| {
        let seen = Arc::clone(&seen);
        layer.on_rejection(move |rejection| {
            seen.lock().unwrap().push(rejection);
            Response::new(Body::from("another response"))
        })
    };
    let layer = hooked(WaitForBodyLayer::new(3));
    let (response, _) = call(layer.clone(), Untouched(4)).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["connection"], "close");
    assert_eq!(text(response).await, "another response");
    call(layer.clone(), Frames::new(["ab", "cd"])).await;
    call(layer, Frames::new(["a"]).error("cut off")).await;
    let no_disk = WaitForBodyLayer::new(10).memory_threshold(1).disk_budget(0);
    call(hooked(no_disk), Untouched(2)).await;
    assert_eq!(
        *causes.lock().unwrap(),
        [
            Rejection::BodyTooLarge,
            Rejection::BodyTooLarge,
            Rejection::BodyIncomplete,
            Rejection::DiskBudget
        ]
    );
}
