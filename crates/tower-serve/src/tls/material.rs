//! What the files of the settings contain, as one process reads it and others get it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{CertificateSummary, TicketKeys, Tls, client_auth, key, pair::Pair, places::Places};
use crate::{InvalidSetting, file};

/// The most bytes of the file with the password.
const LONGEST_PASSWORD: u64 = 4 << 10;

/// What the files of the settings contain, checked, and the keys of the tickets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TlsMaterial {
    /// The first one is the default.
    pub(super) pairs: Vec<Pair>,
    /// In PEM.
    pub(super) client_ca: Option<String>,
    pub(super) ticket_keys: Option<TicketKeys>,
}

impl TlsMaterial {
    /// Reads and checks all files.
    pub(super) fn read(tls: &Tls) -> Result<Self, InvalidSetting> {
        let password = tls.key_password_file.as_deref();
        let password = password.map(read_password).transpose()?;
        let password = password.as_deref().map(key::password);
        let places = Places::of(tls)?;
        let pairs = places.pairs.iter();
        let pairs = pairs.map(|(certificate, key)| Pair::read(certificate, key, password));
        let client_ca = tls.client_ca.as_deref();
        Ok(Self {
            pairs: pairs.collect::<Result<_, _>>()?,
            client_ca: client_ca.map(client_auth::read).transpose()?,
            ticket_keys: None,
        })
    }

    /// The same, with these keys for tickets.
    #[must_use]
    pub fn with_ticket_keys(mut self, keys: TicketKeys) -> Self {
        self.ticket_keys = Some(keys);
        self
    }

    /// The keys of the tickets, if there are any.
    #[must_use]
    pub fn ticket_keys(&self) -> Option<TicketKeys> {
        self.ticket_keys.clone()
    }

    /// Whether the files had the same contents.
    #[must_use]
    pub fn has_same_files(&self, other: &Self) -> bool {
        self.pairs == other.pairs && self.client_ca == other.client_ca
    }

    /// The certificates.
    #[must_use]
    pub fn summaries(&self) -> Vec<CertificateSummary> {
        self.pairs.iter().map(CertificateSummary::of).collect()
    }
}

fn read_password(path: &Path) -> Result<Vec<u8>, InvalidSetting> {
    file::read(path, LONGEST_PASSWORD).map_err(|error| InvalidSetting {
        setting: "tls_key_password_file",
        problem: format!("cannot read the password {}: {error}", path.display()),
    })
}

#[cfg(test)]
mod tests {
    use crate::tls::{Handshakes, TlsMaterial, testing::certificate};

    #[test]
    fn a_worker_gets_it_and_a_log_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let (mut tls, _) = certificate(directory.path());
        tls.read().unwrap();
        let message = serde_json::to_vec(tls.material().unwrap()).unwrap();
        let mut sent = crate::Tls::new("", "");
        assert!(Handshakes::new(&sent, Vec::new()).is_err());
        sent.set_material(serde_json::from_slice::<TlsMaterial>(&message).unwrap());
        assert!(Handshakes::new(&sent, Vec::new()).is_ok());
        assert!(!format!("{tls:?}").contains("PRIVATE"), "{tls:?}");
    }
}
