//! Where an application runs: an executor takes a request, calls the application, iterates over the response,
//! closes it, and gives the response to the event loop.
//!
//! There are four:
//!
//! | executor | for | waits by |
//! |---|---|---|
//! | [`Executor::Inline`] | callables that never block | not at all: it runs on the event loop |
//! | [`Executor::EventLoop`] | `async def` | awaiting, on a Python [event loop](crate::event_loop) |
//! | [`Executor::Greenlets`] | blocking code on cooperative sockets (gevent) | switching greenlets |
//! | [`Executor::Blocking`] | all others | blocking a thread of a [`BlockingPool`] |
//!
//! This module is the only one that knows which one it is. Another executor is a variant of [`Executor`] and of the state
//! of [`ResponseFuture`]. It gets each request below `WaitForBody`, so the whole body has arrived, and calls the same
//! [`Callable`]; the environ, `start_response` and the rules for pieces do not depend on it. It must never make the
//! server's event loop wait for the interpreter's lock.
//!
//! What an application returns on one of the other executors may be asynchronous as well: then it is left to the Python
//! event loop, and the thread of the pool is free.

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use http::{HeaderValue, Request, Response, header::ACCEPT};
use pin_project_lite::pin_project;
use pyo3::Python;
use tower_layer::Layer as _;
use tower_server_info::{PoolStats, ServerResponse};
use tower_service::Service as _;
use tower_wsgi::{
    Body, BoxError,
    blocking::{Blocking, BlockingLayer, BlockingPool},
    wait_for_body::{self, WaitForBody, WaitForBodyLayer},
    wsgi::WsgiService,
};

use crate::{
    callable::{Callable, LoopCallable},
    gate::Gate,
    greenlets::{GreenletCallable, Greenlets},
    websocket::{WebSocketFuture, WebSockets, offer_upgrade},
};

type InlineService = WsgiService<Callable>;
type LoopService = WsgiService<LoopCallable>;
type GreenletService = Gate<WsgiService<GreenletCallable>>;
type BlockingService = Blocking<WsgiService<Callable>>;

/// Where WebSocket requests run of an application on greenlets: on others, which may have open sockets.
type GreenletSockets = WebSockets<WaitForBody<GreenletService>>;

/// Where WebSocket requests run: on a pool of their own, so that open sockets never hold the threads of other requests.
pub(crate) type WebSocketPool = WebSockets<WaitForBody<BlockingService>>;

/// Runs WebSocket requests on the threads of `pool`, each of which may have an open socket.
pub(crate) fn websockets(
    wsgi: WsgiService<Callable>,
    wait_for_body: &WaitForBodyLayer,
    pool: &BlockingPool,
    threads: usize,
) -> WebSocketPool {
    let blocking = BlockingLayer::new(pool).layer(wsgi);
    WebSockets::new(wait_for_body.layer(blocking), threads)
}

/// An application, and where it runs.
#[derive(Clone)]
pub(crate) enum Executor {
    Inline(WaitForBody<InlineService>),
    EventLoop(WaitForBody<LoopService>),
    Greenlets(
        WaitForBody<GreenletService>,
        Greenlets,
        Option<GreenletSockets>,
    ),
    Blocking(WaitForBody<BlockingService>, BlockingPool),
}

impl Executor {
    /// Runs on the event loop.
    pub(crate) fn inline(wsgi: WsgiService<Callable>, wait_for_body: &WaitForBodyLayer) -> Self {
        Self::Inline(wait_for_body.layer(wsgi))
    }

    /// Runs on a Python event loop.
    pub(crate) fn event_loop(
        wsgi: WsgiService<LoopCallable>,
        wait_for_body: &WaitForBodyLayer,
    ) -> Self {
        Self::EventLoop(wait_for_body.layer(wsgi.multithread(false)))
    }

    /// Runs on greenlets, and WebSocket requests on as many of them as `sockets` says.
    pub(crate) fn greenlets(
        wsgi: WsgiService<GreenletCallable>,
        wait_for_body: &WaitForBodyLayer,
        greenlets: Greenlets,
        sockets: usize,
    ) -> Self {
        // They share one thread, but one request can see another one half done, as with threads.
        let wsgi = wsgi.multithread(true);
        let sockets = (sockets > 0).then(|| {
            let gate = greenlets.with_places(sockets).gate(wsgi.clone());
            WebSockets::new(wait_for_body.layer(gate), sockets)
        });
        let gate = greenlets.gate(wsgi);
        Self::Greenlets(wait_for_body.layer(gate), greenlets, sockets)
    }

