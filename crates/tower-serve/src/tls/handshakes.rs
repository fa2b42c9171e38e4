//! The configuration of handshakes, which may change while the server runs.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use http::HeaderValue;
use tokio_rustls::rustls::{
    ServerConfig,
    crypto::ring,
    version::{TLS12, TLS13},
};

use super::{
    Tls, TlsMaterial, TlsVersion, client_auth, resolver::CertificateResolver, tickets::Ticketer,
};
use crate::BoxError;

/// The configuration of handshakes. A change of the certificates replaces it.
#[derive(Debug)]
pub(crate) struct Handshakes {
    /// What a client may choose by ALPN, the preferred one first.
    protocols: Vec<Vec<u8>>,
    current: RwLock<Arc<ServerConfig>>,
    /// The field `Strict-Transport-Security` of responses.
    hsts: Option<HeaderValue>,
}

impl Handshakes {
    /// Reads the files, unless they have been read.
    pub(crate) fn new(tls: &Tls, protocols: Vec<Vec<u8>>) -> Result<Self, BoxError> {
        let current = config(tls, &protocols)?;
        Ok(Self {
            protocols,
            current: RwLock::new(Arc::new(current)),
            hsts: tls.hsts.map(max_age),
        })
    }

    /// The configuration for a new handshake.
    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        let current = self.current.read();
        current.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The field `Strict-Transport-Security` of responses, if they have one.
    pub(crate) fn hsts(&self) -> Option<HeaderValue> {
        self.hsts.clone()
    }

    /// Changes it for new handshakes. After an error it stays as it is.
    pub(crate) fn replace(&self, tls: &Tls) -> Result<(), BoxError> {
        let next = Arc::new(config(tls, &self.protocols)?);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = next;
        Ok(())
    }
}

fn max_age(time: Duration) -> HeaderValue {
    let field = format!("max-age={}", time.as_secs());
    HeaderValue::try_from(field).expect("digits are valid in a field")
}

fn config(tls: &Tls, protocols: &[Vec<u8>]) -> Result<ServerConfig, BoxError> {
    let read;
    let material = match tls.material() {
        Some(material) => material,
        None => {
            read = TlsMaterial::read(tls).map_err(|invalid| invalid.problem)?;
            &read
        }
    };
    let provider = Arc::new(ring::default_provider());
    let ca = material.client_ca.as_deref();
    let verifier = client_auth::verifier(ca, tls.client_auth, provider.clone())?;
    let keys = material.pairs.iter();
    let keys = keys.map(|pair| pair.certified(&provider));
    let resolver = CertificateResolver::new(keys.collect::<Result<_, _>>()?);
    let versions = match tls.min_version {
        TlsVersion::Tls12 => &[&TLS13, &TLS12][..],
        TlsVersion::Tls13 => &[&TLS13],
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(resolver));
    if let Some(keys) = &material.ticket_keys {
        let context = client_auth::fingerprint(ca, tls.client_auth);
        config.ticketer = Arc::new(Ticketer::new(keys, &context)?);
    }
    config.alpn_protocols = protocols.to_vec();
    Ok(config)
}
