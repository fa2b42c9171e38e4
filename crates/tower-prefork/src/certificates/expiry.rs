//! Warnings before a certificate expires.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use tower_serve::internal::tls::CertificateSummary;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What there is to say about the dates of a certificate, in the order in which it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ExpiryStage {
    NotYetValid,
    /// It expires within 21 days.
    Soon,
    /// Within 7 days.
    Within7Days,
    /// Within a day.
    Within1Day,
    Expired,
}

/// The warnings about the dates of certificates: each once.
#[derive(Debug, Default)]
pub(super) struct ExpiryWarnings {
    /// What was said last of the certificate in a file with this end.
    told: BTreeMap<(String, SystemTime), ExpiryStage>,
}

impl ExpiryStage {
    fn of(certificate: &CertificateSummary, now: SystemTime) -> Option<Self> {
        let Ok(left) = certificate.not_after.duration_since(now) else {
            return Some(Self::Expired);
        };
        let stages = [
            (1, Self::Within1Day),
            (7, Self::Within7Days),
            (21, Self::Soon),
        ];
        let near = stages.iter().find(|(days, _)| left <= DAY * *days);
        let early = || (now < certificate.not_before).then_some(Self::NotYetValid);
        near.map(|(_, stage)| *stage).or_else(early)
    }
}

impl ExpiryWarnings {
    /// The certificates of which there is something new to say, and what it is.
    pub(super) fn due<'a>(
        &mut self,
        certificates: &'a [CertificateSummary],
        now: SystemTime,
    ) -> Vec<(&'a CertificateSummary, ExpiryStage)> {
        let mut due = Vec::new();
        let mut told = BTreeMap::new();
        for certificate in certificates {
            let Some(stage) = ExpiryStage::of(certificate, now) else {
                continue;
            };
            let key = (certificate.file.clone(), certificate.not_after);
            let before = self.told.get(&key);
            if before.is_none_or(|before| *before < stage) {
                due.push((certificate, stage));
            }
            let latest = before.map_or(stage, |before| stage.max(*before));
            told.insert(key, latest);
        }
        // Those that were replaced are forgotten.
        self.told = told;
        due
    }
}

/// Whole days until a certificate expires, negative when it has.
pub(crate) fn whole_days(not_after: SystemTime, now: SystemTime) -> i64 {
    let days = |time: Duration| (time.as_secs() / DAY.as_secs()).cast_signed();
    match not_after.duration_since(now) {
        Ok(left) => days(left),
        Err(over) => -1 - days(over.duration()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Valid from day 100 to day 190.
    fn certificate(file: &str) -> CertificateSummary {
        CertificateSummary {
            file: file.into(),
            names: vec!["a.example".into()],
            not_before: day(100.0),
            not_after: day(190.0),
            last_day: String::new(),
        }
    }

    fn day(day: f64) -> SystemTime {
        SystemTime::UNIX_EPOCH + DAY.mul_f64(day)
    }

    #[test]
    fn each_warning_comes_once() {
        let certificates = [certificate("a")];
        let mut warnings = ExpiryWarnings::default();
        let mut stages = Vec::new();
        for hour in 99 * 24..=200 * 24 {
            let now = f64::from(hour) / 24.0;
            for (_, stage) in warnings.due(&certificates, day(now)) {
                stages.push((now, stage));
            }
        }
        assert_eq!(
            stages,
            [
                (99.0, ExpiryStage::NotYetValid),
                (169.0, ExpiryStage::Soon),
                (183.0, ExpiryStage::Within7Days),
                (189.0, ExpiryStage::Within1Day),
                (190.0 + 1.0 / 24.0, ExpiryStage::Expired),
            ]
        );
    }

    #[test]
    fn a_start_warns_at_once_and_a_new_certificate_is_none_of_the_old_ones() {
        let (mut old, other) = (certificate("a"), certificate("b"));
        let mut warnings = ExpiryWarnings::default();
        let certificates = [old.clone(), other];
        assert_eq!(warnings.due(&certificates, day(185.0)).len(), 2);
        assert_eq!(warnings.due(&certificates, day(185.5)).len(), 0);
        old.not_after = day(280.0);
        let certificates = [old.clone()];
        assert_eq!(warnings.due(&certificates, day(186.0)).len(), 0);
        let due = warnings.due(&certificates, day(275.0));
        assert_eq!(due, [(&old, ExpiryStage::Within7Days)]);
        // A clock that was set back says nothing again.
        assert_eq!(warnings.due(&certificates, day(274.0)).len(), 0);
    }

    #[test]
    fn whole_days_are_left() {
        for (now, days) in [
            (100.0, 90),
            (188.9, 1),
            (189.5, 0),
            (190.1, -1),
            (191.1, -2),
        ] {
            assert_eq!(whole_days(day(190.0), day(now)), days, "{now}");
        }
    }
}
