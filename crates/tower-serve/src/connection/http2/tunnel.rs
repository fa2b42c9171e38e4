//! Extended CONNECT for WebSocket (RFC 8441), as an upgrade of HTTP/1.1 inside the process.
//!
//! A client opens a WebSocket on a stream with `CONNECT` and `:protocol`. Services know WebSocket as an upgrade of HTTP/1.1, with a
//! `GET`, a key and a status 101: axum's `ws` does, and an application with a socket in its environ writes the 101 by itself. So
//! the stream becomes such a request on a connection in memory, which is served as those of other clients are: with its limit
//! of upgrades, its idle timeout with a ping, close frame 1001 at a drain, and its lines in the access log. Its bytes are
//! copied to the stream and back.

use std::{future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header,
};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{
    body::Incoming,
    client::conn::http1,
    ext::Protocol,
    rt::Executor as _,
    upgrade::{OnUpgrade, Upgraded},
};
use hyper_util::rt::TokioIo;
use tokio::io::{DuplexStream, copy_bidirectional, duplex};
use tower_server_info::{ClientInput, ConnectInfo};

use super::streams::Spawner;
use crate::{
    BoxError, HttpService,
    connection::{Shared, handle::ExchangeGuard, serve::serve},
    error::error_text,
};

/// The bytes that may be on the way in memory, in each direction.
const BUFFER: usize = 16 << 10;

/// The most bytes of the body of a response that refuses the WebSocket. A longer one is left out.
const MAX_REFUSAL: usize = 64 << 10;

/// The one protocol that a stream can be switched to.
const WEBSOCKET: &str = "websocket";

/// What only HTTP/1.1 has in a handshake, or in the framing of a response.
const OF_HTTP1: [HeaderName; 6] = [
    header::CONNECTION,
    header::UPGRADE,
    header::SEC_WEBSOCKET_ACCEPT,
    header::TRANSFER_ENCODING,
    header::CONTENT_LENGTH,
    HeaderName::from_static("keep-alive"),
];

/// Resolves to the response for the stream.
pub(super) type Handshake = Pin<Box<dyn Future<Output = Response<Bytes>> + Send>>;

/// Whether the client asks for a WebSocket on its stream.
pub(super) fn is_websocket<B>(request: &Request<B>) -> bool {
    let protocol = request.extensions().get::<Protocol>();
    request.method() == Method::CONNECT
        && protocol.is_some_and(|it| it.as_str().eq_ignore_ascii_case(WEBSOCKET))
}

/// Opens the connection in memory and sends the request there. `guard` is held until the WebSocket ends.
pub(super) fn open<S: HttpService>(
    mut request: Request<Incoming>,
    service: S,
    connection: ConnectInfo,
    shared: Arc<Shared>,
    spawner: Spawner,
    guard: ExchangeGuard,
) -> Handshake {
    let (ours, theirs) = duplex(BUFFER);
    // Its end is not that of the client's connection.
    let connection = connection.with_input(ClientInput::new());
    spawner.execute(serve(theirs, connection, service, shared));
    let upgrade = request.extensions_mut().remove::<OnUpgrade>();
    let request = of_http1(request);
    Box::pin(async move {
        let response = async {
            let (response, socket) = shake(ours, request?, &spawner).await?;
            if let Some(socket) = socket {
                let upgrade = upgrade.ok_or("hyper offers no upgrade of the stream")?;
                spawner.execute(async move {
                    copy(upgrade, socket).await;
                    drop(guard);
                });
            }
            Ok::<_, BoxError>(response)
        };
        response.await.unwrap_or_else(|error| {
            let error = error_text(&*error);
            tracing::debug!(error, "no handshake of a WebSocket over HTTP/2");
            let mut response = Response::new(Bytes::new());
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        })
    })
}

/// The request as a client of HTTP/1.1 would send it.
fn of_http1(request: Request<Incoming>) -> Result<Request<Empty<Bytes>>, BoxError> {
    let (mut head, _) = request.into_parts();
    let target = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut http1 = Request::new(Empty::new());
    *http1.uri_mut() = Uri::try_from(target)?;
    let headers = &mut head.headers;
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static(WEBSOCKET));
    // Both protect against servers that do not know WebSocket; a stream has other means (RFC 8441 section 5).
    let key = HeaderValue::from_static("AAAAAAAAAAAAAAAAAAAAAA==");
    headers.insert(header::SEC_WEBSOCKET_KEY, key);
    headers
        .entry(header::SEC_WEBSOCKET_VERSION)
        .or_insert(HeaderValue::from_static("13"));
    *http1.headers_mut() = head.headers;
    Ok(http1)
}

/// Sends the request and gives the response for the stream, with the WebSocket if it was accepted.
async fn shake(
    io: DuplexStream,
    request: Request<Empty<Bytes>>,
    spawner: &Spawner,
) -> Result<(Response<Bytes>, Option<Upgraded>), BoxError> {
    let (mut requests, client) = http1::handshake(TokioIo::new(io)).await?;
    spawner.execute(async move {
        // The request's future has the error as well.
        let _ = client.with_upgrades().await;
    });
    let mut response = requests.send_request(request).await?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let socket = hyper::upgrade::on(&mut response).await?;
        let mut response = response.map(|_| Bytes::new());
        *response.status_mut() = StatusCode::OK;
        remove_fields_of_http1(response.headers_mut());
        return Ok((response, Some(socket)));
    }
    let (mut head, body) = response.into_parts();
    let body = Limited::new(body, MAX_REFUSAL).collect().await;
    remove_fields_of_http1(&mut head.headers);
    // It would open the stream as a tunnel (RFC 9110 section 9.3.6).
    if head.status.is_success() {
        head.status = StatusCode::BAD_REQUEST;
    }
    let body = body
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    Ok((Response::from_parts(head, body), None))
}

fn remove_fields_of_http1(headers: &mut HeaderMap) {
    for name in OF_HTTP1 {
        headers.remove(name);
    }
}

/// Copies in both directions until both have ended.
async fn copy(stream: OnUpgrade, socket: Upgraded) {
    let Ok(stream) = stream.await else {
        return;
    };
    let (mut stream, mut socket) = (TokioIo::new(stream), TokioIo::new(socket));
    if let Err(error) = copy_bidirectional(&mut stream, &mut socket).await {
        tracing::debug!(%error, "a WebSocket over HTTP/2 is cut");
    }
}
