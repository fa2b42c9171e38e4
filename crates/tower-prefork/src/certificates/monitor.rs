//! Notices that the files of certificates have changed, rotates the keys of tickets, and warns before certificates expire.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use tower_serve::{
    Tls,
    internal::tls::{CertificateSummary, FileStates, TicketKeys},
};

use super::expiry::{ExpiryStage, ExpiryWarnings, whole_days};

/// The interval of the checks. Changed files are read when they have not changed again in between: the certificate and the key
/// are seldom replaced at once.
///
/// The files are looked at rather than watched: what their paths lead to changes when any link on the way does.
pub(crate) const CHECK: Duration = Duration::from_secs(1);

/// The certificates of one server while it runs.
#[derive(Debug)]
pub(crate) struct CertificateMonitor {
    server: String,
    /// With the contents of the files that are in use. `None` if the server has no certificate.
    tls: Option<Tls>,
    summaries: Vec<CertificateSummary>,
    /// The files when they were read, if that is known.
    read: Option<FileStates>,
    /// The files at the last check, if they differed.
    changing: Option<FileStates>,
    warnings: ExpiryWarnings,
    /// When the keys of the tickets were made or rotated.
    rotated: Instant,
}

impl CertificateMonitor {
    pub(crate) fn new(server: &str) -> Self {
        Self {
            server: server.to_owned(),
            tls: None,
            summaries: Vec::new(),
            read: None,
            changing: None,
            warnings: ExpiryWarnings::default(),
            rotated: Instant::now(),
        }
    }

    /// Uses these settings, whose files have been read, and gives them the keys of the tickets if they have none.
    ///
    /// Tickets are accepted by all processes that have the keys. Without keys each process keeps its sessions in memory.
    pub(crate) fn share(&mut self, tls: &mut Option<Tls>) {
        if let Some(tls) = tls
            && keys(tls).is_none()
        {
            match self
                .tls
                .as_ref()
                .and_then(keys)
                .map_or_else(TicketKeys::new, Ok)
            {
                Ok(keys) => tls.set_ticket_keys(keys),
                Err(error) => {
                    tracing::warn!(
                        error,
                        "clients can resume their sessions in one worker only"
                    );
                }
            }
        }
        self.set(tls.clone());
    }

    /// Uses these settings, whose files have been read.
    pub(crate) fn set(&mut self, tls: Option<Tls>) {
        self.summaries = tls.as_ref().map_or_else(Vec::new, Tls::summaries);
        self.tls = tls;
        // They may have changed since they were read.
        self.read = None;
        self.changing = None;
    }

    /// The certificates that are in use.
    pub(crate) fn summaries(&self) -> &[CertificateSummary] {
        &self.summaries
    }

    /// Logs the warnings that are due, and returns the settings with new contents if there are any.
    pub(crate) fn check(&mut self, now: SystemTime) -> Option<Tls> {
        let changed = self.read_changed();
        let rotated = self.rotate();
        self.warn(now);
        if changed || rotated {
            self.tls.clone()
        } else {
            None
        }
    }

    /// Reads the files if they have changed. Whether their contents have, and can be used.
    fn read_changed(&mut self) -> bool {
        let Some(tls) = &self.tls else {
            return false;
        };
        let states = tls.file_states();
        if self.read.as_ref() == Some(&states) {
            self.changing = None;
            return false;
        }
        if self.changing.as_ref() != Some(&states) {
            self.changing = Some(states);
            return false;
        }
        self.changing = None;
        self.read = Some(states);
        let mut next = tls.clone();
        if let Err(invalid) = next.read() {
            tracing::error!(
                server = self.server,
                reason = invalid.problem,
                "changed certificates cannot be used; the previous ones stay"
            );
            return false;
        }
        let is_same = |before: &Tls| {
            let materials = before.material().zip(next.material());
            materials.is_some_and(|(before, next)| before.has_same_files(next))
        };
        if is_same(tls) {
            return false;
        }
        self.summaries = next.summaries();
        self.tls = Some(next);
        tracing::info!(
            server = self.server,
            certificates = self.summaries.len(),
            "certificates changed; new connections get the new ones"
        );
        true
    }

