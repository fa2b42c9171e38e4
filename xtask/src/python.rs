//! The step `python`: the Python package, built, checked and tested in a virtual environment of its own.

use std::path::Path;

use crate::browser;
use crate::command::{Failure, root, run_allowing};
use crate::environment::{Environment, PACKAGE};
use crate::interpreter;
use crate::suite::{Flaky, Notes, Report, Verdict, judge};
use crate::test;
use crate::workspace::Workspace;

/// What else is written in Python, seen from the package.
const EXAMPLES: &str = "../../examples/python";

/// pytest's exit code when tests failed. It has others for everything else.
const TESTS_FAILED: i32 = 1;

pub(crate) fn run() -> Result<Verdict, Failure> {
    let target = Workspace::read()?.target_directory().to_owned();
    interpreter::set_up()?;
    let interpreter = interpreter::chosen()
        .ok_or_else(|| Failure("there is no CPython to test with".to_owned()))?;
    let environment = Environment::new(target.join("python"), interpreter);
    environment.install(&root().join(PACKAGE).join("tests/requirements.txt"))?;
    environment.run("maturin", |maturin| {
        // As the tests of the workspace, so that most of what they have built serves here, too.
        maturin.args(["develop", "--profile", "dev"]);
    })?;
    environment.run("ruff", |ruff| {
        ruff.args(["check", ".", EXAMPLES]);
    })?;
    environment.run("ruff", |ruff| {
        ruff.args(["format", "--check", ".", EXAMPLES]);
    })?;
    environment.run("mypy", |_| {})?;
    browser::set_up()?;
    // Some tests start a program that has Python in it.
    test::build_programs()?;
    let flaky = Flaky::read()?;
    let notes = Notes::new(&target)?;
    let report = pytest(&environment, &target, &notes, &[])?;
    let skipped = notes.skipped();
    let alone = |name: &str| {
        let notes = Notes::new(&target)?;
        pytest(&environment, &target, &notes, &[name])
    };
    Ok(Verdict {
        repeated: judge(&report, &flaky, alone)?,
        skipped,
    })
}

/// Runs pytest. An error means that it crashed, or that no test says why it failed.
fn pytest(
    environment: &Environment,
    target: &Path,
    notes: &Notes,
    tests: &[&str],
) -> Result<Report, Failure> {
    let command = environment.command("pytest", |pytest| {
        // Where the programs are, and where the sources of others' tests are kept.
        pytest
            .arg("--cache-clear")
            .args(tests)
            .env("CARGO_TARGET_DIR", target);
        notes.tell(pytest);
    });
    run_allowing(command, |code| code == TESTS_FAILED)?;
    let report = notes.report();
    report.ok_or_else(|| Failure("pytest does not say how its tests ended".to_owned()))
}
