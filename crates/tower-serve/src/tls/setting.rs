use std::{path::PathBuf, sync::Arc};

use tokio_rustls::rustls::ServerConfig;

use super::pem::Pem;
use crate::{BoxError, InvalidSetting};

/// The certificate with which a server speaks HTTPS.
///
/// ```
/// use tower_serve::Tls;
///
/// let tls = Tls::new("/etc/shop/fullchain.pem", "/etc/shop/privkey.pem");
/// ```
///
/// # What a client sees
///
/// TLS 1.2 or 1.3 on every TCP address of the server, and HTTP/1.1 in it, which it may ask for by ALPN. A
/// client that asks for other protocols only, or speaks no TLS, is refused in the handshake. That has the time
/// of [`header_timeout`](crate::Http::header_timeout); a stop, or another worker in the place of this one, waits
/// for it as for the first request of a connection. Clients show no certificates.
///
/// # The files
///
/// Both are in PEM, and at most 48 KiB together. The certificate is followed by those between it and a root; the key
/// has no passphrase, in PKCS #8, PKCS #1 or SEC 1.
///
/// The supervisor reads them, at the start and at each reload, and hands what it has read to the workers: so
/// the user that these run as need not be able to read the key. A file that cannot be used, or a key of
/// another certificate, is an error of the start, and refuses a reload as a whole: the certificate before stays.
/// After a reload new connections get the new one, while those that are open go on with theirs. When a certificate
/// expires is not looked at.
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
    /// Takes the certificate from one file, and its private key from another.
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

    /// Reads the files, if they can be used.
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

    /// What a handshake needs. Reads the files unless [`read`](Self::read) has.
    pub(crate) fn server_config(&self) -> Result<Arc<ServerConfig>, BoxError> {
        match &self.pem {
            Some(pem) => pem.server_config(),
            None => Pem::read(&self.certificate, &self.key)
                .map_err(|invalid| invalid.problem)?
                .server_config(),
        }
    }
}
