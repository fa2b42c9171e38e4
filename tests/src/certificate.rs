//! Certificates for tests of TLS.

use std::{fs, path::Path, sync::Arc};

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use tokio_rustls::rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion, crypto::ring, version::TLS13,
};

/// A certificate for `localhost` that is its own root.
#[derive(Debug)]
pub struct Certificate {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Certificate {
    /// Another one each time.
    ///
    /// # Panics
    ///
    /// When the machine has no random numbers.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "no two of them are the same")]
    pub fn new() -> Self {
        let made = generate_simple_self_signed(["localhost".to_owned()]);
        let CertifiedKey { cert, signing_key } = made.expect("a certificate");
        Self {
            certificate: cert,
            key: signing_key,
        }
    }

    /// Puts it into `cert.pem` and its key into `key.pem`, and gives a server's arguments for them.
    ///
    /// # Panics
    ///
    /// When the files cannot be written.
    #[must_use]
    pub fn write(&self, directory: &Path) -> String {
        let (certificate, key) = (directory.join("cert.pem"), directory.join("key.pem"));
        fs::write(&certificate, self.certificate.pem()).expect("the file can be written");
        fs::write(&key, self.key.serialize_pem()).expect("the file can be written");
        let (certificate, key) = (certificate.display(), key.display());
        format!("--tls-certificate {certificate} --tls-key {key}")
    }

    /// What a client has to know that trusts this one alone, and speaks TLS 1.3.
    #[must_use]
    pub fn trusted(&self) -> Arc<ClientConfig> {
        self.trusted_with(&TLS13)
    }

    /// The same with this version of TLS.
    ///
    /// # Panics
    ///
    /// When it is none that clients have.
    #[must_use]
    pub fn trusted_with(&self, version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots
            .add(self.certificate.der().clone())
            .expect("a certificate");
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[version])
            .expect("a known version")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }
}
