//! The order of middleware, and the readiness of the service.

use std::convert::Infallible;

use http::{HeaderMap, HeaderValue, Request, Response, request::Parts};
use tower::{ServiceExt as _, service_fn};
use tower_layer::Layer as _;
use tower_test::mock;

use super::{ResponseMiddleware, ResponseMiddlewareLayer, edit, from_async_fn};
use crate::{Body, test_helpers::text};

fn append(headers: &mut HeaderMap, value: &'static str) {
    headers.append("order", HeaderValue::from_static(value));
}

async fn second(_: &Parts, mut response: Response<Body>) -> Response<Body> {
    tokio::task::yield_now().await;
    append(response.headers_mut(), "second");
    response
}

struct Third(&'static str);

impl ResponseMiddleware for Third {
    async fn edit(&self, request: &Parts, mut response: Response<Body>) -> Response<Body> {
        append(response.headers_mut(), self.0);
        let path = request.uri.path();
        response
            .headers_mut()
            .insert("path", HeaderValue::from_str(path).unwrap());
        response
    }
}

#[tokio::test]
async fn they_run_in_the_order_added_sync_or_async() {
    let layer = ResponseMiddlewareLayer::new()
        .with(|_: &Parts, mut response: Response<Body>| {
            append(response.headers_mut(), "first");
            response
        })
        .with(from_async_fn(second))
        .with(edit(|request: &Parts, response: &mut Response<Body>| {
            assert_eq!(request.uri.path(), "/a");
            append(response.headers_mut(), "in place");
        }))
        .with(Third("third"))
        .with(from_async_fn(
            async |_: &Parts, mut response: Response<Body>| {
                append(response.headers_mut(), "fourth");
                response
            },
        ));
    let service = layer.layer(service_fn(async |request: Request<Body>| {
        assert_eq!(request.uri().path(), "/a");
        Ok::<_, Infallible>(Response::new(Body::from("hello")))
    }));
    let request = Request::get("/a").body(Body::empty()).unwrap();
    let response = service.oneshot(request).await.unwrap();
    let order: Vec<_> = response.headers().get_all("order").iter().collect();
    assert_eq!(order, ["first", "second", "in place", "third", "fourth"]);
    assert_eq!(response.headers()["path"], "/a");
    assert_eq!(text(response).await, "hello");
}

#[tokio::test]
async fn it_is_as_ready_as_the_inner_service() {
    let (mut service, mut handle) = mock::spawn_layer::<Request<&'static str>, Response<Body>, _>(
        ResponseMiddlewareLayer::new(),
    );
    handle.allow(0);
    tokio_test::assert_pending!(service.poll_ready());
    handle.allow(1);
    tokio_test::assert_ready_ok!(service.poll_ready());
    drop(service.call(Request::new("hello")));
    let (_request, _) = handle.next_request().await.unwrap();
}
