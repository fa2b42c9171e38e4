//! The tests that are known to fail occasionally, each with the reason: `xtask/flaky-tests.txt`.

use std::fs;

use crate::command::{Failure, root};

const FILE: &str = "xtask/flaky-tests.txt";

/// The known flakes.
#[derive(Debug, Default)]
pub(crate) struct Flaky(Vec<(String, String)>);

impl Flaky {
    pub(crate) fn read() -> Result<Self, Failure> {
        let text = fs::read_to_string(root().join(FILE))
            .map_err(|error| Failure(format!("cannot read {FILE}: {error}")))?;
        Self::parse(&text)
    }

    /// A line for each: `NAME: REASON`. Lines that begin with `#` are comments.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let lines = text.lines().map(str::trim);
        let entries = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let parsed = entries.map(|line| match line.split_once(": ") {
            Some((name, reason)) if !reason.trim().is_empty() => {
                Ok((name.trim().to_owned(), reason.trim().to_owned()))
            }
            _ => Err(Failure(format!(
                "{FILE}: {line:?} has no reason; write it as \"NAME: REASON\""
            ))),
        });
        parsed.collect::<Result<_, _>>().map(Self)
    }

    /// Why this test is known to fail occasionally; `None` if it is not.
    pub(super) fn reason(&self, name: &str) -> Option<&str> {
        let mut entries = self.0.iter();
        let entry = entries.find(|(known, _)| known == name);
        entry.map(|(_, reason)| reason.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_the_project_is_valid() {
        Flaky::read().expect("each line has a reason");
    }

    #[test]
    fn a_name_without_a_reason_is_refused() {
        assert!(Flaky::parse("# A comment.\n\nsome::test\n").is_err());
        assert!(Flaky::parse("some::test: \n").is_err());
    }

    #[test]
    fn a_name_has_its_reason() {
        let flaky = Flaky::parse("# A comment.\n\na::b: the clock\n").expect("it is valid");
        assert_eq!(flaky.reason("a::b"), Some("the clock"));
        assert_eq!(flaky.reason("a::c"), None);
    }
}
