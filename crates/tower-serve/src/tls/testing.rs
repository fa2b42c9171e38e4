//! A certificate for tests.

use std::{fs, path::Path, sync::Arc};

use rcgen::generate_simple_self_signed;
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::CertificateDer},
};

use super::Tls;

pub(crate) const NAME: &str = "localhost";

/// A certificate for [`NAME`] that is its own root, in files in this directory.
pub(crate) fn certificate(directory: &Path) -> (Tls, CertificateDer<'static>) {
    let made = generate_simple_self_signed([NAME.to_owned()]).unwrap();
    let (certificate, key) = (directory.join("cert.pem"), directory.join("key.pem"));
    fs::write(&certificate, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (Tls::new(certificate, key), made.cert.der().clone())
}

/// A client that trusts it.
pub(crate) fn connector(root: CertificateDer<'static>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(root).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config).into()
}
