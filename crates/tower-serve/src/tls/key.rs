//! Reads a private key, which may be encrypted.

use pkcs8::{
    EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef, SecretDocument, der::pem::PemLabel as _, pkcs5,
};
use tokio_rustls::rustls::pki_types::{
    PrivateKeyDer,
    pem::{self, PemObject},
};

/// How OpenSSL marks a key that it has encrypted in the way that was usual before PKCS #8.
const LEGACY: &str = "Proc-Type: 4,ENCRYPTED";

const ENCRYPTED: (&str, &str) = (
    "-----BEGIN ENCRYPTED PRIVATE KEY-----",
    "-----END ENCRYPTED PRIVATE KEY-----",
);

/// Why a text has no key that can be used. It is displayed as what follows the name of the file.
#[derive(Debug)]
pub(super) enum KeyError {
    Missing,
    Malformed(pem::Error),
    /// It is encrypted, and there is no password.
    NoPassword,
    /// The password is of another key.
    WrongPassword,
    /// It is encrypted in a way of which nothing is known.
    Unsupported,
    Legacy,
}

/// The key in a text, in PEM and not encrypted.
pub(super) fn plain(text: &str, password: Option<&[u8]>) -> Result<String, KeyError> {
    if text.contains(LEGACY) {
        return Err(KeyError::Legacy);
    }
    let Some(encrypted) = section(text) else {
        parse(text)?;
        return Ok(text.to_owned());
    };
    let (_, document) = SecretDocument::from_pem(encrypted).map_err(|_| KeyError::Unsupported)?;
    let key = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes());
    let key = key.map_err(|_| KeyError::Unsupported)?;
    let password = password.ok_or(KeyError::NoPassword)?;
    let key = key.decrypt(password).map_err(|error| match error {
        pkcs8::Error::EncryptedPrivateKey(pkcs5::Error::DecryptFailed) | pkcs8::Error::Asn1(_) => {
            KeyError::WrongPassword
        }
        _ => KeyError::Unsupported,
    })?;
    let key = key.to_pem(PrivateKeyInfoRef::PEM_LABEL, pkcs8::LineEnding::LF);
    key.map(|key| key.to_string())
        .map_err(|_| KeyError::WrongPassword)
}

/// The key in a text that [`plain`] has returned.
pub(super) fn parse(text: &str) -> Result<PrivateKeyDer<'static>, KeyError> {
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| match error {
        pem::Error::NoItemsFound => KeyError::Missing,
        error => KeyError::Malformed(error),
    })
}

/// The part of a text that is an encrypted key.
fn section(text: &str) -> Option<&str> {
    let (begin, end) = ENCRYPTED;
    let text = &text[text.find(begin)?..];
    Some(&text[..text.find(end)? + end.len()])
}

/// The first line of a file with a password.
pub(super) fn password(bytes: &[u8]) -> &[u8] {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or(bytes);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_a_line() {
        for text in ["a b", "a b\n", "a b\r\n", "a b\nc\n"] {
            assert_eq!(password(text.as_bytes()), b"a b", "{text:?}");
        }
        assert_eq!(password(b""), b"");
    }
}
