//! `cargo xtask test`: the steps, their order and their times.

use std::fmt::Write;
use std::time::{Duration, Instant};

use clap::ValueEnum;

use crate::command::{Failure, cargo, run as run_command, run_and_read};
use crate::suite::{Flaky, Libtest, Notes, Report, Verdict, judge};
use crate::workspace::Workspace;
use crate::{house, programs, python, setup};

#[derive(clap::Args)]
pub(crate) struct TestArgs {
    /// Runs only this step; may be repeated. Steps keep their order
    #[arg(long, value_name = "STEP")]
    only: Vec<Step>,
}

/// One step. They run in this order, quick ones first.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum Step {
    /// rustfmt, clippy, a C compiler and CPython are installed (missing Debian packages are installed if allowed)
    Setup,
    /// `cargo fmt` would change nothing
    Fmt,
    /// code, documentation and messages have no phrase of `xtask/words.txt`
    Words,
    /// crates and modules use only those below them, type names are unique in a crate, each file says what it is for,
    /// each published crate has its README and metadata, and documents name files that exist
    House,
    /// clippy has no warning, on all targets with all features
    Clippy,
    /// rustdoc has no warning
    Doc,
    /// the unit, integration and doc tests pass; builds the programs first, because the tests start them
    Test,
    /// the Python package builds, ruff and mypy find nothing, and its tests pass
    Python,
    /// each published library builds without a warning with no feature, and with each feature alone
    Features,
    /// the micro-benchmarks compile and run once, without measuring
    Bench,
}

impl Step {
    pub(crate) const ALL: [Self; 10] = [
        Self::Setup,
        Self::Fmt,
        Self::Words,
        Self::House,
        Self::Clippy,
        Self::Doc,
        Self::Test,
        Self::Python,
        Self::Features,
        Self::Bench,
    ];

    /// The value for `--only`.
    pub(crate) fn name(self) -> String {
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }

    fn run(self) -> Result<Verdict, Failure> {
        match self {
            Self::Test => return test(),
            Self::Python => return python::run(),
            Self::Setup => setup::run(),
            Self::Fmt => run_command(cargo("fmt --all --check")),
            Self::Words => house::words(),
            Self::House => house::house(),
            Self::Clippy => run_command(cargo(
                "clippy --workspace --all-targets --all-features -- -D warnings",
            )),
            Self::Doc => doc(),
            Self::Features => features(),
            Self::Bench => bench(),
        }?;
        Ok(Verdict::default())
    }
}

/// Runs the steps that `args` asks for, ends at the first that fails, and prints the times.
pub(crate) fn run(args: &TestArgs) -> Result<(), Failure> {
    let chosen = chosen(&args.only);
    let mut times = Vec::with_capacity(chosen.len());
    let mut result = Ok(Verdict::default());
    for (index, step) in chosen.iter().enumerate() {
        println!("\n== {} of {}: {}", index + 1, chosen.len(), step.name());
        let start = Instant::now();
        result = step.run().map_err(|Failure(sentence)| {
            let (number, name) = (index + 1, step.name());
            Failure(format!(
                "step {number}, {name}, failed: {sentence}; repeat it with `cargo xtask test --only {name}`"
            ))
        });
        times.push((*step, start.elapsed(), result.as_ref().ok().cloned()));
        if result.is_err() {
            break;
        }
    }
    println!("\n{}", table(&times));
    result.map(drop)
}

/// The steps named in `only`, or all, each once and in the order of `Step::ALL`.
fn chosen(only: &[Step]) -> Vec<Step> {
    Step::ALL
        .into_iter()
        .filter(|step| only.is_empty() || only.contains(step))
        .collect()
}

/// Builds the programs that tests start.
pub(crate) fn build_programs() -> Result<(), Failure> {
    run_command(cargo("build --workspace --all-features --bins --examples"))
}

fn test() -> Result<Verdict, Failure> {
    let flaky = Flaky::read()?;
    let notes = Notes::new(Workspace::read()?.target_directory())?;
    programs::set_up()?;
    build_programs()?;
    let all = "test --workspace --all-features --no-fail-fast";
    let report = cargo_test(all, &notes)?;
    let skipped = notes.skipped();
    let alone = |name: &str| cargo_test(&format!("{all} -- --exact {name}"), &notes);
    Ok(Verdict {
        repeated: judge(&report, &flaky, alone)?,
        skipped,
    })
}

