//! Starts other programs, and describes their failures.

use std::env;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::interpreter;

/// Why a task failed, as one sentence.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

/// Cargo, in the root of the workspace, with `args` separated by spaces. PyO3 builds for the same CPython each time.
pub(crate) fn cargo(args: &str) -> Command {
    // Cargo sets this for what it runs, so a toolchain chosen by `cargo +name` stays the same.
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.args(args.split_whitespace()).current_dir(root());
    interpreter::with_interpreter(command)
}

/// Runs `command` to its end, with its output unchanged.
pub(crate) fn run(command: Command) -> Result<(), Failure> {
    run_allowing(command, |_| false)
}

/// As [`run`]; exit codes that are `allowed` are no failure either.
pub(crate) fn run_allowing(
    mut command: Command,
    allowed: impl FnOnce(i32) -> bool,
) -> Result<(), Failure> {
    let line = line(&command);
    println!("$ {line}");
    match command.status() {
        Ok(status) if status.success() || status.code().is_some_and(allowed) => Ok(()),
        Ok(status) => Err(Failure(format!("`{line}` ended with {status}"))),
        Err(error) => Err(Failure(format!("`{line}` could not be started: {error}"))),
    }
}

/// Runs `command` to its end, with its output unchanged, and passes each line of it to `reader`.
pub(crate) fn run_and_read(
    mut command: Command,
    mut reader: impl FnMut(&str),
) -> Result<(), Failure> {
    let line = line(&command);
    println!("$ {line}");
    let not_started = |error| Failure(format!("`{line}` could not be started: {error}"));
    // One pipe for both, so that the lines keep their order.
    let (output, writer) = io::pipe().map_err(not_started)?;
    let stderr = writer.try_clone().map_err(not_started)?;
    command.stdout(writer).stderr(stderr);
    let mut child = command.spawn().map_err(not_started)?;
    // It holds the pipe's other end: without it, the output ends with the child's.
    drop(command);
    let mut stdout = io::stdout();
    for line in BufReader::new(output).split(b'\n') {
        let Ok(line) = line else { break };
        let line = String::from_utf8_lossy(&line);
        let _ = writeln!(stdout, "{line}");
        reader(&line);
    }
    match child.wait() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure(format!("`{line}` ended with {status}"))),
        Err(error) => Err(Failure(format!(
            "`{line}` could not be waited for: {error}"
        ))),
    }
}

/// Runs `command` to its end and gives what it wrote to its standard output.
pub(crate) fn output(mut command: Command) -> Result<Vec<u8>, Failure> {
    let line = line(&command);
    match command.output() {
        Ok(output) if output.status.success() => Ok(output.stdout),
        Ok(output) => Err(Failure(format!(
            "`{line}` ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        ))),
        Err(error) => Err(Failure(format!("`{line}` could not be started: {error}"))),
    }
}

/// The directory with the workspace's `Cargo.toml`.
pub(crate) fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// Whether the program is on the path, or in the directory of Debian's servers, which is only on root's path.
pub(crate) fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let directories = env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let mut files = directories.map(|directory| directory.join(program));
    files.any(|file| file.is_file())
}

/// The command as a person would type it.
fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut line = program
        .file_name()
        .unwrap_or(program.as_os_str())
        .display()
        .to_string();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.display().to_string());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_success_passes() {
        run(Command::new("true")).expect("`true` succeeds");
    }

    #[test]
    fn a_failure_names_the_command_and_its_status() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "exit 3"]);
        let Failure(sentence) = run(command).expect_err("it ends with 3");
        assert_eq!(sentence, "`sh -c exit 3` ended with exit status: 3");
    }

    #[test]
    fn the_lines_of_both_outputs_are_read_in_order() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; echo two >&2; echo three; exit 3"]);
        let mut lines = Vec::new();
        let end = run_and_read(command, |line| lines.push(line.to_owned()));
        assert_eq!(lines, ["one", "two", "three"]);
        let Failure(sentence) = end.expect_err("it ends with 3");
        assert!(
            sentence.ends_with("ended with exit status: 3"),
            "{sentence}"
        );
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let Failure(sentence) = run(Command::new("no-such-program")).expect_err("it is not there");
        assert!(
            sentence.starts_with("`no-such-program` could not be started: "),
            "{sentence}"
        );
    }

    #[test]
    fn programs_are_found_on_the_path() {
        assert!(is_installed("sh"));
        assert!(!is_installed("no-such-program"));
    }

    #[test]
    fn a_failed_output_says_what_the_program_said() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo because >&2; exit 1"]);
        let Failure(sentence) = output(command).expect_err("it ends with 1");
        assert!(sentence.ends_with("exit status: 1: because"), "{sentence}");
    }
}
