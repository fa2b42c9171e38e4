//! The settings of HTTPS: [`Tls`].

use std::{path::PathBuf, sync::Arc};

use tokio_rustls::rustls::ServerConfig;

use super::pem::Pem;
use crate::{BoxError, InvalidSetting};

/// The certificate and the private key for HTTPS.
///
/// ```
/// use tower_serve::Tls;
///
/// let tls = Tls::new("/etc/shop/fullchain.pem", "/etc/shop/privkey.pem");
/// ```
///
/// # What a client sees
///
/// TLS 1.2 or 1.3 on TCP connections, with HTTP/1.1, which the client may request by ALPN. A client that requests only
/// other protocols is refused in the handshake; one that speaks HTTP without TLS gets 400. The handshake has the time of
/// [`header_timeout`](crate::Http::header_timeout). A shutdown waits for it as for the first request of a connection.
/// Clients are not asked for certificates.
///
/// # The files
///
/// Both are in PEM, and at most 48 KiB together. The first file has the certificate of the server and then the
/// intermediate certificates. The key has no passphrase, in PKCS #8, PKCS #1 or SEC 1.
///
/// The supervisor of `tower-prefork` reads them at the start and at each reload, and sends the contents to the workers,
/// whose user need not be able to read the key. If a file cannot be used, or the key is not that of the certificate, the
/// start fails, and a reload is refused as a whole. After a reload, new connections get the new certificate, and open ones
/// keep theirs. The expiry of a certificate is not checked.
#[derive(Clone, Debug)]
#[must_use = "a certificate does nothing until it is put into a Config"]
pub struct Tls {
    /// The file with the certificate chain.
    pub certificate: PathBuf,
    /// The file with the private key.
    pub key: PathBuf,
    /// What was read.
    pem: Option<Pem>,
}

impl Tls {
    /// The certificate chain in one file, and its private key in another.
    pub fn new(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self {
            certificate: certificate.into(),
            key: key.into(),
            pem: None,
        }
    }

    /// Checks that both files are named.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        let refuse = |setting, missing| {
            let problem = format!("{setting} is given and {missing} is not; give both, or none");
            Err(InvalidSetting { setting, problem })
        };
        if self.key.as_os_str().is_empty() {
            return refuse("tls_certificate", "tls_key");
        }
        if self.certificate.as_os_str().is_empty() {
            return refuse("tls_key", "tls_certificate");
        }
        Ok(())
    }

    /// Reads and checks the files.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or used, or the key is not that of the certificate.
    pub fn read(&mut self) -> Result<(), InvalidSetting> {
        self.pem = Some(Pem::read(&self.certificate, &self.key)?);
        Ok(())
    }

    /// What the files contain, after they were read: the certificate, and the key.
    #[must_use]
    pub fn contents(&self) -> Option<(&str, &str)> {
        let pem = self.pem.as_ref()?;
        Some((&pem.certificate, &pem.key))
    }

    /// Takes the [contents](Self::contents) of the files from a process that has read them.
    pub fn set_contents(&mut self, certificate: String, key: String) {
        self.pem = Some(Pem { certificate, key });
    }

    /// The configuration for handshakes. Reads the files unless [`read`](Self::read) has.
    pub(crate) fn server_config(&self) -> Result<Arc<ServerConfig>, BoxError> {
        match &self.pem {
            Some(pem) => pem.server_config(),
            None => Pem::read(&self.certificate, &self.key)
                .map_err(|invalid| invalid.problem)?
                .server_config(),
        }
    }
}
