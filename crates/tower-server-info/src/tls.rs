//! What is known of a connection's TLS.

use std::{fmt, sync::Arc};

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The bytes of a line of PEM (RFC 7468 section 2).
const PEM_LINE: usize = 48;

/// What is known of a connection's TLS, when its handshake is done.
///
/// Clones share it.
#[derive(Clone, Debug)]
pub struct TlsInfo(Arc<Session>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Session {
    version: &'static str,
    cipher_suite: &'static str,
    server_name: Option<String>,
    client: Option<ClientCertificate>,
}

/// The certificate with which a client has proved who it is. The server has verified it.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    subject: String,
    issuer: String,
    serial: String,
    der: Vec<u8>,
}

impl TlsInfo {
    /// A connection with this version, such as `TLSv1.3`, and this cipher suite, by its name in the registry of IANA.
    #[must_use]
    pub fn new(version: &'static str, cipher_suite: &'static str) -> Self {
        Self(Arc::new(Session {
            version,
            cipher_suite,
            server_name: None,
            client: None,
        }))
    }

    /// The same, where the client has asked for the server of this name.
    #[must_use]
    pub fn with_server_name(mut self, name: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).server_name = Some(name.into());
        self
    }

    /// The same, where the client has this certificate.
    #[must_use]
    pub fn with_client(mut self, certificate: ClientCertificate) -> Self {
        Arc::make_mut(&mut self.0).client = Some(certificate);
        self
    }

    /// The version: `TLSv1.2` or `TLSv1.3`.
    #[must_use]
    pub fn version(&self) -> &'static str {
        self.0.version
    }

    /// The cipher suite, by its name in the registry of IANA: `TLS_AES_256_GCM_SHA384`, for example.
    #[must_use]
    pub fn cipher_suite(&self) -> &'static str {
        self.0.cipher_suite
    }

    /// The name of the server that the client has asked for (SNI), in lower case; `None` if it has sent none. A request may
    /// still name another one in its `Host` field.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.0.server_name.as_deref()
    }

    /// The client's certificate; `None` if the server has not asked for one, or the client has none.
    #[must_use]
    pub fn client(&self) -> Option<&ClientCertificate> {
        self.0.client.as_ref()
    }
}

/// Equal in all that is known. Clones are compared without a look at it.
impl PartialEq for TlsInfo {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Eq for TlsInfo {}

impl ClientCertificate {
    /// A certificate, in DER, with the names of its subject and its issuer as in RFC 4514, and its serial number in
    /// hexadecimal.
    #[must_use]
    pub fn new(
        der: impl Into<Vec<u8>>,
        subject: impl Into<String>,
        issuer: impl Into<String>,
        serial: impl Into<String>,
    ) -> Self {
        Self {
            subject: subject.into(),
            issuer: issuer.into(),
            serial: serial.into(),
            der: der.into(),
        }
    }

    /// Whom it names, as in RFC 4514: `CN=alice,O=Shop`.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Who has issued it, in the same form.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The serial number, unique for its issuer, in hexadecimal with upper-case letters.
    #[must_use]
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// The certificate itself, in DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The certificate itself, in PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
        for line in self.der.chunks(PEM_LINE) {
            for group in line.chunks(3) {
                let bits = group.iter().zip([16, 8, 0]);
                let bits = bits.fold(0, |bits, (byte, shift)| bits | usize::from(*byte) << shift);
                for digit in 0..4 {
                    pem.push(match digit <= group.len() {
                        true => BASE64[bits >> (18 - 6 * digit) & 63].into(),
                        false => '=',
                    });
                }
            }
            pem.push('\n');
        }
        pem + "-----END CERTIFICATE-----\n"
    }
}

/// Without the bytes.
impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate")
            .field("subject", &self.subject)
            .field("issuer", &self.issuer)
            .field("serial", &self.serial)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_in_pem() {
        let pem = |der: &[u8]| {
            let pem = ClientCertificate::new(der, "", "", "").pem();
            let lines: Vec<_> = pem.lines().map(str::to_owned).collect();
            assert_eq!(lines[0], "-----BEGIN CERTIFICATE-----");
            assert_eq!(lines[lines.len() - 1], "-----END CERTIFICATE-----");
            lines[1..lines.len() - 1].join("/")
        };
        // RFC 4648 section 10.
        let tests = ["Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"];
        for (length, expected) in tests.iter().enumerate() {
            assert_eq!(pem(&b"foobar"[..=length]), *expected);
        }
        assert_eq!(pem(b""), "");
        assert_eq!(pem(&[0; 49]), format!("{}/AA==", "A".repeat(64)));
        assert_eq!(pem(&[255; 3]), "////");
    }

    #[test]
    fn clones_are_equal_and_others_by_what_they_say() {
        let info = TlsInfo::new("TLSv1.3", "TLS_AES_256_GCM_SHA384");
        let named = info.clone().with_server_name("shop.example");
        assert_eq!(info.server_name(), None);
        assert_eq!(named.server_name(), Some("shop.example"));
        assert_eq!(named, named.clone());
        assert_ne!(info, named);
        let client = ClientCertificate::new([1], "CN=alice", "CN=root", "0A");
        let known = named.clone().with_client(client.clone());
        assert_ne!(known, named);
        assert_eq!(known, named.clone().with_client(client));
        assert_eq!(known.client().unwrap().subject(), "CN=alice");
        assert!(!format!("{known:?}").contains("der"), "{known:?}");
    }
}
