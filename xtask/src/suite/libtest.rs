//! Reads what `cargo test` prints.

use super::Report;

/// Reads the output of `cargo test --no-fail-fast` line by line.
#[derive(Debug, Default)]
pub(crate) struct Libtest {
    report: Report,
    /// The program whose tests run.
    program: Option<String>,
    names: Names,
}

/// Where the lines are, in the list of the tests that failed.
#[derive(Debug, Default)]
enum Names {
    #[default]
    Outside,
    /// In the list. There are two: the first has what the tests printed, the last has just their names.
    Listed(Vec<String>),
}

impl Libtest {
    /// Takes the next line.
    pub(crate) fn line(&mut self, line: &str) {
        let text = line.trim();
        if text.starts_with("process didn't exit successfully: ") && text.contains("(signal: ") {
            // Perhaps after its last test.
            self.program = None;
            self.report.crashed.push(text.to_owned());
        } else if let Some(program) = started(line) {
            self.end_program();
            self.program = Some(program.to_owned());
        } else if text == "failures:" {
            self.names = Names::Listed(Vec::new());
        } else if let Some(result) = text.strip_prefix("test result: ") {
            if let Names::Listed(names) = std::mem::take(&mut self.names) {
                self.report.failed.extend(names);
            }
            self.report.passed += passed(result);
            self.program = None;
        } else if let Names::Listed(names) = &mut self.names {
            match line.strip_prefix("    ") {
                Some(name) if !name.starts_with(' ') => names.push(name.trim_end().to_owned()),
                // What the tests printed is no list of names; that follows.
                _ if !text.is_empty() => self.names = Names::Outside,
                _ => {}
            }
        }
    }

    /// The output has ended.
    pub(crate) fn end(mut self) -> Report {
        self.end_program();
        self.report
    }

    fn end_program(&mut self) {
        self.report.crashed.extend(self.program.take());
        self.names = Names::Outside;
    }
}

/// The program that a line of cargo names: `Running unittests src/lib.rs (target/debug/deps/app-1f)`, `Doc-tests app`.
fn started(line: &str) -> Option<&str> {
    let line = line.trim_start();
    if let Some(package) = line.strip_prefix("Doc-tests ") {
        return Some(package);
    }
    let (_, program) = line.strip_prefix("Running ")?.rsplit_once('(')?;
    program.strip_suffix(')')
}

/// How many tests passed: `ok. 3 passed; 0 failed; …`.
fn passed(result: &str) -> usize {
    let words: Vec<_> = result.split_whitespace().collect();
    let at = words.iter().position(|word| *word == "passed;");
    let number = at.and_then(|at| words.get(at.checked_sub(1)?));
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Report {
        let mut libtest = Libtest::default();
        text.lines().for_each(|line| libtest.line(line));
        libtest.end()
    }

    const PASSES: &str = "
     Running unittests src/lib.rs (target/debug/deps/app-1f)

running 2 tests
test a::one ... ok
test a::two ... ok

test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s
";

    const FAILS: &str = "
     Running tests/whole.rs (target/debug/deps/whole-2e)

running 2 tests
test one ... ok
test part::two ... FAILED

failures:

---- part::two stdout ----
thread 'part::two' panicked at tests/whole.rs:9:
    an indented line of a message

failures:
    part::two

test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s
";

    const CRASHES: &str = "
   Doc-tests app

running 1 test
error: doctest failed, to rerun pass `-p app --doc`
";

    #[test]
    fn tests_that_pass_are_counted() {
        let report = read(PASSES);
        assert_eq!((report.passed, report.failed.len()), (2, 0));
        assert!(report.crashed.is_empty());
    }

    #[test]
    fn tests_that_fail_are_named_once() {
        let report = read(&format!("{FAILS}{PASSES}"));
        assert_eq!(report.passed, 3);
        assert_eq!(report.failed, ["part::two"]);
        assert!(report.crashed.is_empty());
    }

    #[test]
    fn a_program_without_a_result_has_crashed() {
        assert_eq!(read(&format!("{CRASHES}{PASSES}")).crashed, ["app"]);
        assert_eq!(read(&format!("{PASSES}{CRASHES}")).crashed, ["app"]);
        let crashed = PASSES.replace("test result", "nothing more");
        assert_eq!(read(&crashed).crashed, ["target/debug/deps/app-1f"]);
    }

    #[test]
    fn a_program_that_a_signal_ends_has_crashed_once() {
        let signal = "  process didn't exit successfully: `whole` (signal: 11, SIGSEGV)";
        for output in [FAILS, &CRASHES.replace("Doc-tests app", "Running x.rs (x)")] {
            assert_eq!(read(&format!("{output}{signal}")).crashed, [signal.trim()]);
        }
    }
}