/// Runs `cargo test`. An error means that no test says why it failed, as when the tests do not build.
fn cargo_test(arguments: &str, notes: &Notes) -> Result<Report, Failure> {
    let mut command = cargo(arguments);
    notes.tell(&mut command);
    let mut libtest = Libtest::default();
    let end = run_and_read(command, |line| libtest.line(line));
    let report = libtest.end();
    if report.failed.is_empty() && report.crashed.is_empty() {
        end?;
    }
    Ok(report)
}

fn doc() -> Result<(), Failure> {
    let mut command = cargo("doc --workspace --no-deps --all-features");
    command.env("RUSTDOCFLAGS", "-D warnings");
    run_command(command)
}

/// Clippy instead of `check`: unlike RUSTFLAGS, its `-D warnings` does not make cargo build all dependencies again.
fn features() -> Result<(), Failure> {
    for library in Workspace::read()?.libraries() {
        let clippy = format!(
            "clippy --package {} --lib --no-default-features",
            library.name
        );
        run_command(cargo(&format!("{clippy} -- -D warnings")))?;
        for feature in library.features {
            run_command(cargo(&format!(
                "{clippy} --features {feature} -- -D warnings"
            )))?;
        }
    }
    Ok(())
}

/// Benchmarks run under `cargo test` run once each, from the profile that the tests have already built.
fn bench() -> Result<(), Failure> {
    if Workspace::read()?.has_benchmarks() {
        run_command(cargo("test --workspace --all-features --bench *"))
    } else {
        println!("No package has a benchmark.");
        Ok(())
    }
}

fn table(times: &[(Step, Duration, Option<Verdict>)]) -> String {
    let mut table = String::new();
    let mut row = |name: &str, time: Duration, end: &str| {
        let line = format!("{name:<10}{:>8.1} s  {end}", time.as_secs_f64());
        let _ = writeln!(table, "{}", line.trim_end());
    };
    for (step, time, verdict) in times {
        row(&step.name(), *time, &end(verdict.as_ref()));
    }
    row("in all", times.iter().map(|(_, time, _)| *time).sum(), "");
    let verdicts = || times.iter().filter_map(|(_, _, verdict)| verdict.as_ref());
    for name in verdicts().flat_map(|verdict| &verdict.repeated) {
        let _ = writeln!(table, "failed once, passed alone: {name}");
    }
    for name in verdicts().flat_map(|verdict| &verdict.skipped) {
        let _ = writeln!(table, "skipped: {name}");
    }
    table
}

/// How a step ended, in a few words.
fn end(verdict: Option<&Verdict>) -> String {
    let Some(Verdict { repeated, skipped }) = verdict else {
        return "FAILED".to_owned();
    };
    let mut end = "ok".to_owned();
    if !repeated.is_empty() {
        let _ = write!(end, ", {} passed only alone", repeated.len());
    }
    if !skipped.is_empty() {
        let _ = write!(end, ", {} skipped", skipped.len());
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_steps_run_by_default_in_the_order_of_the_help() {
        assert_eq!(chosen(&[]), Step::value_variants());
    }

    #[test]
    fn named_steps_run_once_and_in_their_own_order() {
        let only = [Step::Bench, Step::Fmt, Step::Bench];
        assert_eq!(chosen(&only), [Step::Fmt, Step::Bench]);
    }

    #[test]
    fn the_table_shows_each_step_and_the_sum() {
        let times = [
            (
                Step::Fmt,
                Duration::from_millis(1_250),
                Some(Verdict::default()),
            ),
            (Step::Clippy, Duration::from_secs(61), None),
        ];
        assert_eq!(
            table(&times),
            "fmt            1.2 s  ok\nclippy        61.0 s  FAILED\nin all        62.2 s\n"
        );
    }

    #[test]
    fn the_table_names_what_was_skipped_and_what_ran_again() {
        let verdict = Verdict {
            repeated: vec!["a::b".to_owned()],
            skipped: vec!["c: only root can".to_owned()],
        };
        let table = table(&[(Step::Test, Duration::from_secs(1), Some(verdict))]);
        assert_eq!(
            table,
            "test           1.0 s  ok, 1 passed only alone, 1 skipped\nin all         1.0 s\n\
             failed once, passed alone: a::b\nskipped: c: only root can\n"
        );
    }
}
