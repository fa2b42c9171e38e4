//! `PythonApp` as a Rust program uses it: with the interpreter inside.

use std::time::Duration;

use axum::{Router, routing::get};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;
use tower_wsgi::Body;
use tower_wsgi_python::{PythonApp, PythonAppBuilder};

fn load(name: &str) -> PythonApp {
    PythonApp::load(&format!("tests.applications:{name}")).unwrap()
}

fn load_with(name: &str, builder: PythonAppBuilder) -> PythonApp {
    builder.load(&format!("tests.applications:{name}")).unwrap()
}

/// The number of threads, and otherwise the default settings.
fn load_on(threads: usize, name: &str) -> PythonApp {
    load_with(name, PythonApp::builder().thread_workers(threads))
}

async fn call(app: &PythonApp, uri: &str) -> (StatusCode, Result<String, String>) {
    let request = Request::builder().uri(uri).body(Body::empty()).unwrap();
    let Ok(response) = app.clone().oneshot(request).await;
    let status = response.status();
    let body = response.into_body().collect().await;
    let body = body.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned());
    (status, body.map_err(|error| error.to_string()))
}

async fn text(app: &PythonApp, uri: &str) -> String {
    let (status, body) = call(app, uri).await;
    assert_eq!(status, StatusCode::OK);
    body.unwrap()
}

#[tokio::test]
async fn it_stands_beside_the_routes_of_a_router() {
    let app: Router = Router::new()
        .route("/health", get(|| async { "ok" }))
        .fallback_service(load("where"));
    for (path, expected) in [("/health", "ok"), ("/a%20b", "['', '/a b', True, False]")] {
        let request = Request::builder().uri(path).body(axum::body::Body::empty());
        let response = app.clone().oneshot(request.unwrap()).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, expected);
    }
}

#[tokio::test]
async fn its_environ_tells_where_it_runs() {
    let builder = PythonApp::builder().script_name("/shop");
    let app = load_with("Shelf.application", builder.clone());
    assert_eq!(
        text(&app, "/shop/tea").await,
        "['/shop', '/tea', True, False]"
    );
    let builder = builder.thread_workers(1).multiprocess(true);
    let app = load_with("Shelf.application", builder.clone());
    // The threads for WebSockets are threads, too.
    assert_eq!(text(&app, "/tea").await, "['/shop', '/tea', True, True]");
    let app = load_with("Shelf.application", builder.websocket_threads(0));
    assert_eq!(text(&app, "/tea").await, "['/shop', '/tea', False, True]");
    for (sockets, multithread) in [(1, "True"), (0, "False")] {
        let builder = PythonApp::builder().thread_workers(0);
        let app = load_with("where", builder.websocket_threads(sockets));
        let expected = format!("['', '/', {multithread}, False]");
        assert_eq!(text(&app, "/").await, expected);
    }
}

#[tokio::test]
async fn a_factory_is_called_with_its_literals() {
    assert_eq!(text(&load("create('tea', shout=True)"), "/").await, "TEA");
}

#[tokio::test]
async fn an_exception_is_500_before_the_first_byte_and_breaks_the_body_after_it() {
    for threads in [0, 2] {
        let (status, _) = call(&load_on(threads, "raises"), "/").await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        let (status, body) = call(&load_on(threads, "breaks"), "/").await;
        assert_eq!(status, StatusCode::OK);
        let error = body.unwrap_err();
        assert!(
            error.contains("LookupError: nothing more is here"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_thread_keeps_what_the_application_has_stored_for_it() {
    let app = load_on(1, "counts");
    let first = text(&app, "/").await;
    let (thread, _) = first.split_once(' ').unwrap();
    for count in 2..5 {
        // Idle for longer than a thread of another pool would stay.
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(text(&app, "/").await, format!("{thread} {count}"));
    }
}

#[tokio::test]
async fn a_thread_that_waits_lets_the_next_one_go_on() {
    let app = load_on(2, "sleeps");
    let slow = tokio::spawn({
        let app = app.clone();
        async move { text(&app, "/?2").await }
    });
    while app.stats().is_some_and(|stats| stats.busy == 0) {
        tokio::task::yield_now().await;
    }
    assert_eq!(text(&app, "/?0").await, "slept");
    assert!(!slow.is_finished());
    assert_eq!(slow.await.unwrap(), "slept");
}

#[tokio::test]
async fn a_body_that_is_too_large_never_reaches_it() {
    let app = load_with("raises", PythonApp::builder().max_body(10));
    let request = Request::post("/").body(Body::from("12345678901")).unwrap();
    let Ok(response) = app.oneshot(request).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[test]
fn what_cannot_be_loaded_is_told_in_words_and_an_error_within_with_its_traceback() {
    let error = |place: &str| PythonApp::load(place).unwrap_err().to_string();
    assert!(error("no_such_module:app").contains("there is no module"));
    assert!(error("tests.applications:fails()").contains("Traceback"));
    assert!(error("tests.applications:fails()").contains("in fails"));
    assert!(error("tests.applications:nothing").contains("has no \"nothing\""));
    assert!(error("tests.applications:not_callable").contains("is not callable: its type is int"));
    assert!(error("tests.applications:1 + 1").contains("expected a name"));
    assert!(error("tests.applications:create(x)").contains("must be literals"));
    assert!(error(":app").contains("expected MODULE:CALLABLE"));
    assert!(error("tests.applications:(").contains("expected a name after the colon"));
}
