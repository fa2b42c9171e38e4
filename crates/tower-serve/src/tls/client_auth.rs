//! The certificates of clients: who may issue them, and what is known of a client that has one.

use std::{path::Path, sync::Arc};

use ring::digest::{Context, SHA256};
use tokio_rustls::rustls::{
    Error, ProtocolVersion, RootCertStore, ServerConnection,
    crypto::CryptoProvider,
    pki_types::CertificateDer,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use tower_server_info::{ClientCertificate, TlsInfo};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::{ClientAuth, pair, x509};
use crate::{InvalidSetting, file};

/// The most bytes of the file with the certificates that issue those of clients.
const LONGEST: u64 = 1 << 20;

/// Reads and checks the file with the certificates that issue those of clients.
pub(super) fn read(path: &Path) -> Result<String, InvalidSetting> {
    let name = path.display();
    let invalid = |problem| InvalidSetting {
        setting: "tls_client_ca",
        problem,
    };
    let bytes = file::read(path, LONGEST)
        .map_err(|error| invalid(format!("cannot read the certificates {name}: {error}")))?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let certificates = pair::chain(&text).map_err(|error| {
        let problem = pair::of_pem(&error);
        invalid(format!("{name} has no certificates in PEM: {problem}"))
    })?;
    if certificates.is_empty() {
        return Err(invalid(format!("there is no certificate in PEM in {name}")));
    }
    roots(certificates).map_err(|_| {
        invalid(format!(
            "{name} has a certificate that cannot be used; look at it with openssl x509 -text"
        ))
    })?;
    Ok(text)
}

fn roots(certificates: Vec<CertificateDer<'static>>) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate)?;
    }
    Ok(roots)
}

/// Verifies the certificates of clients.
pub(super) fn verifier(
    ca: Option<&str>,
    auth: ClientAuth,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Error> {
    let general = |error: &dyn ToString| Error::General(error.to_string());
    let Some(ca) = ca else {
        return Ok(WebPkiClientVerifier::no_client_auth());
    };
    let roots = roots(pair::chain(ca).map_err(|error| general(&error))?)?;
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match auth {
        ClientAuth::Required => builder,
        ClientAuth::Optional => builder.allow_unauthenticated(),
    };
    builder.build().map_err(|error| general(&error))
}

/// A short text that is the same only where the rules for the certificates of clients are.
pub(super) fn fingerprint(ca: Option<&str>, auth: ClientAuth) -> Vec<u8> {
    let Some(ca) = ca else {
        return Vec::new();
    };
    let mut digest = Context::new(&SHA256);
    digest.update(match auth {
        ClientAuth::Required => b"required ",
        ClientAuth::Optional => b"optional ",
    });
    digest.update(ca.as_bytes());
    digest.finish().as_ref().to_vec()
}

/// What is known of a connection after its handshake.
pub(crate) fn session_info(session: &ServerConnection) -> TlsInfo {
    let version = match session.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "TLSv1.3",
    };
    let suite = session.negotiated_cipher_suite();
    let suite = suite.and_then(|suite| suite.suite().as_str());
    // rustls names those of TLS 1.3 differently from the registry.
    let suite = match suite.unwrap_or_default() {
        "TLS13_AES_256_GCM_SHA384" => "TLS_AES_256_GCM_SHA384",
        "TLS13_AES_128_GCM_SHA256" => "TLS_AES_128_GCM_SHA256",
        "TLS13_CHACHA20_POLY1305_SHA256" => "TLS_CHACHA20_POLY1305_SHA256",
        suite => suite,
    };
    let mut info = TlsInfo::new(version, suite);
    if let Some(name) = session.server_name() {
        info = info.with_server_name(name);
    }
    let certificate = session.peer_certificates().and_then(<[_]>::first);
    if let Some(certificate) = certificate.and_then(|der| client(der)) {
        info = info.with_client(certificate);
    }
    info
}

fn client(der: &[u8]) -> Option<ClientCertificate> {
    let (_, certificate) = match X509Certificate::from_der(der) {
        Ok(parsed) => parsed,
        Err(error) => {
            // It was verified by a parser of its own.
            tracing::warn!(%error, "the certificate of a client cannot be read");
            return None;
        }
    };
    Some(ClientCertificate::new(
        der,
        x509::distinguished_name(certificate.subject()),
        x509::distinguished_name(certificate.issuer()),
        x509::serial(&certificate),
    ))
}
