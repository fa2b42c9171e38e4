//! Certificates for tests of TLS.

use std::{fs, path::Path, sync::Arc};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, SerialNumber,
};
use tokio_rustls::rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion, crypto::ring, version::TLS13,
};

/// Issues certificates.
#[derive(Debug)]
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// One of this name.
    ///
    /// # Panics
    ///
    /// When the machine has no random numbers.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let (params, key) = parts(&[], |params| {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.distinguished_name = DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, name);
        });
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    /// In PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.as_ref().pem()
    }

    /// A certificate for a client of this name, with other differences from what is usual.
    ///
    /// # Panics
    ///
    /// When the machine has no random numbers.
    #[must_use]
    pub fn issue(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Certificate {
        let (params, key) = parts(&[], |params| {
            params.distinguished_name = DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, name);
            params.serial_number = Some(SerialNumber::from(0xab_u64));
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            change(params);
        });
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Certificate { certificate, key }
    }
}

fn parts(
    names: &[&str],
    change: impl FnOnce(&mut CertificateParams),
) -> (CertificateParams, KeyPair) {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    change(&mut params);
    (params, KeyPair::generate().expect("random numbers"))
}

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
        Self::of(&["localhost"], |_| {})
    }

    /// For these names, with other differences from what is usual.
    ///
    /// # Panics
    ///
    /// When a name is none.
    #[must_use]
    pub fn of(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Self {
        let (params, key) = parts(names, change);
        let certificate = params.self_signed(&key).expect("a certificate");
        Self { certificate, key }
    }

    /// In PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// Its key, in PEM.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// Puts it into `cert.pem` and its key into `key.pem`, and gives a server's arguments for them.
    ///
    /// # Panics
    ///
    /// When the files cannot be written.
    #[must_use]
    pub fn write(&self, directory: &Path) -> String {
        self.write_as(directory, "cert.pem", "key.pem")
    }

    /// The same with other names of the files.
    ///
    /// # Panics
    ///
    /// When the files cannot be written.
    #[must_use]
    pub fn write_as(&self, directory: &Path, certificate: &str, key: &str) -> String {
        let (certificate, key) = (directory.join(certificate), directory.join(key));
        fs::write(&certificate, self.pem()).expect("the file can be written");
        fs::write(&key, self.key_pem()).expect("the file can be written");
        let (certificate, key) = (certificate.display(), key.display());
        format!("--tls-certificate {certificate} --tls-key {key}")
    }

    /// What a client has to know that trusts each of these.
    #[must_use]
    pub fn trust_all(certificates: &[Self]) -> Arc<ClientConfig> {
        trusting(certificates, &TLS13)
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
        trusting(std::slice::from_ref(self), version)
    }
}

fn trusting(
    certificates: &[Certificate],
    version: &'static SupportedProtocolVersion,
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for one in certificates {
        roots
            .add(one.certificate.der().clone())
            .expect("a certificate");
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .expect("a known version")
        .with_root_certificates(roots)
        .with_no_client_auth();
    // What the clients of these tests speak.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}
