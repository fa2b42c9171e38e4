//! The units of durations, sizes and modes: one parser for all sources of settings, and the same form in errors.

use std::{fmt, time::Duration};

/// The units of durations, in milliseconds.
const TIMES: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// The units of sizes, in bytes.
const SIZES: [(&str, u64); 3] = [("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)];

/// Parses a duration: seconds, as in `30` or `0.5`, or a number with a unit, as in `500ms`, `30s`, `5m` or
/// `1h`. A clap `value_parser` for a program's own options.
///
/// # Errors
///
/// When the text is of another form, or too large.
pub fn duration(text: &str) -> Result<Duration, String> {
    let end = text.find(|c: char| c.is_ascii_alphabetic());
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let unit = TIMES.iter().find(|(name, _)| unit == *name);
    let milliseconds = match (unit, end) {
        (Some((_, milliseconds)), _) => Some(*milliseconds),
        (None, None) => Some(1000),
        (None, Some(_)) => None,
    };
    // `f64` would also take a sign, an exponent, `inf` and `nan`.
    let is_plain = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let number = number.parse::<f64>().ok().filter(|_| is_plain);
    milliseconds
        .zip(number)
        .and_then(|(unit, number)| Duration::try_from_secs_f64(number * unit as f64 / 1000.0).ok())
        .ok_or_else(|| {
            "expected a duration: seconds, or a number with ms, s, m or h, such as 500ms, 30s, \
             5m or 1h"
                .to_owned()
        })
}

/// Parses a size: bytes, as in `1048576`, or a number with a unit, as in `16K`, `10M` or `2G`, which are powers
/// of 1024. A clap `value_parser` for a program's own options.
///
/// # Errors
///
/// When the text is of another form, or too large.
pub fn size(text: &str) -> Result<u64, String> {
    let end = text.find(|c: char| c.is_ascii_alphabetic());
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let letter = unit.strip_suffix("iB").unwrap_or(unit);
    let unit = SIZES
        .iter()
        .find(|(name, _)| letter.eq_ignore_ascii_case(name));
    let factor = match (unit, end) {
        (Some((_, factor)), _) => Some(*factor),
        (None, None) => Some(1),
        (None, Some(_)) => None,
    };
    // `u64` would also take a sign.
    let is_plain = number.bytes().all(|b| b.is_ascii_digit());
    let number = number.parse::<u64>().ok().filter(|_| is_plain);
    factor
        .zip(number)
        .and_then(|(factor, number)| number.checked_mul(factor))
        .ok_or_else(|| {
            "expected a size: bytes, or a whole number with K, M or G, such as 16K, 10M or 2G"
                .to_owned()
        })
}

/// Parses permissions in octal, as in `027` or `660`. A clap `value_parser` for a program's own options.
///
/// # Errors
///
/// When the text is no octal number.
pub fn mode(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let is_plain = digits.bytes().all(|b| b.is_ascii_digit());
    u32::from_str_radix(digits, 8)
        .ok()
        .filter(|_| is_plain)
        .ok_or_else(|| "expected an octal number, such as 027".to_owned())
}

/// A duration in the largest unit that is exact.
pub(crate) struct ShowDuration(pub(crate) Duration);

impl fmt::Display for ShowDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let is_whole = Duration::from_millis(milliseconds) == self.0;
        let fits = |(_, unit): &&(&str, u64)| milliseconds.is_multiple_of(*unit);
        match TIMES.iter().find(fits) {
            Some((name, unit)) if is_whole && milliseconds > 0 => {
                write!(f, "{}{name}", milliseconds / unit)
            }
            _ => write!(f, "{}s", self.0.as_secs_f64()),
        }
    }
}

/// A size in the largest unit that is exact.
pub(crate) struct ShowSize(pub(crate) u64);

impl fmt::Display for ShowSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, unit): &&(&str, u64)| self.0 > 0 && self.0.is_multiple_of(*unit);
        match SIZES.iter().find(fits) {
            Some((name, unit)) => write!(f, "{}{name}", self.0 / unit),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, milliseconds) in [
            ("30", 30_000),
            ("0.5", 500),
            ("0", 0),
            ("500ms", 500),
            ("30s", 30_000),
            ("1.5s", 1500),
            ("5m", 300_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(
                duration(text),
                Ok(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
        for text in [
            "",
            "s",
            "-1",
            "+1",
            "1e3",
            "inf",
            "nan",
            "1 s",
            " 1",
            "1S",
            "1d",
            "5min",
            "1h30m",
            "1.2.3",
            "10M",
            "99999999999999999999h",
        ] {
            assert!(
                duration(text).unwrap_err().contains("such as 500ms"),
                "{text}"
            );
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("1048576", 1 << 20),
            ("0", 0),
            ("16K", 16 << 10),
            ("16k", 16 << 10),
            ("64KiB", 64 << 10),
            ("10M", 10 << 20),
            ("10m", 10 << 20),
            ("512MiB", 512 << 20),
            ("2G", 2 << 30),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        // `KB` could be a thousand bytes or 1024.
        for text in [
            "",
            "K",
            "-1",
            "+1",
            "1.5G",
            "1 M",
            "10KB",
            "10B",
            "1T",
            "99999999999G",
            "10s",
            "KiB",
        ] {
            assert!(size(text).unwrap_err().contains("such as 16K"), "{text}");
        }
    }

    #[test]
    fn modes() {
        assert_eq!((mode("027"), mode("0o660")), (Ok(0o27), Ok(0o660)));
        for text in ["", "8", "+7", "-7", "0x7", "rw"] {
            assert!(mode(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_shown_can_be_written() {
        for text in ["500ms", "30s", "5m", "1h", "24h", "1ms"] {
            assert_eq!(ShowDuration(duration(text).unwrap()).to_string(), text);
        }
        assert_eq!(ShowDuration(Duration::ZERO).to_string(), "0s");
        assert_eq!(
            ShowDuration(Duration::from_micros(1)).to_string(),
            "0.000001s"
        );
        for text in ["16K", "10M", "1G"] {
            assert_eq!(ShowSize(size(text).unwrap()).to_string(), text);
        }
        assert_eq!(ShowSize(100).to_string(), "100 bytes");
    }
}
