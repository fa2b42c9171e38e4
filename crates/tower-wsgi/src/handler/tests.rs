//! A whole `WsgiHandler`: its order, its errors, its chain.

use std::{
    convert::Infallible,
    io::Read as _,
    ops::ControlFlow,
    sync::{Arc, Mutex},
};

use http::{HeaderValue, Request, Response, StatusCode, request::Parts};
use tower::{ServiceExt as _, service_fn};

use super::{BoxWsgiHandler, WsgiHandler, from_async_fn};
use crate::{
    Body, BoxError, BufferedBody, Rejection,
    blocking::{BlockingLayer, BlockingPool},
    test_helpers::{Frames, Untouched, text},
    wait_for_body::WaitForBodyLayer,
    wsgi::{Environ, StartResponse, WsgiService},
};

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

fn is_service<S>(service: S) -> S
where
    S: tower_service::Service<Request<Body>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
{
    service
}

#[tokio::test]
async fn the_first_handler_that_responds_wins_and_no_handler_is_404() {
    let pool = BlockingPool::new(2);
    let at = |path: &'static str, response: &'static str| {
        move |request: &mut Request<BufferedBody>| {
            let mut read = String::new();
            request.body_mut().read_to_string(&mut read).unwrap();
            (request.uri().path() == path).then(|| Response::new(Body::from(response)))
        }
    };
    let handler = is_service(
        WsgiHandler::builder()
            .wait_for_body(WaitForBodyLayer::new(100))
            .blocking(&pool, at("/a", "a"))
            .blocking(&pool, at("/b", "b"))
            .blocking(&pool, at("/a", "never"))
            .build(),
    );
    for (path, status, body) in [("/a", 200, "a"), ("/b", 200, "b")] {
        let Ok(response) = handler.clone().oneshot(get(path)).await;
        assert_eq!(
            (response.status().as_u16(), &*text(response).await),
            (status, body)
        );
    }
    let Ok(response) = handler.oneshot(get("/c")).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_service_ends_the_chain_and_every_part_is_optional() {
    let handler = WsgiHandler::builder()
        .service(service_fn(async |request: Request<Body>| {
            Ok::<_, BoxError>(Response::new(request.into_body()))
        }))
        .build();
    let Ok(response) = handler.oneshot(Request::new(Body::from("echo"))).await;
    assert_eq!(text(response).await, "echo");

    let Ok(response) = WsgiHandler::builder().build().oneshot(get("/")).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_wsgi_application_responds_to_what_the_handlers_before_it_pass_on() {
    let pool = BlockingPool::new(1);
    let application = |mut environ: Environ, start_response: StartResponse| {
        if environ.path_info() == &b"/fail"[..] {
            return Err("no database".into());
        }
        let mut body = Vec::new();
        environ.input().read_to_end(&mut body)?;
        start_response.start("200 OK", [("x-path", &*environ.path_info())])?;
        Ok::<_, BoxError>([Ok(body.into())])
    };
    let handler = is_service(
        WsgiHandler::builder()
            .wait_for_body(WaitForBodyLayer::new(100))
            .blocking(&pool, |request: &mut Request<BufferedBody>| {
                (request.uri().path() == "/shop/a").then(|| Response::new(Body::from("a")))
            })
            .application(&pool, WsgiService::new(application).script_name("/shop"))
            .build(),
    );
    let Ok(response) = handler.clone().oneshot(get("/shop/a")).await;
    assert_eq!(text(response).await, "a");
    let post = Request::post("/shop/b").body(Body::from("hello")).unwrap();
    let Ok(response) = handler.clone().oneshot(post).await;
    assert_eq!(response.headers()["x-path"], "/b");
    assert_eq!(text(response).await, "hello");

    let fail = Request::get("/shop/fail").header("accept", "application/json");
    let Ok(response) = handler.oneshot(fail.body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert!(!text(response).await.contains("database"));
}

#[tokio::test]
async fn middleware_comes_first_in_order_and_may_respond_before_the_body_is_read() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = |name: &'static str| {
        let seen = Arc::clone(&seen);
        move |_: &mut Parts| {
            seen.lock().unwrap().push(name);
            ControlFlow::Continue(())
        }
    };
    async fn guard(request: &mut Parts) -> ControlFlow<Response<Body>> {
        tokio::task::yield_now().await;
        if request.headers.contains_key("authorization") {
            request.extensions.insert("Ada");
            return ControlFlow::Continue(());
        }
        let mut response = Response::new(Body::from("who are you?"));
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        ControlFlow::Break(response)
    }
    let handler = WsgiHandler::builder()
        .wait_for_body(WaitForBodyLayer::new(100))
        .middleware(log("first"))
        .middleware(from_async_fn(guard))
        .middleware(log("third"))
        .service(service_fn(async |request: Request<BufferedBody>| {
            let user = request.extensions().get::<&'static str>().unwrap();
            Ok::<_, BoxError>(Response::new(Body::from(*user)))
        }))
        .response_middleware(|request: &Parts, mut response: Response<Body>| {
            assert_eq!(request.uri.path(), "/");
            let value = HeaderValue::from_static("out");
            response.headers_mut().insert("way", value);
            response
        })
        .build();
    let Ok(response) = handler.clone().oneshot(Request::new(Untouched(5))).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(response.headers()["way"], "out");
    assert_eq!(*seen.lock().unwrap(), ["first"]);

    let request = Request::builder().header("authorization", "x");
    let Ok(response) = handler
        .oneshot(request.body(Frames::new(["body"])).unwrap())
        .await;
    assert_eq!(text(response).await, "Ada");
    assert_eq!(*seen.lock().unwrap(), ["first", "first", "third"]);
}

#[tokio::test]
async fn errors_and_panics_are_500_responses_without_details() {
    let pool = BlockingPool::new(1);
    let handler = WsgiHandler::builder()
        .blocking(&pool, |request: &mut Request<Body>| {
            match request.uri().path() {
                "/error" => Err("secret"),
                "/panic" => panic!("secret"),
                _ => Ok(Response::new(Body::from("fine"))),
            }
        })
        .build();
    for path in ["/error", "/panic"] {
        for (accept, content_type) in [
            ("*/*", "text/plain; charset=utf-8"),
            ("text/html", "text/html; charset=utf-8"),
            ("application/json", "application/json"),
        ] {
            let mut request = get(path);
            request
                .headers_mut()
                .insert("accept", HeaderValue::from_static(accept));
            let Ok(response) = handler.clone().oneshot(request).await;
            assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
            assert_eq!(response.headers()["content-type"], content_type);
            assert!(!text(response).await.contains("secret"));
        }
    }
    let Ok(response) = handler.oneshot(get("/")).await;
    assert_eq!(text(response).await, "fine");
}

#[tokio::test]
async fn a_panic_on_the_event_loop_is_a_500_too() {
    let handler = WsgiHandler::builder()
        .service(service_fn(
            async |request: Request<Body>| -> Result<Response<Body>, BoxError> {
                panic!("{}", request.uri().path())
            },
        ))
        .build();
    let Ok(response) = handler.oneshot(get("/")).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn refusals_of_the_layers_are_rendered_and_go_through_the_response_middleware() {
    let handler = WsgiHandler::builder()
        .wait_for_body(WaitForBodyLayer::new(10))
        .service(service_fn(async |_: Request<BufferedBody>| {
            Ok::<_, BoxError>(Response::new(Body::empty()))
        }))
        .response_middleware(|_: &Parts, mut response: Response<Body>| {
            let length = http_body::Body::size_hint(response.body()).exact().unwrap();
            response
                .headers_mut()
                .insert("length", HeaderValue::from(length));
            response
        })
        .build();
    let request = Request::builder().header("accept", "application/json");
    let Ok(response) = handler.oneshot(request.body(Untouched(11)).unwrap()).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(response.headers()["connection"], "close");
    let length = response.headers()["length"].to_str().unwrap().to_owned();
    let body = text(response).await;
    assert!(
        body.starts_with("{\"status\":413,\"error\":\"Payload Too Large\""),
        "{body}"
    );
    assert_eq!(body.len().to_string(), length);
}

#[tokio::test]
async fn a_response_of_the_application_is_left_alone() {
    let handler = WsgiHandler::builder()
        .service(service_fn(async |_: Request<Body>| {
            let response = Response::builder()
                .status(404)
                .body(Body::from("my own page"));
            Ok::<_, BoxError>(response.unwrap())
        }))
        .build();
    let mut request = get("/");
    request
        .headers_mut()
        .insert("accept", HeaderValue::from_static("application/json"));
    let Ok(response) = handler.oneshot(request).await;
    assert_eq!(text(response).await, "my own page");
}

#[tokio::test]
async fn a_boxed_handler_has_a_type_with_a_name() {
    struct Site {
        handler: BoxWsgiHandler<Body>,
    }
    let pool = BlockingPool::new(1);
    let handler = WsgiHandler::builder()
        .wait_for_body(WaitForBodyLayer::new(100))
        .blocking(&pool, |_: &mut Request<BufferedBody>| {
            Response::new(Body::from("boxed"))
        })
        .build();
    let site = Site {
        handler: handler.boxed(),
    };
    let Ok(response) = is_service(site.handler.clone()).oneshot(get("/")).await;
    assert_eq!(text(response).await, "boxed");
    let _: axum::Router =
        axum::Router::new().fallback_service(WsgiHandler::builder().build().boxed());
}

#[tokio::test]
async fn the_layer_of_a_blocking_function_responds_to_rejections() {
    let pool = BlockingPool::new(1);
    pool.drain(std::time::Duration::from_secs(60))
        .await
        .unwrap();
    let layer = BlockingLayer::new(&pool)
        .on_rejection(|rejection: Rejection| Response::new(Body::from(format!("{rejection:?}"))));
    let handler = WsgiHandler::builder()
        .blocking(layer, |_: &mut Request<Body>| Response::new(Body::empty()))
        .build();
    let Ok(response) = handler.oneshot(get("/")).await;
    assert_eq!(text(response).await, "Draining");
}
