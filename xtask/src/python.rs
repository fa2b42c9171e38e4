//! The step `python`: builds, checks and tests the Python package in a virtual environment.

use std::path::Path;

use crate::browser;
use crate::command::{Failure, root, run_allowing};
use crate::environment::{Environment, PACKAGE};
use crate::interpreter;
use crate::suite::{Flaky, Notes, Report, Verdict, judge};
use crate::test;
use crate::workspace::Workspace;

/// Other directories with Python code, relative to the package.
const EXAMPLES: &str = "../../examples/python";

/// pytest's exit code if tests failed; other errors have other codes.
const TESTS_FAILED: i32 = 1;

pub(crate) fn run() -> Result<Verdict, Failure> {
    let target = Workspace::read()?.target_directory().to_owned();
    interpreter::set_up()?;
    let interpreter = interpreter::chosen()
        .ok_or_else(|| Failure("there is no CPython to test with".to_owned()))?;
    let environment = Environment::new(target.join("python"), interpreter);
    environment.install(&root().join(PACKAGE).join("tests/requirements.txt"))?;
    environment.run("maturin", |maturin| {
        // As the tests of the workspace, so that most of their build is used again.
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
        // The directories of the programs and of the sources of other projects' tests.
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
