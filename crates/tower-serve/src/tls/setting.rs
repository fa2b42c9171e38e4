//! The settings of HTTPS: [`Tls`].

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::{CertificateSummary, TicketKeys, TlsMaterial, places::FileStates};
use crate::InvalidSetting;

/// The certificates and the private keys for HTTPS.
///
/// ```
/// use tower_serve::{ClientAuth, Tls};
///
/// let mut tls = Tls::new("/etc/shop/fullchain.pem", "/etc/shop/privkey.pem");
/// tls.client_ca = Some("/etc/shop/employees.pem".into());
/// tls.client_auth = ClientAuth::Optional;
/// ```
///
/// # What a client sees
///
/// TLS 1.2 or 1.3 on TCP connections, with HTTP, whose version the client may request by ALPN. A client that requests only
/// other protocols is refused in the handshake; one that speaks HTTP without TLS gets 400. The handshake has the time of
/// [`header_timeout`](crate::Http::header_timeout). A shutdown waits for it as for the first request of a connection.
///
/// A client gets the first certificate that has the name for which it asks (SNI), then the first with a wildcard for it, and
/// for any other name, or none, the first of all. Of several certificates for a name it gets the first with a key of a type
/// that it supports.
///
/// # The files
///
/// All are in PEM. One with certificates or with a key has at most 32 KiB, and there are at most 1000 pairs. A certificate file
/// has the certificate of the server and then the intermediate certificates. Each file in
/// [`certificates`](Self::certificates) needs its key at the same place in [`keys`](Self::keys), where directories are not
/// counted. A directory has a pair, `fullchain.pem` with `privkey.pem` as made by certbot, or `tls.crt` with `tls.key` as in a
/// secret of Kubernetes; or it has directories with a pair, which are used in the order of their names.
///
/// A key is in PKCS #8, PKCS #1 or SEC 1. In PKCS #8 it may be encrypted (PBES2), with the password in
/// [`key_password_file`](Self::key_password_file).
///
/// The supervisor of `tower-prefork` reads the files at the start, at each reload and when they have changed, and sends the
/// contents to the workers, whose user need not be able to read the keys. If a file cannot be used, or a key is not that of its
/// certificate, the start fails, and a reload is refused as a whole. New connections get new certificates, and open ones keep
/// theirs. A certificate that has expired is used all the same, and a warning is logged.
///
/// # Certificates of clients
///
/// With a [`client_ca`](Self::client_ca) clients are asked for a certificate, which `ConnectInfo::tls` then has. One that is not
/// issued by a certificate of that file, has expired or is not valid yet ends the handshake. A client that resumes a session is
/// not asked again, for at most 12 hours; a change of the file or of [`client_auth`](Self::client_auth) ends all sessions.
#[derive(Clone, Debug)]
#[must_use = "a certificate does nothing until it is put into a Config"]
pub struct Tls {
    /// The files with the certificate chains, and directories with certificates and keys.
    pub certificates: Vec<PathBuf>,
    /// The files with the private keys, one for each file of the certificates.
    pub keys: Vec<PathBuf>,
    /// A file whose first line is the password of all keys that are encrypted.
    pub key_password_file: Option<PathBuf>,
    /// A file with the certificates that issue those of clients, at most 1 MiB. Default: none, and clients are not asked for a
    /// certificate.
    pub client_ca: Option<PathBuf>,
    /// Whether a client must have a certificate of `client_ca`. Default: it must.
    pub client_auth: ClientAuth,
    /// The oldest version of TLS. Default: 1.2.
    pub min_version: TlsVersion,
    /// For how long browsers are to use HTTPS only for this host, in the field `Strict-Transport-Security` (RFC 6797) of
    /// each response of the service over HTTPS that does not have one; zero makes them forget it. Default: none, and the
    /// field is not set.
    pub hsts: Option<Duration>,
    /// What was read.
    pub(super) material: Option<Arc<TlsMaterial>>,
}

/// Whether a client must have a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientAuth {
    /// The handshake of a client without one fails.
    #[default]
    Required,
    /// A client without one is served as well.
    Optional,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl Tls {
    /// The certificate chain in one file, and its private key in another.
    pub fn new(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self {
            certificates: vec![certificate.into()],
            keys: vec![key.into()],
            ..Self::without_files()
        }
    }

    /// The settings without any file, which are not valid until they have a certificate.
    #[doc(hidden)]
    pub fn without_files() -> Self {
        Self {
            certificates: Vec::new(),
            keys: Vec::new(),
            key_password_file: None,
            client_ca: None,
            client_auth: ClientAuth::default(),
            min_version: TlsVersion::default(),
            hsts: None,
            material: None,
        }
    }

    /// Checks that a certificate is named.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        if !self.certificates.is_empty() {
            return Ok(());
        }
        let refuse = |setting: &'static str| {
            Err(InvalidSetting {
                setting,
                problem: format!(
                    "{setting} is given and tls_certificate is not; give both, or none"
                ),
            })
        };
        match self {
            Self { keys, .. } if !keys.is_empty() => refuse("tls_key"),
            Self {
                client_ca: Some(_), ..
            } => refuse("tls_client_ca"),
            Self {
                key_password_file: Some(_),
                ..
            } => refuse("tls_key_password_file"),
            Self {
                min_version: TlsVersion::Tls13,
                ..
            } => refuse("tls_min_version"),
            Self { hsts: Some(_), .. } => refuse("hsts"),
            _ => Err(InvalidSetting {
                setting: "tls_certificate",
                problem:
                    "there are settings of TLS and no certificate; give tls_certificate and tls_key"
                        .into(),
            }),
        }
    }

    /// The states of the files now. Other ones at a later time mean that the files are to be read again.
    #[doc(hidden)]
    #[must_use]
    pub fn file_states(&self) -> FileStates {
        FileStates::of(self)
    }

    /// Reads and checks the files.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or used, or a key is not that of its certificate.
    pub fn read(&mut self) -> Result<(), InvalidSetting> {
        let keys = self.material.take().and_then(|before| before.ticket_keys());
        let mut material = TlsMaterial::read(self)?;
        if let Some(keys) = keys {
            material = material.with_ticket_keys(keys);
        }
        self.material = Some(Arc::new(material));
        Ok(())
    }

    /// What the files contain, after they were read.
    #[doc(hidden)]
    #[must_use]
    pub fn material(&self) -> Option<&TlsMaterial> {
        self.material.as_deref()
    }

    /// Takes what the files contain from a process that has read them.
    #[doc(hidden)]
    pub fn set_material(&mut self, material: TlsMaterial) {
        self.material = Some(Arc::new(material));
    }

    /// Encrypts tickets with these keys, in each process that has them, instead of keeping sessions in the memory of one.
    #[doc(hidden)]
    pub fn set_ticket_keys(&mut self, keys: TicketKeys) {
        if let Some(material) = self.material.take() {
            let material = Arc::unwrap_or_clone(material);
            self.material = Some(Arc::new(material.with_ticket_keys(keys)));
        }
    }

    /// The certificates that were read.
    #[doc(hidden)]
    #[must_use]
    pub fn summaries(&self) -> Vec<CertificateSummary> {
        let material = self.material();
        material.map_or_else(Vec::new, TlsMaterial::summaries)
    }
}