    /// Runs on the threads of a pool.
    pub(crate) fn blocking(
        wsgi: WsgiService<Callable>,
        wait_for_body: &WaitForBodyLayer,
        pool: BlockingPool,
    ) -> Self {
        let blocking = BlockingLayer::new(&pool).layer(wsgi);
        Self::Blocking(wait_for_body.layer(blocking), pool)
    }

    /// The figures of its pool of threads, or of its greenlets.
    pub(crate) fn stats(&self) -> Option<PoolStats> {
        match self {
            Self::Inline(_) | Self::EventLoop(_) => None,
            Self::Greenlets(_, greenlets, _) => Some(greenlets.stats()),
            Self::Blocking(_, pool) => Some(pool.stats()),
        }
    }

    /// Calls the application, with a WebSocket request on the pool for these.
    pub(crate) fn call<B>(
        &mut self,
        mut request: Request<B>,
        websockets: Option<&mut WebSocketPool>,
    ) -> ResponseFuture
    where
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let accept = request.headers().get(ACCEPT).cloned();
        if let Some(pool) = websockets
            && let Some(handshake) = offer_upgrade(&mut request)
        {
            let future = pool.call(request, handshake);
            let state = State::WebSocket { future };
            return ResponseFuture { state, accept };
        }
        let state = match self {
            Self::Inline(service) => State::Inline {
                future: service.call(request),
            },
            Self::EventLoop(service) => {
                // For sockets with events, whose response is the application's, as below.
                drop(offer_upgrade(&mut request));
                State::EventLoop {
                    future: service.call(request),
                }
            }
            Self::Greenlets(service, _, sockets) => {
                let handshake = sockets
                    .is_some()
                    .then(|| offer_upgrade(&mut request))
                    .flatten();
                match (sockets, handshake) {
                    (Some(sockets), Some(handshake)) => State::GreenletSocket {
                        future: sockets.call(request, handshake),
                    },
                    _ => State::Greenlets {
                        future: service.call(request),
                    },
                }
            }
            Self::Blocking(service, _) => State::Blocking {
                future: service.call(request),
            },
        };
        ResponseFuture { state, accept }
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(_) => f.write_str("Inline"),
            Self::EventLoop(_) => f.write_str("EventLoop"),
            Self::Greenlets(..) => f.write_str("Greenlets"),
            Self::Blocking(_, pool) => f.debug_tuple("Blocking").field(pool).finish(),
        }
    }
}

pin_project! {
    /// The response of a [`PythonApp`](crate::PythonApp).
    pub struct ResponseFuture {
        #[pin]
        state: State,
        // Selects the format of an error page.
        accept: Option<HeaderValue>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State {
        Inline { #[pin] future: wait_for_body::WaitForBodyFuture<InlineService> },
        EventLoop { #[pin] future: wait_for_body::WaitForBodyFuture<LoopService> },
        Greenlets { #[pin] future: wait_for_body::WaitForBodyFuture<GreenletService> },
        GreenletSocket { #[pin] future: WebSocketFuture<wait_for_body::WaitForBodyFuture<GreenletService>> },
        Blocking { #[pin] future: wait_for_body::WaitForBodyFuture<BlockingService> },
        WebSocket { #[pin] future: WebSocketFuture<wait_for_body::WaitForBodyFuture<BlockingService>> },
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut polled = match this.state.project() {
            // Attaching once here is much faster than at each step of the call.
            StateProj::Inline { future } => Python::attach(|_| future.poll(cx)),
            StateProj::EventLoop { future } => future.poll(cx),
            StateProj::Greenlets { future } => future.poll(cx),
            StateProj::GreenletSocket { future } => future.poll(cx),
            StateProj::Blocking { future } => future.poll(cx),
            StateProj::WebSocket { future } => future.poll(cx),
        };
        if let Poll::Ready(Ok(response)) = &mut polled {
            ServerResponse::negotiate(this.accept.as_ref(), response);
        }
        polled
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
