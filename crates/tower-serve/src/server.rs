//! [`HttpServer`]: what the connections of a process share.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::watch,
};
use tower_server_info::ConnectInfo;

use crate::{
    AccessLog, BoxError, Http, HttpService, TrustedPeers, TrustedProxies,
    access_log::Log,
    connection::{self, ConnectionHooks, Load, Readiness, Shared},
};
#[cfg(feature = "tls")]
use crate::{Tls, tls::Handshakes};

/// Serves connections that its user has accepted: the settings, and what the connections of a process share.
///
/// Clones are the same server. See the [crate docs](crate) for an example.
#[derive(Clone, Debug)]
pub struct HttpServer {
    shared: Arc<Shared>,
    /// Set when the connections are to close: how long an idle one may wait for its last request.
    drain: watch::Sender<Option<Duration>>,
}

impl HttpServer {
    /// A server with other settings than the defaults.
    pub fn builder() -> HttpServerBuilder {
        HttpServerBuilder::default()
    }

    /// Serves one connection until it has ended. The future never fails and never panics: what goes wrong is logged.
    ///
    /// `service` is called for each request. It finds `connect_info` in the request's extensions.
    ///
    /// The connection counts as open from this call on, so the future should be polled soon.
    pub fn serve_connection<IO, S>(
        &self,
        io: IO,
        connect_info: ConnectInfo,
        service: S,
    ) -> impl Future<Output = ()> + Send + use<IO, S>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: HttpService,
    {
        connection::serve_io(io, connect_info, service, self.shared.clone())
    }

    /// Serves a TCP connection, as [`serve_connection`](Self::serve_connection) does. If the server has a certificate, the
    /// connection begins with a TLS handshake.
    pub fn serve_tcp<S: HttpService>(
        &self,
        stream: TcpStream,
        connect_info: ConnectInfo,
        service: S,
    ) -> impl Future<Output = ()> + Send + use<S> {
        connection::serve_tcp(stream, connect_info, service, self.shared.clone())
    }

    /// Closes the connections without losing a request.
    ///
    /// A busy connection closes after its response, which says `Connection: close`. An idle one closes after the time
    /// `idle`, in which a request that is on its way can still arrive. So does a new one, unless it sends a request.
    /// A later call can change the time. The client of a WebSocket gets close frame 1001; see the
    /// [crate docs](crate#upgrades).
    ///
    /// Wait for the end with [`closed`](Self::closed).
    pub fn shutdown(&self, idle: Duration) {
        self.drain.send_replace(Some(idle));
    }

    /// Changes the certificates, the rules for those of clients and the keys of tickets for new connections; open ones keep
    /// theirs. Reads the files unless they have been read.
    ///
    /// # Errors
    ///
    /// If a certificate cannot be used, or the server was built without TLS. Nothing has changed then.
    #[cfg(feature = "tls")]
    pub fn set_tls(&self, tls: &Tls) -> Result<(), BoxError> {
        let handshakes = self.shared.handshakes();
        handshakes.ok_or("the server has no TLS")?.replace(tls)
    }

    /// Waits until no connection is open.
    pub async fn closed(&self) {
        self.load().no_connections().await;
    }

    /// The connections and requests at this moment.
    #[must_use]
    pub fn load(&self) -> &Load {
        self.shared.load()
    }
}

impl Default for HttpServer {
    /// A server with the default settings: without TLS and without an access log.
    fn default() -> Self {
        Self::builder()
            .build()
            .expect("nothing can fail without a log and a certificate")
    }
}

/// The settings of an [`HttpServer`].
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until it is built"]
pub struct HttpServerBuilder {
    http: Http,
    hooks: ConnectionHooks,
    readiness: Option<Readiness>,
    access_log: Option<AccessLog>,
    slot: usize,
    max_requests: u64,
    trusted_proxies: Option<TrustedProxies>,
    proxy_protocol: Option<TrustedPeers>,
    request_id: bool,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
}

impl HttpServerBuilder {
    /// The limits of a connection. No timeout is longer than a year.
    pub fn http(mut self, http: Http) -> Self {
        self.http = http;
        self
    }

    /// The functions that connections call.
    pub fn hooks(mut self, hooks: ConnectionHooks) -> Self {
        self.hooks = hooks;
        self
    }

    /// Responds to GET and HEAD at `path` with 200 while `is_ready` returns `true`, and with 503 otherwise, for load
    /// balancers. The service does not see these requests.
    pub fn readiness(
        mut self,
        path: &str,
        is_ready: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        self.readiness = Some(Readiness::new(path, is_ready));
        self
    }