    /// Rotates the keys of the tickets when it is time. Whether it was.
    fn rotate(&mut self) -> bool {
        let Some(tls) = &mut self.tls else {
            return false;
        };
        let Some(mut keys) = keys(tls) else {
            return false;
        };
        if self.rotated.elapsed() < TicketKeys::ROTATION {
            return false;
        }
        self.rotated = Instant::now();
        match keys.rotate() {
            Ok(()) => tls.set_ticket_keys(keys),
            Err(error) => {
                tracing::warn!(error, "the keys of TLS tickets cannot be rotated");
                return false;
            }
        }
        true
    }

    fn warn(&mut self, now: SystemTime) {
        for (certificate, stage) in self.warnings.due(&self.summaries, now) {
            let server = &self.server;
            let file = &certificate.file;
            let names = certificate.names.join(", ");
            let days = whole_days(certificate.not_after, now);
            let last_day = &certificate.last_day;
            match stage {
                ExpiryStage::NotYetValid => {
                    tracing::warn!(server, file, names, "a certificate is not valid yet");
                }
                ExpiryStage::Soon | ExpiryStage::Within7Days | ExpiryStage::Within1Day => {
                    tracing::warn!(
                        server,
                        file,
                        names,
                        days,
                        last_day,
                        "a certificate expires soon"
                    );
                }
                ExpiryStage::Expired => {
                    tracing::error!(server, file, names, last_day, "a certificate has expired");
                }
            }
        }
    }
}

fn keys(tls: &Tls) -> Option<TicketKeys> {
    tls.material()?.ticket_keys()
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use rcgen::generate_simple_self_signed;

    use super::*;

    fn write(directory: &Path, name: &str) {
        let made = generate_simple_self_signed([name.to_owned()]).unwrap();
        fs::write(directory.join("cert.pem"), made.cert.pem()).unwrap();
        fs::write(directory.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    }

    fn monitor(directory: &Path) -> CertificateMonitor {
        let mut tls = Tls::new(directory.join("cert.pem"), directory.join("key.pem"));
        tls.read().unwrap();
        let mut monitor = CertificateMonitor::new("test");
        monitor.share(&mut Some(tls));
        monitor
    }

    /// What becomes of the files within the next checks.
    fn settle(monitor: &mut CertificateMonitor) -> Option<Tls> {
        (0..3).find_map(|_| monitor.check(SystemTime::now()))
    }

    #[tokio::test]
    async fn a_change_is_read_once_it_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        write(directory, "a.example");
        let mut monitor = monitor(directory);
        let keys_before = keys(monitor.tls.as_ref().unwrap()).unwrap();
        assert!(settle(&mut monitor).is_none());

        let key = fs::read(directory.join("key.pem")).unwrap();
        write(directory, "b.example");
        let new_key = fs::read(directory.join("key.pem")).unwrap();
        fs::write(directory.join("key.pem"), key).unwrap();
        assert!(settle(&mut monitor).is_none());
        assert_eq!(monitor.summaries()[0].names, ["a.example"]);
        fs::write(directory.join("key.pem"), new_key).unwrap();
        assert!(
            monitor.check(SystemTime::now()).is_none(),
            "it may still change"
        );
        let changed = settle(&mut monitor).unwrap();
        assert_eq!(changed.summaries()[0].names, ["b.example"]);
        assert_eq!(monitor.summaries()[0].names, ["b.example"]);
        assert_eq!(keys(&changed), Some(keys_before), "sessions can be resumed");
        assert!(settle(&mut monitor).is_none());
        fs::remove_file(directory.join("key.pem")).unwrap();
        assert!(settle(&mut monitor).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn keys_are_rotated_and_outlive_a_reload() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), "a.example");
        let mut monitor = monitor(directory.path());
        let first = keys(monitor.tls.as_ref().unwrap()).unwrap();
        tokio::time::advance(TicketKeys::ROTATION).await;
        let rotated = keys(&monitor.check(SystemTime::now()).unwrap()).unwrap();
        assert_ne!(rotated, first);
        assert!(monitor.check(SystemTime::now()).is_none());

        let before = monitor.tls.clone().unwrap();
        let mut fresh = Tls::new(&before.certificates[0], &before.keys[0]);
        fresh.read().unwrap();
        let mut fresh = Some(fresh);
        monitor.share(&mut fresh);
        assert_eq!(keys(&fresh.unwrap()), Some(rotated));
    }
}
