use std::time::Duration;

/// Limits of HTTP connections.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Http {
    /// For a whole request head, from its first byte. Default: 10 seconds.
    pub header_timeout: Duration,
    /// For an idle connection to send its next request. Default: 65 seconds.
    pub keep_alive_timeout: Duration,
    /// Between two reads of a request body. Default: 30 seconds.
    pub body_timeout: Duration,
    /// For a client that takes nothing of the response. Default: 30 seconds.
    pub write_timeout: Duration,
    /// For the service to begin its response: from the request's head, or the last that it has taken of the
    /// request's body, to the head of the response. Then the client gets 504. Default: 300 seconds.
    ///
    /// When the service still works at the request then, on a thread that cannot be interrupted, the
    /// worker is replaced.
    pub request_timeout: Duration,
    /// Header fields of a request. Default: 100.
    pub max_headers: usize,
    /// Bytes of a request head. Default: 64 KiB; at least 8 KiB.
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
            max_headers: 100,
            max_header_size: 64 << 10,
        }
    }
}
