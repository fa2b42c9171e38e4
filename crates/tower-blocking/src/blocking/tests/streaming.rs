//! Request bodies that a thread of the pool would wait for.

use std::io::{self, Write};

use axum::{Router, routing::get};
use tracing_subscriber::fmt::MakeWriter;

use super::*;
use crate::wait_for_body::WaitForBodyLayer;

/// The lines of the log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// The number of warnings that a client may hold a thread.
    fn warnings(&self) -> usize {
        let log = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        log.matches("put a WaitForBodyLayer above").count()
    }
}

impl Write for Log {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn log() -> (Log, tracing::subscriber::DefaultGuard) {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).finish();
    (log, tracing::subscriber::set_default(subscriber))
}

fn upload() -> Request<Frames> {
    Request::new(Frames::new(["slow", "ly"]))
}

#[tokio::test]
async fn a_body_that_has_not_arrived_is_warned_of_once_a_minute_unless_it_is_allowed() {
    let (log, _guard) = log();
    let pool = BlockingPool::new(1);
    let function = || blocking_fn(|_: Request<Frames>| Response::new(Body::empty()));
    let service = BlockingLayer::streaming(&pool).layer(function());
    service.oneshot(upload()).await.unwrap();
    assert_eq!(log.warnings(), 0);

    let service = BlockingLayer::new(&pool).layer(function());
    service.clone().oneshot(upload()).await.unwrap();
    service.oneshot(upload()).await.unwrap();
    assert_eq!(log.warnings(), 1);
}

#[tokio::test]
async fn below_a_layer_that_waits_for_the_body_there_is_no_warning() {
    let (log, _guard) = log();
    let service = ServiceBuilder::new()
        .layer(WaitForBodyLayer::new(100))
        .layer(BlockingLayer::new(&BlockingPool::new(1)))
        .service(blocking_fn(|_| Response::new(Body::empty())));
    let response = service.oneshot(upload()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(log.warnings(), 0);
}

#[tokio::test]
async fn a_get_handler_of_axum_needs_no_more_than_the_layer() {
    let (log, _guard) = log();
    let here = thread::current().id();
    let handler = get(async move || format!("{}", thread::current().id() == here));
    let layer = BlockingLayer::new(&BlockingPool::new(1));
    let app: Router = Router::new().route("/", handler.layer(layer));
    let request = Request::new(axum::body::Body::empty());
    let response = app.oneshot(request).await.unwrap();
    assert_eq!(text(response).await, "false");
    assert_eq!(log.warnings(), 0);
}
