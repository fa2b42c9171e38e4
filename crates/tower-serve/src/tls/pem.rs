//! Reads a certificate and its key, and says what is wrong with them.

use std::{fmt, path::Path, sync::Arc};

use tokio_rustls::rustls::{
    CertificateError, Error, ServerConfig,
    crypto::ring,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
};

use crate::{BoxError, InvalidSetting, file};

/// The most bytes of a file. Both are sent to a worker in one message.
const LONGEST: u64 = 32 << 10;

const PROTOCOL: &[u8] = b"http/1.1";

/// A certificate and its key that can be used.
#[derive(Clone)]
pub(super) struct Pem {
    pub(super) certificate: String,
    pub(super) key: String,
}

impl Pem {
    /// Reads and checks both files.
    pub(super) fn read(certificate: &Path, key: &Path) -> Result<Self, InvalidSetting> {
        let (certificate_name, key_name) = (certificate.display(), key.display());
        let of_certificate = |problem| InvalidSetting {
            setting: "tls_certificate",
            problem,
        };
        let of_key = |problem| InvalidSetting {
            setting: "tls_key",
            problem,
        };
        let pem = Self {
            certificate: read(certificate).map_err(|error| {
                of_certificate(format!(
                    "cannot read the certificate {certificate_name}: {error}"
                ))
            })?,
            key: read(key)
                .map_err(|error| of_key(format!("cannot read the key {key_name}: {error}")))?,
        };
        let chain = pem.chain().map_err(|error| {
            let problem = of_pem(&error);
            of_certificate(format!(
                "{certificate_name} is no certificate in PEM: {problem}"
            ))
        })?;
        if chain.is_empty() {
            return Err(of_certificate(format!(
                "there is no certificate in PEM in {certificate_name}"
            )));
        }
        let key = pem.key().map_err(|error| {
            of_key(match error {
                pem::Error::NoItemsFound => {
                    format!("there is no private key in PEM without a passphrase in {key_name}")
                }
                error => {
                    let problem = of_pem(&error);
                    format!("{key_name} is no private key in PEM: {problem}")
                }
            })
        })?;
        config(chain, key).map_err(|error| match error {
            Error::InconsistentKeys(_) => of_key(format!(
                "the key {key_name} is not that of the first certificate in {certificate_name}; \
                 give both of the same certificate"
            )),
            Error::InvalidCertificate(error) => of_certificate(format!(
                "the first certificate in {certificate_name} cannot be used: {}",
                of_x509(&error)
            )),
            _ => of_key(format!(
                "the key {key_name} cannot be used: it must be an RSA key of 2048 bits or more, an ECDSA \
                 key (P-256 or P-384) or an Ed25519 key"
            )),
        })?;
        Ok(pem)
    }

    pub(super) fn server_config(&self) -> Result<Arc<ServerConfig>, BoxError> {
        let config = config(self.chain()?, self.key()?)?;
        Ok(Arc::new(config))
    }

    fn chain(&self) -> Result<Vec<CertificateDer<'static>>, pem::Error> {
        CertificateDer::pem_slice_iter(self.certificate.as_bytes()).collect()
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, pem::Error> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes())
    }
}

/// Without the key, which must not be logged.
impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pem").finish_non_exhaustive()
    }
}

/// Reads a file, in which there may be any bytes around the parts in PEM, which are ASCII.
fn read(path: &Path) -> std::io::Result<String> {
    let bytes = file::read(path, LONGEST)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The problem with a file in PEM, for the operator: the error itself shows bytes as numbers.
fn of_pem(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a line that begins with -----END is missing",
        pem::Error::IllegalSectionStart { .. } => {
            "a line that begins with -----BEGIN does not end with -----"
        }
        pem::Error::Base64Decode(_) => "what stands between BEGIN and END is not Base64",
        _ => "it cannot be parsed",
    }
}

/// The problem with a certificate, for the operator: the error itself is the name of a variant.
fn of_x509(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::Other(other) if other.to_string() == "UnsupportedCertVersion" => {
            "it is of X.509 version 1; make one of version 3, which has the field subjectAltName"
        }
        CertificateError::BadEncoding => "what stands between BEGIN and END is no certificate",
        _ => "it is no certificate that a TLS server can use; look at it with openssl x509 -text",
    }
}

