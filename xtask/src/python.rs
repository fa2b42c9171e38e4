//! The step `python`: the Python package, built, checked and tested in a virtual environment of its own.

use crate::browser;
use crate::command::{Failure, root};
use crate::environment::{Environment, PACKAGE};
use crate::interpreter;
use crate::test;
use crate::tries::{Tries, twice};
use crate::workspace::Workspace;

/// What else is written in Python, seen from the package.
const EXAMPLES: &str = "../../examples/python";

pub(crate) fn run() -> Result<Tries, Failure> {
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
    let pytest = |arguments: &[&str]| {
        environment.run("pytest", |pytest| {
            // Where these programs are, and where the sources of others' tests are kept.
            pytest.args(arguments).env("CARGO_TARGET_DIR", &target);
        })
    };
    let failed = ["--last-failed", "--last-failed-no-failures", "none"];
    twice(|| pytest(&[]), || pytest(&failed))
}
