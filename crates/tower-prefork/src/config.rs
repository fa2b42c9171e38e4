//! What can be set: [`Config`], its defaults and its validation.

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
    /// Header fields of a request. Default: 100.
    pub max_headers: usize,
    /// Bytes of a request head. Default: 64 KiB.
    pub max_header_size: usize,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            keep_alive_timeout: Duration::from_secs(65),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            max_headers: 100,
            max_header_size: 64 << 10,
        }
    }
}
