//! A client that keeps the rules of HTTP/2: the `h2` crate's, over TCP, TLS or a Unix socket.

use std::{fmt, io, sync::Arc};

use bytes::Bytes;
use h2::{
    Reason,
    client::{ResponseFuture, SendRequest},
};
use http::{HeaderMap, Method, Request};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    task::JoinHandle,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, pki_types::ServerName},
};

use crate::{Address, Response};

/// One connection.
#[derive(Debug)]
pub struct Http2Client {
    requests: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

/// A request that has no response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The server says that it has not begun it: it may be sent again (RFC 9113 section 8.7).
    NotBegun(String),
    /// It may have been begun.
    Failed(String),
}

/// A request whose body is still to be sent, and its response.
pub struct Exchange {
    body: h2::SendStream<Bytes>,
    response: ResponseFuture,
}

impl Http2Client {
    /// Connects.
    ///
    /// # Errors
    ///
    /// When no server listens there, or none of HTTP/2.
    pub async fn connect(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Self::over(stream).await
            }
            Address::Unix(path) => Self::over(UnixStream::connect(path).await?).await,
            Address::Tls(address, config) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                let mut config = ClientConfig::clone(config);
                config.alpn_protocols = vec![b"h2".to_vec()];
                let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
                let connector = TlsConnector::from(Arc::new(config));
                let stream = connector.connect(name, stream).await?;
                if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
                    return Err(io::Error::other("the server did not choose h2"));
                }
                Self::over(stream).await
            }
        }
    }

    async fn over<IO>(stream: IO) -> io::Result<Self>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let handshake = h2::client::handshake(stream).await;
        let (requests, connection) = handshake.map_err(io::Error::other)?;
        Ok(Self {
            requests,
            connection: tokio::spawn(connection),
        })
    }

    /// Sends a request with this body, and reads the whole response.
    ///
    /// # Errors
    ///
    /// When there is no response, or only a part of one.
    pub async fn fetch(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Response, Lost> {
        let mut exchange = self.begin(method, path, body.is_none()).await?;
        if let Some(body) = body {
            exchange.send(body)?;
            exchange.send_end()?;
        }
        exchange.response().await
    }

    /// Sends the head of a request.
    ///
    /// # Errors
    ///
    /// When the connection takes no more requests.
    pub async fn begin(&self, method: Method, path: &str, is_end: bool) -> Result<Exchange, Lost> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://test{path}"))
            .body(());
        let request = request.map_err(|error| Lost::Failed(error.to_string()))?;
        self.begin_request(request, is_end).await
    }

    /// Sends the head of any request.
    ///
    /// # Errors
    ///
    /// When the connection takes no more requests.
    pub async fn begin_request(
        &self,
        request: Request<()>,
        is_end: bool,
    ) -> Result<Exchange, Lost> {
        // The connection has ended, or is about to, and the request is not sent.
        let not_sent = |error: h2::Error| Lost::NotBegun(format!("not sent: {error}"));
        let mut requests = self.requests.clone().ready().await.map_err(not_sent)?;
        let sent = requests.send_request(request, is_end);
        let (response, body) = sent.map_err(not_sent)?;
        Ok(Exchange { body, response })
    }

    /// Waits until the server has closed the connection. The error is one of the protocol.
    ///
    /// # Errors
    ///
    /// When it did not end by an agreement of both sides.
    ///
    /// # Panics
    ///
    /// When the `h2` crate panics.
    pub async fn closed(self) -> Result<(), h2::Error> {
        drop(self.requests);
        self.connection.await.expect("no panic")
    }

    /// Whether the server has closed the connection.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.connection.is_finished()
    }
}

impl Exchange {
    /// Sends a piece of the body, when there is room for it.
    ///
    /// # Errors
    ///
    /// When the stream has ended.
    pub fn send(&mut self, piece: impl Into<Bytes>) -> Result<(), Lost> {
        self.body.send_data(piece.into(), false).map_err(lost)
    }

    /// Sends the end of the body.
    ///
    /// # Errors
    ///
    /// When the stream has ended.
    pub fn send_end(&mut self) -> Result<(), Lost> {
        self.body.send_data(Bytes::new(), true).map_err(lost)
    }

    /// Sends trailers, which end the body.
    ///
    /// # Errors
    ///
    /// When the stream has ended.
    pub fn send_trailers(&mut self, trailers: HeaderMap) -> Result<(), Lost> {
        self.body.send_trailers(trailers).map_err(lost)
    }

    /// Ends the stream by an error.
    pub fn cancel(mut self) {
        self.body.send_reset(Reason::CANCEL);
    }

    /// Reads the head of the response, and gives its body unread.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn head(self) -> Result<http::Response<h2::RecvStream>, Lost> {
        self.response.await.map_err(lost)
    }

    /// Reads the whole response.
    ///
    /// # Errors
    ///
    /// When there is none, or only a part of it.
    pub async fn response(self) -> Result<Response, Lost> {
        let (head, mut body) = self.head().await?.into_parts();
        let mut whole = Vec::new();
        while let Some(piece) = body.data().await {
            let piece = piece.map_err(lost)?;
            body.flow_control()
                .release_capacity(piece.len())
                .map_err(lost)?;
            whole.extend(piece);
        }
        let field = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            (name.as_str().to_owned(), value.into_owned())
        };
        Ok(Response {
            status: head.status.as_u16(),
            headers: head.headers.iter().map(field).collect(),
            body: whole,
        })
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").finish_non_exhaustive()
    }
}

/// Whether the server has begun the request.
#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn lost(error: h2::Error) -> Lost {
    let is_refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
    // h2 gives it to the streams beyond the last one that the server names.
    let is_beyond = error.is_go_away() && error.reason() == Some(Reason::NO_ERROR);
    let text = error.to_string();
    if error.is_remote() && (is_refused || is_beyond) {
        Lost::NotBegun(text)
    } else {
        Lost::Failed(text)
    }
}