    /// Logs the requests.
    pub fn access_log(mut self, access_log: AccessLog) -> Self {
        self.access_log = Some(access_log);
        self
    }

    /// The number of this process among several that serve the same, for the access log in JSON. Default: 0.
    pub fn slot(mut self, slot: usize) -> Self {
        self.slot = slot;
        self
    }

    /// The number of requests after which [`Load::enough`] resolves. Default: 0, which is never.
    pub fn max_requests(mut self, max_requests: u64) -> Self {
        self.max_requests = max_requests;
        self
    }

    /// Believes these proxies what they say of their clients: see [`ConnectInfo::client`]. Default: no one is believed.
    pub fn trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.trusted_proxies = Some(proxies);
        self
    }

    /// Has each connection begin with the header of the PROXY protocol, version 1 or 2, before TLS. The
    /// [`peer`](ConnectInfo::peer) of the connection is then the client that the header names.
    ///
    /// A connection of any other peer than these, and one with a malformed, late or too long header, is closed without a
    /// response and logged. Default: connections begin with TLS or HTTP.
    pub fn proxy_protocol(mut self, peers: TrustedPeers) -> Self {
        self.proxy_protocol = Some(peers);
        self
    }

    /// Gives each request an identifier, which its field `X-Request-ID`, its response and its line of the access log have.
    ///
    /// That of a trusted proxy is kept if there is one with 1 to 128 letters, digits and characters of `-_.:/+=@~`. Any
    /// other request gets a new one, a random UUID. A response that has such a field keeps its own. Default: no request
    /// gets one, and a client's field is one like all others.
    pub fn request_id(mut self) -> Self {
        self.request_id = true;
        self
    }

    /// The certificate for TLS on the connections of [`HttpServer::serve_tcp`].
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Starts the thread of the access log, and reads the files of the certificate unless they have been read.
    ///
    /// # Errors
    ///
    /// If the thread cannot be started or the certificate cannot be used.
    pub fn build(self) -> Result<HttpServer, BoxError> {
        let log = self.access_log.as_ref();
        let log = log
            .map(|log| Log::start(log, self.slot, self.request_id))
            .transpose()?;
        let (drain, draining) = watch::channel(None);
        let load = Load::new(self.max_requests);
        let shared = Shared::new(self.http, draining, load, log, self.readiness, self.hooks);
        let shared = match self.trusted_proxies {
            Some(proxies) => shared.behind(proxies),
            None => shared,
        };
        let shared = match self.proxy_protocol {
            Some(peers) => shared.proxied(peers),
            None => shared,
        };
        let shared = match self.request_id {
            true => shared.with_request_ids(),
            false => shared,
        };
        #[cfg(feature = "tls")]
        let shared = match self.tls {
            Some(tls) => {
                let protocols = shared.http().versions.alpn();
                shared.encrypted(Handshakes::new(&tls, protocols)?)
            }
            None => shared,
        };
        Ok(HttpServer {
            shared: Arc::new(shared),
            drain,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::{Request, Response};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio_test::{assert_pending, assert_ready, task::spawn};
    use tower::service_fn;

    use super::*;
    use crate::RequestBody;

    #[tokio::test(start_paused = true)]
    async fn a_server_is_closed_when_its_last_connection_has_ended() {
        let server = HttpServer::default();
        assert_ready!(spawn(server.closed()).poll());
        let service = service_fn(async |_: Request<RequestBody>| {
            Ok::<_, Infallible>(Response::new("hello".to_owned()))
        });
        let connect = || {
            let (client, io) = tokio::io::duplex(4096);
            let served = server.serve_connection(io, ConnectInfo::unix(None), service);
            tokio::spawn(served);
            client
        };
        let (mut first, second) = (connect(), connect());
        let mut closed = spawn(server.closed());
        assert_pending!(closed.poll());

        server.shutdown(Duration::from_secs(5));
        first
            .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        let mut response = String::new();
        first.read_to_string(&mut response).await.unwrap();
        assert!(response.contains("connection: close"), "{response}");
        assert!(response.ends_with("hello"), "{response}");
        assert_pending!(closed.poll());
        drop((first, second));
        closed.await;
        assert_eq!(server.load().connections(), 0);
    }

    #[tokio::test]
    async fn a_log_that_cannot_be_opened_is_tried_again_later() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("later").join("log");
        let server = HttpServer::builder().access_log(AccessLog::new(path));
        assert!(server.build().is_ok());
    }
}
