//! A whole `WsgiHandler` with routes for the limits: a thread that is held, a large response, a
//! panic, a build that fails once.

use std::{
    convert::Infallible,
    future::ready,
    iter,
    ops::ControlFlow,
    pin::Pin,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body as AxumBody;
use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body::Frame;
use tower::Layer as _;
use tower::{Service, service_fn};
use tower_wsgi::{
    Body, BoxError, BufferedBody, blocking::BlockingPool, handler::WsgiHandler, lazy::LazyLayer,
    wait_for_body::WaitForBodyLayer,
};

/// The longest time that a request is held.
const LONGEST: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    fn wait(&self) {
        let open = self.open.lock().expect("nobody panics with it");
        let wait = self
            .changed
            .wait_timeout_while(open, LONGEST, |open| !*open);
        drop(wait.expect("nobody panics with it"));
    }

    fn set(&self, open: bool) {
        *self.open.lock().expect("nobody panics with it") = open;
        self.changed.notify_all();
    }
}

pub(crate) fn build(
    pool: &BlockingPool,
) -> impl Service<Request<AxumBody>, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ Sync
+ 'static
+ use<> {
    let gate = Arc::new(Gate::default());
    let control = {
        let (pool, gate) = (pool.clone(), Arc::clone(&gate));
        move |request: &mut Parts| control(&pool, &gate, request.uri.path())
    };
    let first = Arc::new(AtomicBool::new(true));
    let lazy = LazyLayer::new().layer(move || {
        let first = first.swap(false, Ordering::SeqCst);
        ready(if first {
            Err("not yet")
        } else {
            Ok(service_fn(|_: Request<BufferedBody>| {
                ready(Ok::<_, Infallible>(Response::new(Body::from("built"))))
            }))
        })
    });
    WsgiHandler::builder()
        .middleware(control)
        .wait_for_body(WaitForBodyLayer::new(1 << 20))
        .blocking(
            pool,
            move |request: &mut Request<BufferedBody>| match request.uri().path() {
                "/hold" => {
                    gate.wait();
                    Some(Response::new(Body::from("held")))
                }
                "/panic" => panic!("as the test wants it"),
                "/large" => Some(Response::new(Body::new(Large::new(128)))),
                "/broken" => Some(Response::new(Body::new(Large::broken(3)))),
                _ => None,
            },
        )
        .service(lazy)
        .build()
}

/// What the event loop responds to.
fn control(pool: &BlockingPool, gate: &Gate, path: &str) -> ControlFlow<Response<Body>> {
    match path {
        "/stats" => {
            let stats = pool.stats();
            let text = format!("{} {} {}", stats.busy, stats.queued, stats.finished);
            return ControlFlow::Break(Response::new(Body::from(text)));
        }
        "/open" => gate.set(true),
        "/close" => gate.set(false),
        _ => return ControlFlow::Continue(()),
    }
    ControlFlow::Break(Response::new(Body::empty()))
}

/// Chunks of 64 KiB from a blocking iterator, each of another letter.
struct Large(Box<dyn Iterator<Item = Result<Bytes, BoxError>> + Send>);

impl Large {
    fn new(chunks: u8) -> Self {
        let chunk = |n: u8| Ok(Bytes::from(vec![b'a' + n % 26; 64 << 10]));
        Self(Box::new((0..chunks).map(chunk)))
    }

    fn broken(chunks: u8) -> Self {
        let error = iter::once_with(|| Err("the iterator failed".into()));
        Self(Box::new(Self::new(chunks).0.chain(error)))
    }
}

impl http_body::Body for Large {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(self.0.next().map(|chunk| chunk.map(Frame::data)))
    }
}
