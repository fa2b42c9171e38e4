//! [`ForwardedLayer`], for a service on another server than ours.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::Request;
use tower_layer::Layer;
use tower_server_info::ConnectInfo;
use tower_service::Service;

use super::TrustedProxies;

/// Finds the client of each request behind [`TrustedProxies`], for a service that is not on [`HttpServer`](crate::HttpServer),
/// which does the same by [`HttpServerBuilder::trusted_proxies`](crate::HttpServerBuilder::trusted_proxies).
///
/// The request needs a [`ConnectInfo`] in its extensions, from its server or a layer above; it is replaced by one with what
/// the proxy says. Without one, or if a server or layer above has done it, the request stays as it is. The layer is ready when
/// the service is, adds no wait, and never fails.
///
/// ```
/// use std::{convert::Infallible, net::SocketAddr};
/// use http::{Extensions, Request, Response};
/// use tower::{Layer, ServiceExt, service_fn};
/// use tower_serve::{ConnectInfo, ForwardedLayer, TrustedPeers, TrustedProxies};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let service = service_fn(async |request: Request<()>| {
///     let connection: &ConnectInfo = request.extensions().get().unwrap();
///     Ok::<_, Infallible>(Response::new(connection.client().unwrap().ip.to_string()))
/// });
/// let service = ForwardedLayer::new(TrustedProxies::new(TrustedPeers::local())).layer(service);
///
/// // With axum's own server, a layer makes this from axum's `ConnectInfo<SocketAddr>`.
/// let server = SocketAddr::from(([127, 0, 0, 1], 3000));
/// let proxy = SocketAddr::from(([127, 0, 0, 1], 40000));
/// let request = Request::builder()
///     .header("x-forwarded-for", "192.0.2.7")
///     .extension(ConnectInfo::tcp(server, proxy))
///     .body(())
///     .unwrap();
/// let response = service.oneshot(request).await.unwrap();
/// assert_eq!(response.body(), "192.0.2.7");
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ForwardedLayer {
    proxies: Arc<TrustedProxies>,
}

impl ForwardedLayer {
    /// A layer that believes these proxies.
    pub fn new(proxies: TrustedProxies) -> Self {
        Self {
            proxies: Arc::new(proxies),
        }
    }
}

impl<S> Layer<S> for ForwardedLayer {
    type Service = Forwarded<S>;

    fn layer(&self, inner: S) -> Forwarded<S> {
        Forwarded {
            inner,
            proxies: self.proxies.clone(),
        }
    }
}

/// The service of a [`ForwardedLayer`].
#[derive(Clone, Debug)]
pub struct Forwarded<S> {
    inner: S,
    proxies: Arc<TrustedProxies>,
}

impl<S, B> Service<Request<B>> for Forwarded<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        let connection = request.extensions().get::<ConnectInfo>();
        let resolved = connection
            .filter(|connection| connection.forwarded().is_none())
            .and_then(|connection| self.proxies.resolve(connection, &request));
        if let Some(resolved) = resolved {
            request.extensions_mut().insert(resolved);
        }
        self.inner.call(request)
    }
}
