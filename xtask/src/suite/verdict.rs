//! Whether a suite passes: nothing crashed, and each test that failed is a known flake that passes alone.

use super::Flaky;
use crate::command::Failure;

/// The result of one run of a suite.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Report {
    pub(crate) passed: usize,
    /// The names of the tests that failed.
    pub(crate) failed: Vec<String>,
    /// The programs that ended before they had reported all of their tests.
    pub(crate) crashed: Vec<String>,
}

/// Remarks on a suite that passes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Verdict {
    /// Known flakes that failed, and passed when they ran alone.
    pub(crate) repeated: Vec<String>,
    /// Tests that could not run on this machine, each with the reason.
    pub(crate) skipped: Vec<String>,
}

/// Judges the run of a suite. `alone` runs one test again, by its name, with nothing beside it.
pub(crate) fn judge(
    report: &Report,
    flaky: &Flaky,
    alone: impl Fn(&str) -> Result<Report, Failure>,
) -> Result<Vec<String>, Failure> {
    if !report.crashed.is_empty() {
        return Err(Failure(format!("crashed: {}", report.crashed.join(", "))));
    }
    let unknown: Vec<_> = report
        .failed
        .iter()
        .filter(|name| flaky.reason(name).is_none())
        .map(String::as_str)
        .collect();
    if !unknown.is_empty() {
        return Err(Failure(format!(
            "{} failed: {}",
            count(unknown.len(), "test"),
            unknown.join(", ")
        )));
    }
    for name in &report.failed {
        let reason = flaky.reason(name).unwrap_or_default();
        println!("\nFAILED: {name}, a known flake ({reason}). It runs again, alone:");
        let again = alone(name)?;
        if again.passed == 0 || !again.failed.is_empty() || !again.crashed.is_empty() {
            return Err(Failure(format!("the known flake {name} failed twice")));
        }
    }
    Ok(report.failed.clone())
}

/// "1 test", "2 tests".
pub(crate) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Flaky {
        Flaky::parse("races::first: two clocks\n").expect("the list is valid")
    }

    fn failing(names: &[&str]) -> Report {
        Report {
            passed: 9,
            failed: names.iter().map(ToString::to_string).collect(),
            crashed: Vec::new(),
        }
    }

    fn never(name: &str) -> Result<Report, Failure> {
        panic!("{name} ran again")
    }

    fn passes(_: &str) -> Result<Report, Failure> {
        Ok(Report {
            passed: 1,
            ..Report::default()
        })
    }

    #[test]
    fn a_suite_without_failures_passes() {
        assert_eq!(judge(&failing(&[]), &known(), never).unwrap().len(), 0);
    }

    #[test]
    fn a_test_that_is_no_known_flake_fails_the_suite_at_once() {
        let report = failing(&["races::first", "other"]);
        let Failure(sentence) = judge(&report, &known(), never).unwrap_err();
        assert_eq!(sentence, "1 test failed: other");
    }

    #[test]
    fn a_known_flake_that_passes_alone_is_reported() {
        let report = failing(&["races::first"]);
        let repeated = judge(&report, &known(), passes).unwrap();
        assert_eq!(repeated, ["races::first"]);
    }

    #[test]
    fn a_known_flake_that_fails_twice_fails_the_suite() {
        let report = failing(&["races::first"]);
        let fails = |_: &str| Ok(failing(&["races::first"]));
        let Failure(sentence) = judge(&report, &known(), fails).unwrap_err();
        assert_eq!(sentence, "the known flake races::first failed twice");
    }

    #[test]
    fn a_second_run_that_runs_nothing_fails_the_suite() {
        let report = failing(&["races::first"]);
        assert!(judge(&report, &known(), |_| Ok(Report::default())).is_err());
    }

    #[test]
    fn a_crash_fails_the_suite_whatever_failed() {
        let mut report = failing(&["races::first"]);
        report.crashed.push("target/debug/deps/app".to_owned());
        let Failure(sentence) = judge(&report, &known(), passes).unwrap_err();
        assert_eq!(sentence, "crashed: target/debug/deps/app");
    }
}
