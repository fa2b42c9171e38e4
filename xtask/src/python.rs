//! The step `python`: the Python package, built, checked and tested in a virtual environment of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::browser;
use crate::command::{Failure, root, run as run_command};
use crate::interpreter;
use crate::test;
use crate::workspace::Workspace;

/// Where the package lies in the workspace.
const PACKAGE: &str = "crates/tower-wsgi-python";

/// What else is written in Python, seen from the package.
const EXAMPLES: &str = "../../examples/python";

pub(crate) fn run() -> Result<(), Failure> {
    let target = Workspace::read()?.target_directory().to_owned();
    let environment = Environment::at(target.join("python"))?;
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
    environment.run("pytest", |pytest| {
        // Where these programs are, and where the sources of others' tests are kept.
        pytest.env("CARGO_TARGET_DIR", &target);
    })
}

/// A virtual environment.
struct Environment {
    directory: PathBuf,
    interpreter: &'static Path,
}

impl Environment {
    fn at(directory: PathBuf) -> Result<Self, Failure> {
        interpreter::set_up()?;
        let interpreter = interpreter::chosen()
            .ok_or_else(|| Failure("there is no CPython to test with".to_owned()))?;
        Ok(Self {
            directory,
            interpreter,
        })
    }

    /// Makes the environment with what `requirements` lists, unless it was made with the same before.
    fn install(&self, requirements: &Path) -> Result<(), Failure> {
        let listed = fs::read_to_string(requirements)
            .map_err(|error| Failure(format!("cannot read {}: {error}", requirements.display())))?;
        let made_with = format!("# {}\n{listed}", self.interpreter.display());
        let note = self.directory.join("made-with.txt");
        if fs::read_to_string(&note).is_ok_and(|before| before == made_with) {
            return Ok(());
        }
        let mut venv = Command::new(self.interpreter);
        venv.args(["-m", "venv", "--clear"]).arg(&self.directory);
        run_command(venv)?;
        self.run("python", |python| {
            python
                .args(["-m", "pip", "install", "--disable-pip-version-check"])
                .arg("--requirement")
                .arg(requirements);
        })?;
        // Last: what was interrupted is made again.
        fs::write(&note, made_with)
            .map_err(|error| Failure(format!("cannot write {}: {error}", note.display())))
    }

    /// Runs a program of the environment in the package's directory.
    fn run(&self, program: &str, arguments: impl FnOnce(&mut Command)) -> Result<(), Failure> {
        let mut command = Command::new(self.directory.join("bin").join(program));
        command
            .current_dir(root().join(PACKAGE))
            .env("VIRTUAL_ENV", &self.directory)
            // maturin names the environment's interpreter itself.
            .env_remove(interpreter::VARIABLE);
        arguments(&mut command);
        run_command(command)
    }
}
