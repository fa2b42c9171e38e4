//! What a check has found, and the findings that are allowed with a reason: `xtask/exceptions.txt`.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;

use crate::command::{Failure, root};

const FILE: &str = "xtask/exceptions.txt";

/// A place that breaks a rule, with what to do.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finding {
    pub(super) file: String,
    pub(super) line: usize,
    /// `word "so many"`, `name tower-wsgi Place`: what an exception names to allow it.
    pub(super) key: String,
    /// What is wrong, and what to write instead.
    pub(super) message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)
    }
}

/// Findings that are allowed, each with its reason.
#[derive(Debug, Default)]
pub(super) struct Exceptions(Vec<Exception>);

#[derive(Debug, PartialEq)]
struct Exception {
    line: usize,
    key: String,
}

impl Exceptions {
    pub(super) fn read() -> Result<Self, Failure> {
        let text = fs::read_to_string(root().join(FILE))
            .map_err(|error| Failure(format!("cannot read {FILE}: {error}")))?;
        Self::parse(&text)
    }

    /// A line for each: `KEY: REASON`. Lines that begin with `#` are comments.
    fn parse(text: &str) -> Result<Self, Failure> {
        let lines = text.lines().map(str::trim).zip(1..);
        let entries = lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#'));
        let parsed = entries.map(|(text, line)| match text.split_once(": ") {
            Some((key, reason)) if !reason.trim().is_empty() => Ok(Exception {
                line,
                key: key.trim().to_owned(),
            }),
            _ => Err(Failure(format!(
                "{FILE}:{line}: {text:?} has no reason; write \"KEY: REASON\""
            ))),
        });
        parsed.collect::<Result<_, _>>().map(Self)
    }

    /// The findings that are not allowed, and the exceptions of the checks `kinds` that allow nothing.
    ///
    /// An exception ends with the key of a finding; a file name before it limits it to this file.
    pub(super) fn apply(&self, findings: Vec<Finding>, kinds: &[&str]) -> Vec<Finding> {
        let allows = |exception: &Exception, finding: &Finding| {
            exception.key == finding.key
                || exception.key == format!("{} {}", finding.file, finding.key)
        };
        let is_of = |exception: &Exception, kind: &str| {
            let mut words = exception.key.split(' ');
            words.any(|word| word == kind)
        };
        let unused = |exception: &&Exception| {
            kinds.iter().any(|kind| is_of(exception, kind))
                && !findings.iter().any(|finding| allows(exception, finding))
        };
        let unused: Vec<_> = self
            .0
            .iter()
            .filter(unused)
            .map(Exception::unused)
            .collect();
        findings
            .into_iter()
            .filter(|finding| !self.0.iter().any(|exception| allows(exception, finding)))
            .chain(unused)
            .collect()
    }
}

impl Exception {
    fn unused(&self) -> Finding {
        Finding {
            file: FILE.to_owned(),
            line: self.line,
            key: format!("exception {}", self.key),
            message: format!("{:?} allows nothing any more; remove the line", self.key),
        }
    }
}

/// How many findings each directory has: `crates/NAME`, `examples/NAME`, or the first part of the path.
pub(super) fn counts(findings: &[Finding]) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for finding in findings {
        let mut parts = finding.file.split('/');
        let first = parts.next().unwrap_or_default();
        let directory = match (first, parts.next()) {
            ("crates" | "examples", Some(name)) => format!("{first}/{name}"),
            _ => first.to_owned(),
        };
        *counts.entry(directory).or_default() += 1;
    }
    counts
        .iter()
        .map(|(directory, count)| format!("{directory:<28}{count:>6}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(file: &str, key: &str) -> Finding {
        Finding {
            file: file.to_owned(),
            line: 7,
            key: key.to_owned(),
            message: "wrong; write it right".to_owned(),
        }
    }

    #[test]
    fn the_list_of_the_project_is_valid() {
        Exceptions::read().expect("each line has a reason");
    }

    #[test]
    fn an_exception_without_a_reason_is_refused() {
        assert!(Exceptions::parse("word \"so many\"\n").is_err());
        assert!(Exceptions::parse("word \"so many\": \n").is_err());
    }

    #[test]
    fn an_exception_allows_everywhere_or_in_one_file() {
        let exceptions = "name a B: two platforms\nsrc/x.rs word \"so\": a quotation\n";
        let exceptions = Exceptions::parse(exceptions).expect("it is valid");
        let findings = vec![
            finding("src/x.rs", "name a B"),
            finding("src/x.rs", "word \"so\""),
            finding("src/y.rs", "word \"so\""),
        ];
        let left = exceptions.apply(findings, &["name", "word"]);
        assert_eq!(left, [finding("src/y.rs", "word \"so\"")]);
    }

    #[test]
    fn an_exception_that_allows_nothing_is_found_by_its_own_check() {
        let exceptions =
            Exceptions::parse("# Names\nname a B: two platforms\n").expect("it is valid");
        assert_eq!(exceptions.apply(Vec::new(), &["word"]), []);
        let left = exceptions.apply(Vec::new(), &["name"]);
        assert_eq!(
            left[0].to_string(),
            "xtask/exceptions.txt:2: \"name a B\" allows nothing any more; remove the line"
        );
    }

    #[test]
    fn findings_are_counted_by_crate() {
        let findings =
            ["crates/a/src/x.rs", "crates/a/y.md", "docs/z.md"].map(|file| finding(file, "k"));
        let counts = counts(&findings);
        let rows: Vec<Vec<&str>> = counts
            .lines()
            .map(|row| row.split_whitespace().collect())
            .collect();
        assert_eq!(rows, [["crates/a", "2"], ["docs", "1"]]);
    }
}
