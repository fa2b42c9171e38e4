//! The notes that tests write for the end of the run: which were skipped, and in pytest which failed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Report;
use crate::command::Failure;

/// The variable that names the file, for the tests.
const VARIABLE: &str = "TEST_NOTES";

/// A file with a line for each note: `WHAT<tab>NAME<tab>REASON`.
#[derive(Debug)]
pub(crate) struct Notes {
    file: PathBuf,
}

impl Notes {
    /// An empty file in `directory`.
    pub(crate) fn new(directory: &Path) -> Result<Self, Failure> {
        let file = directory.join("test-notes.txt");
        fs::create_dir_all(directory)
            .and_then(|()| fs::write(&file, ""))
            .map_err(|error| Failure(format!("cannot write {}: {error}", file.display())))?;
        Ok(Self { file })
    }

    /// Passes the path of the file to the tests that `command` runs.
    pub(crate) fn tell(&self, command: &mut Command) {
        command.env(VARIABLE, &self.file);
    }

    /// The tests that were skipped, each with its reason.
    pub(crate) fn skipped(&self) -> Vec<String> {
        let notes = self.read();
        let skipped = entries(&notes, "skipped");
        skipped
            .map(|(name, reason)| format!("{name}: {reason}"))
            .collect()
    }

    /// The notes of pytest, if it has run to its end and reported each failure.
    pub(crate) fn report(&self) -> Option<Report> {
        let notes = self.read();
        let (passed, code) = entries(&notes, "ended").next()?;
        let failed = entries(&notes, "failed");
        let failed: Vec<_> = failed.map(|(name, _)| name.to_owned()).collect();
        let told = code == "0" || !failed.is_empty();
        told.then_some(Report {
            passed: passed.parse().ok()?,
            failed,
            crashed: Vec::new(),
        })
    }

    fn read(&self) -> String {
        fs::read_to_string(&self.file).unwrap_or_default()
    }
}

/// The names and reasons of the lines that begin with `what`.
fn entries<'a>(notes: &'a str, what: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    notes.lines().filter_map(move |line| {
        let mut parts = line.splitn(3, '\t');
        let begins = parts.next() == Some(what);
        begins.then(|| {
            (
                parts.next().unwrap_or_default(),
                parts.next().unwrap_or_default(),
            )
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes(text: &str) -> (tempfile::TempDir, Notes) {
        let directory = tempfile::tempdir().expect("a directory");
        let notes = Notes::new(directory.path()).expect("a file");
        fs::write(&notes.file, text).expect("it is written");
        (directory, notes)
    }

    #[test]
    fn skips_have_a_name_and_a_reason() {
        let (_directory, notes) = notes("skipped\ta::b\tonly root can\nfailed\tc\t\n");
        assert_eq!(notes.skipped(), ["a::b: only root can"]);
    }

    #[test]
    fn a_run_that_has_not_ended_has_no_report() {
        let (_directory, without) = notes("failed\tc\t\n");
        assert_eq!(without.report(), None);
        let (_directory, with) = notes("failed\tc\t\nended\t7\t1\n");
        let report = with.report().expect("it has ended");
        assert_eq!((report.passed, report.failed), (7, vec!["c".to_owned()]));
    }

    #[test]
    fn a_run_that_does_not_say_what_failed_has_no_report() {
        let (_directory, silent) = notes("ended\t7\t1\n");
        assert_eq!(silent.report(), None);
        let (_directory, passes) = notes("ended\t7\t0\n");
        assert!(passes.report().is_some());
    }

    #[test]
    fn a_new_run_begins_with_an_empty_file() {
        let (directory, _) = notes("skipped\ta\tb\n");
        let notes = Notes::new(directory.path()).expect("a file");
        assert!(notes.skipped().is_empty());
    }
}
