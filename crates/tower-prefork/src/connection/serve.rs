use std::{convert::Infallible, error::Error, sync::Arc};

use bytes::Bytes;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};

use super::{Connection, Load, RequestBody};
use crate::config::Http;

type BoxError = Box<dyn Error + Send + Sync>;

/// What the connections of one worker share.
#[derive(Debug)]
pub(crate) struct Shared {
    http: Http,
    drain: watch::Receiver<bool>,
    load: Load,
}

impl Shared {
    pub(crate) fn new(http: Http, drain: watch::Receiver<bool>) -> Self {
        Self {
            http,
            drain,
            load: Load::default(),
        }
    }

    /// The counters that the connections keep.
    pub(crate) fn load(&self) -> &Load {
        &self.load
    }
}

/// Serves one connection until it has ended.
pub(crate) async fn serve<IO, S, B>(io: IO, connection: Connection, service: S, shared: Arc<Shared>)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: tower_service::Service<http::Request<RequestBody>, Response = http::Response<B>>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let _ = (&shared.drain, Infallible::clone);
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(shared.http.header_timeout)
        .serve_connection(
            TokioIo::new(io),
            hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let mut service = service.clone();
                let connection = connection.clone();
                async move {
                    let mut request = request.map(RequestBody::new);
                    request.extensions_mut().insert(connection);
                    service
                        .call(request)
                        .await
                        .map_err(Into::<BoxError>::into)
                        .map(|r| r.map(Box::pin))
                }
            }),
        );
    if let Err(error) = served.await {
        tracing::debug!(%error, "connection ended with an error");
    }
}
