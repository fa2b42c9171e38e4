//! Reads a certificate and its key, and says what is wrong with them.

use std::{fmt, path::Path, sync::Arc};

use serde::{Deserialize, Serialize};
use tokio_rustls::rustls::{
    CertificateError, Error,
    crypto::{CryptoProvider, ring},
    pki_types::{
        CertificateDer,
        pem::{self, PemObject},
    },
    sign::CertifiedKey,
};

use super::key::{self, KeyError};
use crate::{BoxError, InvalidSetting, file};

/// The most bytes of a file with a certificate chain or a key.
const LONGEST: u64 = 32 << 10;

/// A certificate and its key that can be used.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pair {
    /// The file of the certificate.
    pub(super) name: String,
    pub(super) certificate: String,
    /// Not encrypted.
    pub(super) key: String,
}

impl Pair {
    /// Reads and checks both files. The password is for a key that is encrypted.
    pub(super) fn read(
        certificate: &Path,
        key: &Path,
        password: Option<&[u8]>,
    ) -> Result<Self, InvalidSetting> {
        let (certificate_name, key_name) = (certificate.display(), key.display());
        let of_certificate = |problem| InvalidSetting {
            setting: "tls_certificate",
            problem,
        };
        let of_key = |problem| InvalidSetting {
            setting: "tls_key",
            problem,
        };
        let certificate = read(certificate).map_err(|error| {
            of_certificate(format!(
                "cannot read the certificate {certificate_name}: {error}"
            ))
        })?;
        let key = read(key)
            .map_err(|error| of_key(format!("cannot read the key {key_name}: {error}")))?;
        let chain = chain(&certificate).map_err(|error| {
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
        let key = key::plain(&key, password).map_err(|error| match error {
            KeyError::WrongPassword => InvalidSetting {
                setting: "tls_key_password_file",
                problem: format!(
                    "the password in tls_key_password_file is not that of the key {key_name}"
                ),
            },
            error => of_key(of_key_error(&error, &key_name)),
        })?;
        let pair = Self {
            name: certificate_name.to_string(),
            certificate,
            key,
        };
        pair.certified(&ring::default_provider())
            .map_err(|error| match error {
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
        Ok(pair)
    }

    /// The form in which handshakes use it.
    pub(super) fn certified(&self, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, Error> {
        let general = |error: BoxError| Error::General(error.to_string());
        let chain = self.chain().map_err(|error| general(error.into()))?;
        let key = key::parse(&self.key).map_err(|_| Error::General("no private key".into()))?;
        CertifiedKey::from_der(chain, key, provider).map(Arc::new)
    }

    pub(super) fn chain(&self) -> Result<Vec<CertificateDer<'static>>, pem::Error> {
        chain(&self.certificate)
    }
}

/// Without the key, which must not be logged.
impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The certificates in a text.
pub(super) fn chain(text: &str) -> Result<Vec<CertificateDer<'static>>, pem::Error> {
    CertificateDer::pem_slice_iter(text.as_bytes()).collect()
}

/// Reads a file, in which there may be any bytes around the parts in PEM, which are ASCII.
fn read(path: &Path) -> std::io::Result<String> {
    let bytes = file::read(path, LONGEST)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The problem with a key, for the operator.
fn of_key_error(error: &KeyError, name: &dyn fmt::Display) -> String {
    let convert =
        format!("convert it with: openssl pkcs8 -topk8 -v2 aes-256-cbc -in {name} -out NEW");
    match error {
        KeyError::Missing => format!("there is no private key in PEM in {name}"),
        KeyError::Malformed(error) => {
            let problem = of_pem(error);
            format!("{name} is no private key in PEM: {problem}")
        }
        KeyError::NoPassword => {
            format!(
                "the key {name} is encrypted; give the file with its password as tls_key_password_file"
            )
        }
        KeyError::Legacy => {
            format!(
                "the key {name} is encrypted in the legacy form of OpenSSL, which is not supported; {convert}"
            )
        }
        KeyError::Unsupported | KeyError::WrongPassword => {
            format!("the key {name} is encrypted in a way that is not supported; {convert}")
        }
    }
}

/// The problem with a file in PEM, for the operator: the error itself shows bytes as numbers.
pub(super) fn of_pem(error: &pem::Error) -> &'static str {
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
        let legacy = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n";
        let legacy = write("legacy", legacy.as_bytes());
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
            (
                &good,
                &nothing,
                "tls_key",
                "there is no private key in PEM in ",
            ),
            (
                &good,
                &locked,
                "tls_key",
                "in a way that is not supported; convert it with: openssl pkcs8 ",
            ),
            (&good, &legacy, "tls_key", "in the legacy form of OpenSSL"),
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
            let refusal = Pair::read(certificate, key, None).unwrap_err();
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
        assert!(Pair::read(&good, &key, None).is_ok());
    }

    #[test]
    fn both_may_be_in_one_file() {
        let directory = tempfile::tempdir().unwrap();
        let _ = certificate(directory.path());
        let read = |name: &str| fs::read(directory.path().join(name)).unwrap();
        let all = directory.path().join("all.pem");
        let remark = b"\xe9\n".to_vec();
        fs::write(&all, [remark, read("key.pem"), read("cert.pem")].concat()).unwrap();
        assert!(Pair::read(&all, &all, None).is_ok());
    }
}