fn config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::tls::testing::certificate;

    /// As `openssl x509 -req` makes one without extensions.
    const VERSION_1: &str = "\
-----BEGIN CERTIFICATE-----
MIIBFDCBuwIUcEV4ZCxvs30ocqmTy53FGl4PvdYwCgYIKoZIzj0EAwIwDDEKMAgG
A1UEAwwBYTAgFw0yNjExMzAwNjU2NDlaGA8yMTI2MTEwNjA2NTY0OVowDDEKMAgG
A1UEAwwBYTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABHGN9RIULE7i6KZbEzkq
saGpF5kqF8zPIWVIwqP88jWNZQaciux3cte5dJ7qHMcH+zqgCFbLbwM94SNzRa5e
8FYwCgYIKoZIzj0EAwIDSAAwRQIhAJI+odx8QmAEfH/qtbP72+LUfGlzBuCG5Sev
C9/hX2edAiBQ1C/NJ+zb7letZEWoeEv4y7yJWdgyCXdEkaZc+Y4pqA==
-----END CERTIFICATE-----
";

    #[test]
    fn what_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let _ = certificate(directory.path());
        let path = |name: &str| directory.path().join(name);
        let (good, key) = (path("cert.pem"), path("key.pem"));
        let other = tempfile::tempdir().unwrap();
        let _ = certificate(other.path());
        let other_key = other.path().join("key.pem");
        let write = |name: &str, bytes: &[u8]| {
            fs::write(path(name), bytes).unwrap();
            path(name)
        };
        let begin = "-----BEGIN CERTIFICATE-----\n";
        let end = "-----END CERTIFICATE-----\n";
        let nothing = write("nothing", b"caf\xe9\n");
        let broken = write("broken", format!("{begin}!\n{end}").as_bytes());
        let cut = write("cut", format!("{begin}AAAA\n").as_bytes());
        let other_der = write("der", format!("{begin}AAAA\n{end}").as_bytes());
        let version_1 = write("version_1", VERSION_1.as_bytes());
        let locked = fs::read_to_string(&key).unwrap();
        let locked = locked.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        let locked = write("locked", locked.as_bytes());
        let bad_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let bad_key = write("bad_key", bad_key.as_bytes());
        let unended = write("unended", format!("{begin}AAAA").as_bytes());
        let unbegun = write("unbegun", b"-----BEGIN CERTIFICATE\nAAAA\n");
        let long = write("long", &[b'x'; (32 << 10) + 1]);
        let missing = path("missing");
        for (certificate, key, setting, problem) in [
            (
                &missing,
                &key,
                "tls_certificate",
                "cannot read the certificate ",
            ),
            (&long, &key, "tls_certificate", "longer than 32 KiB"),
            (
                &nothing,
                &key,
                "tls_certificate",
                "there is no certificate in PEM in ",
            ),
            (
                &key,
                &key,
                "tls_certificate",
                "there is no certificate in PEM in ",
            ),
            (
                &broken,
                &key,
                "tls_certificate",
                "is no certificate in PEM: ",
            ),
            (&cut, &key, "tls_certificate", "is no certificate in PEM: "),
            (&unended, &key, "tls_certificate", "-----END is missing"),
            (&unbegun, &key, "tls_certificate", "does not end with -----"),
            (
                &other_der,
                &key,
                "tls_certificate",
                "cannot be used: what stands between BEGIN and END is no certificate",
            ),
            (
                &version_1,
                &key,
                "tls_certificate",
                "cannot be used: it is of X.509 version 1",
            ),
            (&good, &missing, "tls_key", "cannot read the key "),
            (
                &good,
                &directory.path().to_owned(),
                "tls_key",
                "no regular file",
            ),
            (&good, &nothing, "tls_key", "without a passphrase in "),
            (&good, &locked, "tls_key", "without a passphrase in "),
            (
                &good,
                &bad_key,
                "tls_key",
                "cannot be used: it must be an RSA key",
            ),
            (
                &good,
                &other_key,
                "tls_key",
                "is not that of the first certificate",
            ),
        ] {
            let refusal = Pem::read(certificate, key).unwrap_err();
            assert!(refusal.problem.contains(problem), "{problem}: {refusal:?}");
            assert_eq!(refusal.setting, setting, "{refusal:?}");
            assert_eq!(refusal.problem.lines().count(), 1, "{refusal:?}");
            // Words, and neither bytes nor the names of variants.
            let told = refusal
                .problem
                .replace(&*directory.path().to_string_lossy(), "");
            assert!(!told.contains(['[', '{']), "{told}");
            assert!(!told.contains("Error") && !told.contains("Bad"), "{told}");
        }
        assert!(Pem::read(&good, &key).is_ok());
    }

    #[test]
    fn both_may_be_in_one_file() {
        let directory = tempfile::tempdir().unwrap();
        let _ = certificate(directory.path());
        let read = |name: &str| fs::read(directory.path().join(name)).unwrap();
        let all = directory.path().join("all.pem");
        let remark = b"\xe9\n".to_vec();
        fs::write(&all, [remark, read("key.pem"), read("cert.pem")].concat()).unwrap();
        let pem = Pem::read(&all, &all).unwrap();
        assert!(pem.server_config().is_ok());
    }

    #[test]
    fn a_worker_gets_it_and_a_log_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let (mut tls, _) = certificate(directory.path());
        tls.read().unwrap();
        let (certificate, key) = tls.contents().unwrap();
        let mut sent = crate::Tls::new("", "");
        assert!(sent.server_config().is_err());
        sent.set_contents(certificate.to_owned(), key.to_owned());
        assert!(sent.server_config().is_ok());
        assert!(!format!("{tls:?}").contains("PRIVATE"), "{tls:?}");
    }
}
