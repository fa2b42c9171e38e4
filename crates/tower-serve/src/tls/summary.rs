//! What an operator wants to know of a certificate.

use std::time::{Duration, SystemTime};

use x509_parser::{certificate::X509Certificate, prelude::FromDer, time::ASN1Time};

use super::{pair::Pair, x509};

/// What an operator wants to know of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateSummary {
    /// Its file.
    pub file: String,
    /// The DNS names that it is for.
    pub names: Vec<String>,
    /// When it becomes valid, and when it expires.
    pub not_before: SystemTime,
    /// See `not_before`.
    pub not_after: SystemTime,
    /// The day on which it expires, in UTC, as `2027-01-31`.
    pub last_day: String,
}

impl CertificateSummary {
    pub(super) fn of(pair: &Pair) -> Self {
        let mut summary = Self {
            file: pair.name.clone(),
            names: Vec::new(),
            not_before: SystemTime::UNIX_EPOCH,
            not_after: SystemTime::UNIX_EPOCH,
            last_day: String::new(),
        };
        let chain = pair.chain().unwrap_or_default();
        // The pair was checked with a parser of its own, which may be less strict.
        if let Some(first) = chain.first()
            && let Ok((_, certificate)) = X509Certificate::from_der(first)
        {
            let validity = certificate.validity();
            summary.names = x509::dns_names(&certificate);
            summary.not_before = system_time(validity.not_before);
            summary.not_after = system_time(validity.not_after);
            summary.last_day = validity.not_after.to_datetime().date().to_string();
        }
        summary
    }
}

fn system_time(time: ASN1Time) -> SystemTime {
    let seconds = Duration::from_secs(time.timestamp().unsigned_abs());
    let time = match time.timestamp() {
        0.. => SystemTime::UNIX_EPOCH.checked_add(seconds),
        _ => SystemTime::UNIX_EPOCH.checked_sub(seconds),
    };
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn names_and_dates() {
        let mut params = CertificateParams::new(["a.example".to_owned()]).unwrap();
        params.not_before = date_time_ymd(1969, 12, 31);
        params.not_after = date_time_ymd(2027, 1, 31);
        let key = KeyPair::generate().unwrap();
        let pair = Pair {
            name: "a.pem".into(),
            certificate: params.self_signed(&key).unwrap().pem(),
            key: key.serialize_pem(),
        };
        let summary = CertificateSummary::of(&pair);
        assert_eq!(summary.names, ["a.example"]);
        assert_eq!(summary.file, "a.pem");
        assert_eq!(summary.last_day, "2027-01-31");
        let day = Duration::from_secs(86_400);
        assert_eq!(summary.not_before, SystemTime::UNIX_EPOCH - day);
        assert_eq!(summary.not_after, SystemTime::UNIX_EPOCH + day * 20_849);
    }
}
