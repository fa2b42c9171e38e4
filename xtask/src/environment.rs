//! A virtual environment for Python programs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{Failure, root, run as run_command};
use crate::interpreter;

/// The directory of the Python package.
pub(crate) const PACKAGE: &str = "crates/tower-wsgi-python";

pub(crate) struct Environment {
    directory: PathBuf,
    interpreter: PathBuf,
}

impl Environment {
    pub(crate) fn new(directory: PathBuf, interpreter: &Path) -> Self {
        Self {
            directory,
            interpreter: interpreter.to_owned(),
        }
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Creates the environment with the packages in `requirements`, unless it exists with the same packages.
    pub(crate) fn install(&self, requirements: &Path) -> Result<(), Failure> {
        self.make(requirements, |_| {
            self.pip(&["--requirement".as_ref(), requirements])
        })
    }

    /// The same, but a package that cannot be installed is named and left out.
    pub(crate) fn install_what_can_be(&self, requirements: &Path) -> Result<(), Failure> {
        self.make(requirements, |listed| {
            if self.pip(&["--requirement".as_ref(), requirements]).is_ok() {
                return Ok(());
            }
            println!("Not all of them can be installed: one by one.");
            for requirement in listed_in(listed) {
                if let Err(Failure(problem)) = self.pip(&[requirement.as_ref()]) {
                    println!("Left out: {problem}.");
                }
            }
            Ok(())
        })
    }

    /// Runs a program of the environment in the package's directory.
    pub(crate) fn run(
        &self,
        program: &str,
        arguments: impl FnOnce(&mut Command),
    ) -> Result<(), Failure> {
        run_command(self.command(program, arguments))
    }

    /// A program of the environment, to run in the package's directory.
    pub(crate) fn command(&self, program: &str, arguments: impl FnOnce(&mut Command)) -> Command {
        let mut command = Command::new(self.directory.join("bin").join(program));
        command
            .current_dir(root().join(PACKAGE))
            .env("VIRTUAL_ENV", &self.directory)
            // maturin names the environment's interpreter itself.
            .env_remove(interpreter::VARIABLE);
        arguments(&mut command);
        command
    }

    fn make(
        &self,
        requirements: &Path,
        install: impl FnOnce(&str) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let listed = fs::read_to_string(requirements)
            .map_err(|error| Failure(format!("cannot read {}: {error}", requirements.display())))?;
        let made_with = format!("# {}\n{listed}", self.interpreter.display());
        let note = self.directory.join("made-with.txt");
        if fs::read_to_string(&note).is_ok_and(|before| before == made_with) {
            return Ok(());
        }
        let mut venv = Command::new(&self.interpreter);
        venv.args(["-m", "venv", "--clear"]).arg(&self.directory);
        run_command(venv)?;
        install(&listed)?;
        // Last, so that an interrupted run begins again.
        fs::write(&note, made_with)
            .map_err(|error| Failure(format!("cannot write {}: {error}", note.display())))
    }

    fn pip(&self, arguments: &[&Path]) -> Result<(), Failure> {
        self.run("python", |python| {
            python
                .args(["-m", "pip", "install", "--disable-pip-version-check"])
                .args(arguments);
        })
    }
}

/// The requirements in the text of such a file.
fn listed_in(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_no_requirements() {
        let listed: Vec<_> = listed_in("# The first.\na==1\n\nb==2\n").collect();
        assert_eq!(listed, ["a==1", "b==2"]);
    }
}
