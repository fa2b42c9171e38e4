//! The time of a line, as text.

use std::fmt::Write;

use rustix::time::{ClockId, clock_gettime};

use super::AccessLogFormat;

const SECONDS_OF_A_DAY: i64 = 24 * 60 * 60;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The current time, in seconds since the beginning of 1970.
pub(super) fn second() -> i64 {
    // The coarse clock is late by a few milliseconds, and much cheaper.
    clock_gettime(ClockId::RealtimeCoarse).tv_sec
}

/// Formats the time, once per second.
#[derive(Debug)]
pub(super) struct Timestamp {
    format: AccessLogFormat,
    second: Option<i64>,
    text: String,
}

impl Timestamp {
    pub(super) fn new(format: AccessLogFormat) -> Self {
        Self {
            format,
            second: None,
            text: String::new(),
        }
    }

    /// The time at this second after the beginning of 1970, in UTC.
    pub(super) fn at(&mut self, second: i64) -> &str {
        if self.second.replace(second) == Some(second) {
            return &self.text;
        }
        let (year, month, day) = date(second.div_euclid(SECONDS_OF_A_DAY));
        let time = second.rem_euclid(SECONDS_OF_A_DAY);
        let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
        self.text.clear();
        // Writing to a string does not fail.
        let _ = match self.format {
            AccessLogFormat::Json => write!(
                self.text,
                "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
            ),
            AccessLogFormat::Common | AccessLogFormat::Combined => {
                let month = MONTHS[month - 1];
                write!(
                    self.text,
                    "{day:02}/{month}/{year:04}:{hour:02}:{minute:02}:{second:02} +0000"
                )
            }
        };
        &self.text
    }
}

/// Year, month and day of the Gregorian calendar, this number of days after the beginning of 1970.
///
/// Counts in years that begin in March, so that a leap day comes last, and in the 400 years after
/// which the calendar repeats itself.
fn date(days: i64) -> (i64, usize, i64) {
    const DAYS_OF_400_YEARS: i64 = 146_097;
    const FROM_MARCH_OF_YEAR_0: i64 = 719_468;

    let days = days + FROM_MARCH_OF_YEAR_0;
    let cycle = days.div_euclid(DAYS_OF_400_YEARS);
    let day = days.rem_euclid(DAYS_OF_400_YEARS);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let months = (5 * day + 2) / 153;
    let day_of_month = day - (153 * months + 2) / 5 + 1;
    let (month, next_year) = if months < 10 {
        (months + 3, 0)
    } else {
        (months - 9, 1)
    };
    let year = year + cycle * 400 + next_year;
    (year, usize::try_from(month).unwrap_or(1), day_of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_have_the_same_time() {
        // From `date --utc --date=@SECONDS`.
        for (second, common, json) in [
            (0, "01/Jan/1970:00:00:00 +0000", "1970-01-01T00:00:00Z"),
            (-1, "31/Dec/1969:23:59:59 +0000", "1969-12-31T23:59:59Z"),
            (
                951_782_400,
                "29/Feb/2000:00:00:00 +0000",
                "2000-02-29T00:00:00Z",
            ),
            (
                1_709_251_199,
                "29/Feb/2024:23:59:59 +0000",
                "2024-02-29T23:59:59Z",
            ),
            (
                1_787_313_845,
                "21/Aug/2026:12:04:05 +0000",
                "2026-08-21T12:04:05Z",
            ),
            (
                4_107_542_400,
                "01/Mar/2100:00:00:00 +0000",
                "2100-03-01T00:00:00Z",
            ),
        ] {
            assert_eq!(Timestamp::new(AccessLogFormat::Common).at(second), common);
            assert_eq!(Timestamp::new(AccessLogFormat::Json).at(second), json);
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut before = date(-100_000);
        for days in -99_999..100_000 {
            let (year, month, day) = date(days);
            let follows = match before {
                (y, m, d) if d + 1 == day => (y, m) == (year, month) && day <= 31,
                (y, 12, 31) => (y + 1, 1, 1) == (year, month, day),
                (y, m, d) => d >= 28 && (y, m + 1, 1) == (year, month, day),
            };
            assert!(follows, "{before:?} {:?}", (year, month, day));
            before = (year, month, day);
        }
    }

    #[test]
    fn the_text_changes_with_the_second() {
        let mut timestamp = Timestamp::new(AccessLogFormat::Combined);
        assert_eq!(timestamp.at(58), "01/Jan/1970:00:00:58 +0000");
        assert_eq!(timestamp.at(58), "01/Jan/1970:00:00:58 +0000");
        assert_eq!(timestamp.at(59), "01/Jan/1970:00:00:59 +0000");
    }
}
