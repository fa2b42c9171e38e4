//! The builder of a `WsgiHandler`.

use std::{fmt, sync::Arc};

use tower_layer::{Identity, Layer};

use super::{
    Middleware, WsgiHandler,
    blocking::Blocking,
    chain::{Append, ChainService, Empty, Inline},
    service::Stack,
};
#[cfg(feature = "wsgi")]
use crate::wsgi::WsgiService;
use crate::{
    blocking::BlockingLayer, body::probe_temporary_directory,
    response_middleware::ResponseMiddleware, wait_for_body::WaitForBodyLayer,
};

/// A WSGI application on a pool.
#[cfg(feature = "wsgi")]
type BlockingApplication<A> = Inline<crate::blocking::Blocking<WsgiService<A>>>;

/// Builds a [`WsgiHandler`]. The [module docs](super) say in which order its parts run.
///
/// Its type parameters grow with each handler and are not meant to be named; the finished handler has a type with a
/// name, [`BoxWsgiHandler`](super::BoxWsgiHandler), by [`WsgiHandler::boxed`].
#[must_use]
pub struct WsgiHandlerBuilder<L = Identity, H = Empty> {
    body: L,
    handlers: H,
    stack: Stack,
}

impl WsgiHandler {
    /// Starts with a handler that responds to every request with 404.
    pub fn builder() -> WsgiHandlerBuilder {
        WsgiHandlerBuilder {
            body: Identity::new(),
            handlers: Empty,
            stack: Stack::default(),
        }
    }
}

impl<H> WsgiHandlerBuilder<Identity, H> {
    /// The handlers are called when the whole body of the request has arrived, with a
    /// [`BufferedBody`](crate::BufferedBody).
    pub fn wait_for_body(self, layer: WaitForBodyLayer) -> WsgiHandlerBuilder<WaitForBodyLayer, H> {
        WsgiHandlerBuilder {
            body: layer,
            handlers: self.handlers,
            stack: self.stack,
        }
    }
}

impl<L, H> WsgiHandlerBuilder<L, H> {
    /// Adds request middleware. It runs in the order added, before the body is read, regardless of its position among the
    /// other calls of the builder. The first one that responds ends the processing.
    pub fn middleware(mut self, middleware: impl Middleware) -> Self {
        self.stack.middleware.push(middleware);
        self
    }

    /// Adds a function `Fn(&mut Request<B>) -> impl IntoOptionalResponse` that may block. It runs on the pool, and so
    /// does the body of its response. When it returns `None`, the next handler gets the request; it reads the body
    /// from the position at which this function has stopped.
    ///
    /// `pool` is a [`BlockingPool`](crate::blocking::BlockingPool), or a [`BlockingLayer`] with settings:
    ///
    /// ```
    /// use http::{Request, Response};
    /// use tower_wsgi::{
    ///     Body, Rejection, blocking::{BlockingLayer, BlockingPool}, handler::WsgiHandler,
    /// };
    ///
    /// let pool = BlockingPool::new(10);
    /// let layer = BlockingLayer::new(&pool).on_rejection(|rejection: Rejection| {
    ///     let mut response = Response::new(Body::from("Please try again."));
    ///     *response.status_mut() = rejection.status();
    ///     response
    /// });
    /// let handler = WsgiHandler::builder()
    ///     .blocking(layer, |_: &mut Request<Body>| Response::new(Body::from("hello")))
    ///     .build();
    /// # fn is_service<S: tower::Service<Request<Body>>>(_: &S) {}
    /// # is_service(&handler);
    /// ```
    pub fn blocking<F>(
        self,
        pool: impl Into<BlockingLayer>,
        function: F,
    ) -> WsgiHandlerBuilder<L, H::With<Blocking<F>>>
    where
        H: Append,
    {
        self.with(Blocking {
            layer: pool.into(),
            function: Arc::new(function),
        })
    }

    /// Adds a service that runs on the event loop. It always responds, so a handler after it is never called. A
    /// service that blocks needs a [`BlockingLayer`] around it.
    pub fn service<S>(self, service: S) -> WsgiHandlerBuilder<L, H::With<Inline<S>>>
    where
        H: Append,
    {
        self.with(Inline(service))
    }

    /// Adds a WSGI application that runs on the pool, and so does the iteration over its response. It always responds,
    /// so a handler after it is never called. `pool` is that of [`blocking`](Self::blocking). To run one on the event loop, add it as a [`service`](Self::service).
    ///
    /// ```
    /// use bytes::Bytes;
    /// use tower_wsgi::{
    ///     BoxError, blocking::BlockingPool, handler::WsgiHandler, wait_for_body::WaitForBodyLayer,
    ///     wsgi::{Environ, StartResponse, WsgiService},
    /// };
    ///
    /// fn hello(_: Environ, start_response: StartResponse) -> Result<[Result<Bytes, BoxError>; 1], BoxError> {
    ///     start_response.start("200 OK", [("content-type", "text/plain")])?;
    ///     Ok([Ok("hello".into())])
    /// }
    ///
    /// let pool = BlockingPool::new(10);
    /// let handler = WsgiHandler::builder()
    ///     .wait_for_body(WaitForBodyLayer::new(8 << 20))
    ///     .application(&pool, WsgiService::new(hello).script_name("/shop"))
    ///     .build();
    /// # fn is_service<S: tower::Service<http::Request<tower_wsgi::Body>>>(_: &S) {}
    /// # is_service(&handler);
    /// ```
    #[cfg(feature = "wsgi")]
    pub fn application<A>(
        self,
        pool: impl Into<BlockingLayer>,
        application: WsgiService<A>,
    ) -> WsgiHandlerBuilder<L, H::With<BlockingApplication<A>>>
    where
        H: Append,
    {
        self.service(pool.into().layer(application))
    }

    /// Adds response middleware. It runs in the order added, on every response: also on those that the layers and the
    /// `WsgiHandler` make themselves.
    pub fn response_middleware(mut self, middleware: impl ResponseMiddleware) -> Self {
        self.stack.response_middleware.push(middleware);
        self
    }

    /// The finished handler. Logs a warning if no temporary file can be created: request bodies and responses that do
    /// not fit in memory need one.
    #[must_use]
    pub fn build(self) -> WsgiHandler<L::Service>
    where
        L: Layer<ChainService<H>>,
    {
        probe_temporary_directory();
        WsgiHandler {
            inner: self.body.layer(ChainService(self.handlers)),
            stack: Arc::new(self.stack),
        }
    }

    fn with<N>(self, next: N) -> WsgiHandlerBuilder<L, H::With<N>>
    where
        H: Append,
    {
        WsgiHandlerBuilder {
            body: self.body,
            handlers: self.handlers.append(next),
            stack: self.stack,
        }
    }
}

impl<L, H> fmt::Debug for WsgiHandlerBuilder<L, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WsgiHandlerBuilder")
            .field("stack", &self.stack)
            .finish_non_exhaustive()
    }
}
