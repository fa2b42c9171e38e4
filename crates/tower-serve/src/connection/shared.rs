#[cfg(feature = "tls")]
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
#[cfg(feature = "tls")]
use tokio_rustls::rustls::ServerConfig;

use super::{ConnectionHooks, Load, readiness::Readiness};
use crate::{Http, access_log::Log};

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
}
