//! The routes, and the layers around them.

use std::convert::Infallible;

use axum::{
    Json, Router,
    body::Body,
    extract::State,
    http::{Method, Request},
    routing::{get, get_service, post_service},
};
use tower::{Layer as _, ServiceBuilder};
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::CompressionLayer,
    cors::{Any, CorsLayer},
    trace::{DefaultMakeSpan, DefaultOnResponse, TraceLayer},
};
use tower_wsgi::{
    BufferedBody,
    blocking::{BlockingLayer, BlockingPool, blocking_fn},
    wait_for_body::WaitForBodyLayer,
};
use tracing::Level;

use crate::{
    digest::digest,
    documents::{Document, Documents},
    report::report,
};

/// The whole service. Its blocking routes share `pool`.
pub(crate) fn router(pool: &BlockingPool, max_body: u64) -> Router {
    let documents = Documents::default();
    let blocking = BlockingLayer::new(pool);

    // A slow upload holds no thread: the function is called when all of it has arrived.
    let digest = ServiceBuilder::new()
        .layer(WaitForBodyLayer::new(max_body))
        .layer(blocking.clone())
        .service(blocking_fn({
            let documents = documents.clone();
            move |request: Request<BufferedBody>| Ok::<_, Infallible>(digest(&documents, request))
        }));
    // A slow reader holds no thread, either: the body is produced into a buffer.
    let report = blocking.layer(blocking_fn(|request: Request<Body>| {
        Ok::<_, Infallible>(report(&request))
    }));

    Router::new()
        .route("/health", get(|| async { "ok\n" }))
        .route("/documents", get(list))
        .with_state(documents)
        .route("/digest", post_service(digest))
        .route("/report", get_service(report))
        .layer(
            // The first layer is the outermost: it sees the response of the others.
            ServiceBuilder::new()
                .layer(
                    // One line in the log for each request.
                    TraceLayer::new_for_http()
                        .make_span_with(DefaultMakeSpan::new().level(Level::INFO))
                        .on_response(DefaultOnResponse::new().level(Level::INFO)),
                )
                .layer(
                    CorsLayer::new()
                        .allow_origin(Any)
                        .allow_methods([Method::GET, Method::POST]),
                )
                .layer(CompressionLayer::new())
                // A panic on a thread of the pool unwinds into here, and becomes a 500.
                .layer(CatchPanicLayer::new()),
        )
}

async fn list(State(documents): State<Documents>) -> Json<Vec<Document>> {
    Json(documents.latest())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::http::{HeaderMap, StatusCode, header};
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;

    async fn ask(app: &Router, request: Request<Body>) -> (StatusCode, HeaderMap, Vec<u8>) {
        let Ok(response) = app.clone().oneshot(request).await;
        let (head, body) = response.into_parts();
        let body = body.collect().await.expect("the body is whole").to_bytes();
        (head.status, head.headers, body.into())
    }

    fn get(uri: &str) -> Request<Body> {
        let request = Request::get(uri).body(Body::empty());
        request.expect("the request is valid")
    }

    /// Drains the pool: a job counts as done when it has ended, which may be after its response.
    async fn jobs_run(pool: &BlockingPool) -> u64 {
        let drained = pool.drain(Duration::from_secs(60)).await;
        drained.expect("the jobs end");
        pool.stats().finished
    }

    #[tokio::test]
    async fn a_document_is_digested_on_the_pool_and_listed() {
        let pool = BlockingPool::new(1);
        let app = router(&pool, 2 << 20);
        // More than stays in memory.
        let document = Request::post("/digest?name=zeroes").body(vec![0; 2 << 20].into());
        let (status, _, body) = ask(&app, document.expect("the request is valid")).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(jobs_run(&pool).await, 1);
        let expected = serde_json::json!({
            "name": "zeroes",
            "length": 2 << 20,
            "sha256": "5647f05ec18958947d32874eeb788fa396a05d0bab7c1b71f112ceb7e9b31eee",
        });
        let given: serde_json::Value = serde_json::from_slice(&body).expect("it is JSON");
        assert_eq!(given, expected);

        let (_, _, body) = ask(&app, get("/documents")).await;
        let given: serde_json::Value = serde_json::from_slice(&body).expect("it is JSON");
        assert_eq!(given, serde_json::json!([expected]));
        assert_eq!(pool.stats().refused, 0, "the list needs no thread");
    }

    #[tokio::test]
    async fn a_document_that_is_too_large_is_refused() {
        let pool = BlockingPool::new(1);
        let document = Request::post("/digest").body("more than four bytes".into());
        let (status, ..) = ask(&router(&pool, 4), document.expect("the request is valid")).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(pool.stats().finished, 0);
    }

    #[tokio::test]
    async fn a_report_is_written_on_the_pool_and_compressed() {
        let pool = BlockingPool::new(1);
        let app = router(&pool, 1);
        let (status, _, plain) = ask(&app, get("/report?rows=20000")).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(plain.iter().filter(|byte| **byte == b'\n').count(), 20_001);

        let mut request = get("/report?rows=20000");
        let gzip = header::HeaderValue::from_static("gzip");
        request.headers_mut().insert(header::ACCEPT_ENCODING, gzip);
        let (_, headers, compressed) = ask(&app, request).await;
        assert_eq!(headers[header::CONTENT_ENCODING], "gzip");
        assert!(compressed.len() < plain.len() * 3 / 4);
        assert_eq!(jobs_run(&pool).await, 2);
    }

    #[tokio::test]
    async fn what_makes_no_sense_is_refused() {
        let app = router(&BlockingPool::new(1), 1);
        for uri in ["/report?rows=many", "/report?rows=10000001"] {
            let (status, ..) = ask(&app, get(uri)).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{uri}");
        }
        let (status, ..) = ask(&app, get("/digest")).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    }

    #[tokio::test]
    async fn any_origin_may_ask() {
        let app = router(&BlockingPool::new(1), 1);
        let mut request = get("/health");
        let origin = header::HeaderValue::from_static("http://example.com");
        request.headers_mut().insert(header::ORIGIN, origin);
        let (status, headers, _) = ask(&app, request).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    }
}
