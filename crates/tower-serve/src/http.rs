//! The limits of a connection: [`Http`], and the versions of HTTP that it may speak.

use std::time::Duration;

/// The limits of an HTTP connection.
///
/// ```
/// let mut limits = tower_serve::Http::default();
/// limits.max_headers = 50;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Http {
    /// Maximum time from the first byte of a request head to its last; the client then gets 408. Default: 10 seconds.
    pub header_timeout: Duration,
    /// Maximum time until an idle connection sends its next request. Default: 65 seconds.
    pub keep_alive_timeout: Duration,
    /// Maximum time between two reads of a request body. Default: 30 seconds.
    pub body_timeout: Duration,
    /// Maximum time in which a client reads nothing of a response. Default: 30 seconds.
    pub write_timeout: Duration,
    /// Maximum time until the service starts its response, counted from the request's head or the service's last read of
    /// the request's body; the client then gets 504. Default: 300 seconds.
    ///
    /// If the service still occupies a thread for the request then, `tower-prefork` replaces the worker.
    pub request_timeout: Duration,
    /// Maximum number of upgraded connections, such as a WebSocket, and of requests that may become one; the client then gets
    /// 503. Default: 900.
    pub max_upgraded: usize,
    /// Maximum time for which the client of an upgraded connection is silent; then the connection is cut. The client of a
    /// WebSocket gets a ping after half of it, to which clients respond by themselves. With any other protocol, bytes of
    /// the service count as well. The same time holds for a client that takes nothing of what is sent to it. Default: 60
    /// seconds.
    pub upgrade_idle_timeout: Duration,
    /// Maximum number of header fields of a request; the client then gets 431. Default: 100.
    pub max_headers: usize,
    /// Maximum size of a request head in bytes; the client then gets 431. Default: 64 KiB; at least 8 KiB.
    ///
    /// HTTP/2 counts 32 bytes more for each field (RFC 9113 section 6.5.2).
    pub max_header_size: usize,
    /// The versions of HTTP that clients may use. Default: [`HttpVersions::Auto`].
    pub versions: HttpVersions,
    /// Maximum number of requests that one HTTP/2 connection may have open at a time, which its SETTINGS announce; a request
    /// beyond it is refused with `REFUSED_STREAM`, which is safe to retry. Default: 128.
    pub max_concurrent_streams: u32,
}

/// The versions of HTTP that a connection may speak.
///
/// Over TLS the client chooses by ALPN. Without TLS, a client that speaks HTTP/2 begins with its connection preface (prior
/// knowledge, RFC 9113 section 3.3). There is no upgrade from HTTP/1.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpVersions {
    /// HTTP/2 with clients that choose it, and HTTP/1.1 and HTTP/1.0 with all others.
    #[default]
    Auto,
    /// HTTP/1.1 and HTTP/1.0. A connection that begins with the preface of HTTP/2 is closed.
    Http1,
    /// HTTP/2. Requests of HTTP/1.1 get 505, and over TLS the handshake fails with clients that do not offer `h2`.
    Http2,
}

impl HttpVersions {
    pub(crate) fn has_http1(self) -> bool {
        self != Self::Http2
    }

    pub(crate) fn has_http2(self) -> bool {
        self != Self::Http1
    }

    /// The names of the protocols for ALPN, those that the server prefers first.
    #[cfg(feature = "tls")]
    pub(crate) fn alpn(self) -> Vec<Vec<u8>> {
        let http2 = self.has_http2().then(|| ALPN_HTTP2.to_vec());
        let http1 = self.has_http1().then(|| b"http/1.1".to_vec());
        http2.into_iter().chain(http1).collect()
    }
}

/// The name of HTTP/2 for ALPN.
#[cfg(feature = "tls")]
pub(crate) const ALPN_HTTP2: &[u8] = b"h2";

impl Default for Http {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            keep_alive_timeout: Duration::from_secs(65),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(300),
            max_upgraded: 900,
            upgrade_idle_timeout: Duration::from_secs(60),
            max_headers: 100,
            max_header_size: 64 << 10,
            versions: HttpVersions::default(),
            max_concurrent_streams: 128,
        }
    }
}
