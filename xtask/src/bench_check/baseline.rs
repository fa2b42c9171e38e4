//! The file with the counts, as text, so that its changes can be reviewed.

use std::collections::BTreeMap;
use std::fmt;
use std::process::Command;

use crate::command::{Failure, output};
use crate::interpreter;

const HEADING: &str = "# Instructions of 100 calls of each hot path, written by `cargo xtask bench-check --save` with\n";

/// By name.
pub(super) type Counts = BTreeMap<String, u64>;

#[derive(Debug, PartialEq)]
pub(super) struct Baseline {
    pub(super) toolchain: Toolchain,
    pub(super) counts: Counts,
}

/// The versions on which the counts depend, beside the code.
#[derive(Debug, PartialEq)]
pub(super) struct Toolchain(String);

impl Toolchain {
    pub(super) fn read() -> Result<Self, Failure> {
        let mut c_library = Command::new("getconf");
        c_library.arg("GNU_LIBC_VERSION");
        let mut rustc = Command::new("rustc");
        rustc.arg("--version");
        let mut python = Command::new(interpreter::chosen().unwrap_or("python3".as_ref()));
        python.arg("--version");
        let versions = [rustc, c_library, python].map(|command| {
            let version = output(command)?;
            Ok(String::from_utf8_lossy(&version).trim().to_owned())
        });
        let versions: Result<Vec<_>, Failure> = versions.into_iter().collect();
        let architecture = std::env::consts::ARCH;
        Ok(Self(format!("{}, {architecture}", versions?.join(", "))))
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Baseline {
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let broken = |line: &str| {
            Failure(format!(
                "benches/baseline.txt has no name and count in the line {line:?}: write it with `cargo xtask bench-check \
                 --save`"
            ))
        };
        let text = text.strip_prefix(HEADING).unwrap_or(text);
        let (toolchain, counts) = text.split_once('\n').ok_or_else(|| broken(text))?;
        let count = |line: &str| {
            let (name, count) = line.rsplit_once(' ').ok_or_else(|| broken(line))?;
            let count = count.parse().map_err(|_| broken(line))?;
            Ok((name.trim_end().to_owned(), count))
        };
        Ok(Self {
            toolchain: Toolchain(toolchain.trim_start_matches("# ").to_owned()),
            counts: counts.lines().map(count).collect::<Result<_, _>>()?,
        })
    }
}

/// The whole file.
impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADING}# {}", self.toolchain)?;
        let width = self.counts.keys().map(String::len).max().unwrap_or(0);
        for (name, count) in &self.counts {
            writeln!(f, "{name:<width$} {count:>10}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let baseline = Baseline {
            toolchain: Toolchain("rustc 1.95.0, glibc 2.36".to_owned()),
            counts: [("handler.service", 123_456), ("wsgi", 7)]
                .map(|(name, count)| (name.to_owned(), count))
                .into(),
        };
        let text = baseline.to_string();
        assert_eq!(Baseline::parse(&text).expect("it is valid"), baseline);
    }

    #[test]
    fn a_line_without_a_count_is_named() {
        let text = format!("{HEADING}# rustc\nhandler.service many\n");
        let Failure(sentence) = Baseline::parse(&text).expect_err("it is no number");
        assert!(sentence.contains(r#""handler.service many""#), "{sentence}");
    }
}
