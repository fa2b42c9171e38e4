//! What the connections of one server share, and how they learn that they are to close.

use std::{future::pending, sync::Arc, task::Waker, time::Duration};

use tokio::sync::watch;

use super::{ConnectInfo, ConnectionHooks, Load, readiness::Readiness};
#[cfg(feature = "tls")]
use crate::tls::Handshakes;
use crate::{Http, TrustedPeers, TrustedProxies, access_log::Log, proxy_protocol::ProxyProtocol};

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

type DrainSignal = watch::Receiver<Option<Duration>>;

/// What the connections of one server share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(super) http: Http,
    pub(super) drain: DrainSignal,
    pub(super) load: Load,
    pub(super) access_log: Option<Log>,
    pub(super) readiness: Option<Readiness>,
    pub(super) hooks: ConnectionHooks,
    /// `None` if no peer is trusted.
    trusted_proxies: Option<Arc<TrustedProxies>>,
    /// If each connection begins with its header.
    pub(super) proxy_protocol: Option<Box<ProxyProtocol>>,
    /// Each request gets an identifier.
    pub(super) request_id: bool,
    /// For TCP connections.
    #[cfg(feature = "tls")]
    pub(super) tls: Option<Handshakes>,
}

impl Shared {
    /// `drain` is set when the connections are to close: how long an idle one may wait for its last request. No timeout
    /// is longer than a year.
    pub(crate) fn new(
        mut http: Http,
        drain: DrainSignal,
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
            &mut http.upgrade_idle_timeout,
        ] {
            // `Instant` cannot represent a time far beyond it.
            *time = YEAR.min(*time);
        }
        Self {
            http,
            drain,
            load,
            access_log,
            readiness,
            hooks,
            trusted_proxies: None,
            proxy_protocol: None,
            request_id: false,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    pub(crate) fn load(&self) -> &Load {
        &self.load
    }

    /// These proxies are believed.
    pub(crate) fn behind(self, proxies: TrustedProxies) -> Self {
        Self {
            trusted_proxies: Some(Arc::new(proxies)),
            ..self
        }
    }

    /// Each request gets an identifier.
    pub(crate) fn with_request_ids(self) -> Self {
        Self {
            request_id: true,
            ..self
        }
    }

    /// Each connection begins with the header of the PROXY protocol, from one of these peers.
    pub(crate) fn proxied(self, peers: TrustedPeers) -> Self {
        Self {
            proxy_protocol: Some(Box::new(ProxyProtocol::new(peers))),
            ..self
        }
    }

    /// What finds the clients of this connection's requests, if its peer is a trusted proxy.
    pub(super) fn proxies_of(&self, connection: &ConnectInfo) -> Option<Arc<TrustedProxies>> {
        let proxies = self.trusted_proxies.as_ref()?;
        proxies.contains_peer(connection).then(|| proxies.clone())
    }

    /// TCP connections begin with a handshake.
    #[cfg(feature = "tls")]
    pub(crate) fn encrypted(self, tls: Handshakes) -> Self {
        Self {
            tls: Some(tls),
            ..self
        }
    }

    #[cfg(feature = "tls")]
    pub(crate) fn handshakes(&self) -> Option<&Handshakes> {
        self.tls.as_ref()
    }

    #[cfg(feature = "tls")]
    pub(crate) fn http(&self) -> &Http {
        &self.http
    }
}

/// Waits until connections are to close, or are to in another time than the `known` one.
pub(super) async fn drained(
    mut drain: DrainSignal,
    known: Option<Duration>,
) -> (Duration, DrainSignal) {
    let idle = drain.wait_for(|idle| *idle != known).await;
    if let Ok(Some(idle)) = idle.map(|idle| *idle) {
        return (idle, drain);
    }
    // The server is gone, and with it the last one that could set it.
    pending().await
}

/// Whether [`drained`] has to be polled, which costs more than this check.
pub(super) struct DrainCheck {
    drain: DrainSignal,
    /// The task that is woken.
    waker: Option<Waker>,
}

impl DrainCheck {
    pub(super) fn new(drain: DrainSignal) -> Self {
        Self { drain, waker: None }
    }

    pub(super) fn is_due(&mut self, waker: &Waker) -> bool {
        let is_known = |known: &Waker| known.will_wake(waker);
        if self.waker.as_ref().is_some_and(is_known) && !self.drain.has_changed().unwrap_or(true) {
            return false;
        }
        self.waker = Some(waker.clone());
        self.drain.mark_unchanged();
        true
    }
}
