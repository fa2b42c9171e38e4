//! Recognises WebSocket requests, and limits how many sockets are open.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use http::{Method, Request, Response, Version, header::UPGRADE};
use tower_service::Service;
use tower_wsgi::Body;

use super::{
    future::WebSocketFuture,
    offer::{Handshake, UpgradeOffer},
};

/// Where the application's calls for WebSocket requests run.
#[derive(Clone, Debug)]
pub(crate) struct WebSockets<S> {
    service: S,
    /// Maximum number of open sockets, each of which holds what the service has per call.
    limit: usize,
    open: OpenSockets,
}

impl<S> WebSockets<S> {
    pub(crate) fn new(service: S, limit: usize) -> Self {
        Self {
            service,
            limit,
            open: OpenSockets::default(),
        }
    }

    /// Calls the service with a WebSocket request.
    ///
    /// While as many sockets are open as there may be, the response is 503. Calls that have not taken the upgrade do not
    /// count: they end soon, and the service may let others wait for them.
    pub(crate) fn call<B>(
        &mut self,
        request: Request<B>,
        handshake: Handshake,
    ) -> WebSocketFuture<S::Future>
    where
        S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
    {
        if self.open.count() >= self.limit {
            return WebSocketFuture::refused();
        }
        let call = self.service.call(request);
        WebSocketFuture::new(call, handshake, self.open.clone())
    }
}

/// Offers the upgrade of a WebSocket request to the application; `None` for any other request, which runs where all do.
pub(crate) fn offer_upgrade<B>(request: &mut Request<B>) -> Option<Handshake> {
    is_websocket(request)
        .then(|| UpgradeOffer::insert(request))
        .flatten()
}

/// Whether a client asks for a WebSocket connection (RFC 6455 section 4.1).
fn is_websocket<B>(request: &Request<B>) -> bool {
    // Asked first, since it is cheap, and most requests have no such field.
    let protocols = request.headers().get_all(UPGRADE).iter();
    let mut protocols = protocols.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    protocols.any(|name| name.trim_ascii().eq_ignore_ascii_case(b"websocket"))
        && *request.method() == Method::GET
        && request.version() == Version::HTTP_11
}

/// Counts the open sockets.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenSockets(Arc<AtomicUsize>);

/// Counts until it is dropped.
pub(super) struct OpenSocket(OpenSockets);

impl OpenSockets {
    pub(super) fn open(&self) -> OpenSocket {
        self.0.fetch_add(1, Relaxed);
        OpenSocket(self.clone())
    }

    fn count(&self) -> usize {
        self.0.load(Relaxed)
    }
}

impl Drop for OpenSocket {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: Method, upgrade: &str) -> Request<()> {
        let request = Request::builder().method(method).header(UPGRADE, upgrade);
        request.body(()).unwrap()
    }

    #[test]
    fn a_get_that_asks_for_a_websocket_is_recognised() {
        for upgrade in ["websocket", "WebSocket", "h2c, websocket"] {
            assert!(is_websocket(&request(Method::GET, upgrade)), "{upgrade}");
        }
        assert!(!is_websocket(&request(Method::GET, "h2c")));
        assert!(!is_websocket(&request(Method::GET, "websockets")));
        assert!(!is_websocket(&request(Method::POST, "websocket")));
        assert!(!is_websocket(&Request::new(())));
        let mut old = request(Method::GET, "websocket");
        *old.version_mut() = Version::HTTP_10;
        assert!(!is_websocket(&old));
    }
}
