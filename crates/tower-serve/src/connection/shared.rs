#[cfg(feature = "tls")]
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};
#[cfg(feature = "tls")]
use tokio_rustls::rustls::ServerConfig;

use super::{ConnectionHooks, Load, call::Calls, io::Io, readiness::Readiness};
use crate::{Http, HttpService, access_log::Log};

/// hyper's default; to name it costs an allocation per request.
const DEFAULT_MAX_HEADERS: usize = 100;

/// A buffer of hyper's grows up to this while a large body passes: each read, and each piece of a body, costs.
const LARGE_BUFFER: usize = 512 << 10;

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What the connections of one worker share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(super) http: Http,
    pub(super) drain: watch::Receiver<Option<Duration>>,
    pub(super) load: Load,
    pub(super) access_log: Option<Log>,
    pub(super) readiness: Option<Readiness>,
    pub(super) hooks: ConnectionHooks,
    /// For TCP connections.
    #[cfg(feature = "tls")]
    pub(super) tls: Option<Arc<ServerConfig>>,
}

impl Shared {
    /// `drain` is set when the worker is to stop: how long an idle connection may wait for its last
    /// request. No time-out is longer than a year.
    pub(crate) fn new(
        mut http: Http,
        drain: watch::Receiver<Option<Duration>>,
        load: Load,
        access_log: Option<Log>,
        readiness: Option<Readiness>,
        hooks: ConnectionHooks,
    ) -> Self {
        for time in [
            &mut http.header_timeout,
            &mut http.keep_alive_timeout,
            &mut http.body_timeout,
            &mut http.write_timeout,
            &mut http.request_timeout,
        ] {
            // Far beyond it, there is no such time.
            *time = YEAR.min(*time);
        }
        Self {
            http,
            drain,
            load,
            access_log,
            readiness,
            hooks,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    pub(crate) fn load(&self) -> &Load {
        &self.load
    }

    /// TCP connections begin with a handshake.
    #[cfg(feature = "tls")]
    pub(crate) fn encrypted(self, tls: Arc<ServerConfig>) -> Self {
        Self {
            tls: Some(tls),
            ..self
        }
    }

    /// hyper, with the limits.
    pub(super) fn http<IO, S>(
        &self,
        io: Io<IO>,
        calls: Calls<S>,
    ) -> http1::Connection<TokioIo<Io<IO>>, Calls<S>>
    where
        IO: AsyncRead + AsyncWrite + Unpin + 'static,
        S: HttpService,
    {
        let mut builder = http1::Builder::new();
        builder
            // One timer for all is in `clock`. hyper's own covers idleness, too, and sends no answer.
            .header_read_timeout(None)
            // `io` looks for clients that leave. hyper would, with a new buffer for each request.
            .half_close(true)
            .max_header_size(self.http.max_header_size)
            .max_buf_size(self.http.max_header_size.max(LARGE_BUFFER));
        if self.http.max_headers != DEFAULT_MAX_HEADERS {
            builder.max_headers(self.http.max_headers);
        }
        builder.serve_connection(TokioIo::new(io), calls)
    }
}
