//! The limits of a connection: [`Http`].

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
    pub max_header_size: usize,
}

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
        }
    }
}
