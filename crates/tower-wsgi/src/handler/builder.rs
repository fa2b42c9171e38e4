use std::{fmt, sync::Arc};

use tower_blocking::internal::List;
use tower_layer::{Identity, Layer};

#[cfg(feature = "wsgi")]
use super::chain::OnPool;
use super::{
    Middleware, WsgiHandler,
    chain::{Append, Chain, InExecutor, Nobody, OnLoop},
    middleware,
    service::Shared,
};
#[cfg(feature = "wsgi")]
use crate::{blocking::BlockingLayer, wsgi::WsgiService};
use crate::{
    blocking::BlockingPool, body::probe_temporary_directory,
    response_middleware::ResponseMiddleware, wait_for_body::WaitForBodyLayer,
};

/// Builds a [`WsgiHandler`]. The [module docs](super) tell the order of its parts.
#[must_use]
pub struct WsgiHandlerBuilder<L = Identity, H = Nobody> {
    body: L,
    handlers: H,
    middleware: middleware::List,
    response_middleware: List,
}

impl WsgiHandlerBuilder {
    pub(super) fn new() -> Self {
        Self {
            body: Identity::new(),
            handlers: Nobody,
            middleware: middleware::List::default(),
            response_middleware: List::default(),
        }
    }
}

impl<H> WsgiHandlerBuilder<Identity, H> {
    /// The handlers get a [`BufferedBody`](crate::BufferedBody), when all of it has arrived.
    pub fn wait_for_body(self, layer: WaitForBodyLayer) -> WsgiHandlerBuilder<WaitForBodyLayer, H> {
        WsgiHandlerBuilder {
            body: layer,
            handlers: self.handlers,
            middleware: self.middleware,
            response_middleware: self.response_middleware,
        }
    }
}

impl<L, H> WsgiHandlerBuilder<L, H> {
    /// Adds a middleware for the way in. Middleware run in the order added, before the body is read,
    /// wherever they stand in the builder; the first that answers ends the way.
    pub fn middleware(mut self, middleware: impl Middleware) -> Self {
        self.middleware.push(middleware);
        self
    }

    /// Adds a function `Fn(&mut Request<B>) -> impl IntoAnswer` that may block. It runs on the pool,
    /// and so does the body of its response. Where it returns `None`, the next handler gets the
    /// request, at the reading position that this one left.
    pub fn in_executor<F>(
        self,
        pool: &BlockingPool,
        function: F,
    ) -> WsgiHandlerBuilder<L, H::With<InExecutor<F>>>
    where
        H: Append,
    {
        self.with(InExecutor {
            pool: pool.clone(),
            function: Arc::new(function),
        })
    }

    /// Adds a service that runs on the event loop. It always answers: a handler after it is never
    /// asked. A service that blocks belongs under a
    /// [`BlockingLayer`](crate::blocking::BlockingLayer).
    pub fn service<S>(self, service: S) -> WsgiHandlerBuilder<L, H::With<OnLoop<S>>>
    where
        H: Append,
    {
        self.with(OnLoop(service))
    }

    /// Adds a WSGI application that runs on the pool, and so does the iteration of its body. It always
    /// answers: a handler after it is never asked. One that runs on the event loop is a
    /// [`service`](Self::service).
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
        pool: &BlockingPool,
        application: WsgiService<A>,
    ) -> WsgiHandlerBuilder<L, H::With<OnPool<A>>>
    where
        H: Append,
    {
        self.service(BlockingLayer::new(pool).layer(application))
    }

    /// Adds a middleware for the way out. Response middleware run in the order added, on every
    /// response, error pages too.
    pub fn response_middleware(mut self, middleware: impl ResponseMiddleware) -> Self {
        self.response_middleware.push(middleware);
        self
    }

    /// The finished handler. A warning is logged if no temporary file can be written: request bodies and
    /// responses that do not fit in memory need one.
    #[must_use]
    pub fn build(self) -> WsgiHandler<L::Service>
    where
        L: Layer<Chain<H>>,
    {
        probe_temporary_directory();
        WsgiHandler {
            inner: self.body.layer(Chain(self.handlers)),
            shared: Arc::new(Shared {
                middleware: self.middleware,
                response_middleware: self.response_middleware,
            }),
        }
    }

    fn with<N>(self, next: N) -> WsgiHandlerBuilder<L, H::With<N>>
    where
        H: Append,
    {
        WsgiHandlerBuilder {
            body: self.body,
            handlers: self.handlers.append(next),
            middleware: self.middleware,
            response_middleware: self.response_middleware,
        }
    }
}

impl<L, H> fmt::Debug for WsgiHandlerBuilder<L, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WsgiHandlerBuilder")
            .field("middleware", &self.middleware)
            .field("response_middleware", &self.response_middleware)
            .finish_non_exhaustive()
    }
}
