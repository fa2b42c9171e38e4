//! `cargo xtask`: what a contributor and the continuous integration run, when it takes more than one tool.

mod bench;
mod bench_check;
mod browser;
mod command;
mod compare;
mod debian;
mod environment;
mod house;
mod interpreter;
mod newest;
mod programs;
mod publish_check;
mod python;
mod setup;
mod suite;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::command::Failure;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
/// What this project does with more than one tool
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Checks everything: what must pass before a change is merged
    ///
    /// Runs the steps below in this order and prints how long each took. The first that fails ends the run with
    /// exit code 1.
    Test(test::Args),
    /// Runs the micro-benchmarks of the `benches` package, optimised, and prints their times
    Bench,
    /// Measures ours and the servers that a user would pick instead, side by side
    ///
    /// Installs the peers into `target/peers`, builds ours, and writes `benches/results`. All rows take less than half an
    /// hour.
    Compare(compare::Args),
    /// Counts the instructions of the hot paths, and fails if one has more than 3 % more than in `benches/baseline.txt`
    ///
    /// On Debian it installs valgrind, if it may; the rest of what it needs goes to `target/tools`. Counts are the same
    /// on every run, however busy the machine is, but differ between compilers and C libraries: with others than the
    /// baseline's a rise is shown, and is no failure.
    BenchCheck(bench_check::Args),
    /// Packages the published crates and builds each from its package, as `cargo publish` does before it uploads
    ///
    /// Needs the index of crates.io and builds the dependencies once more: several minutes.
    PublishCheck,
}

fn main() -> ExitCode {
    let result = match Args::parse().task {
        Task::Test(args) => test::run(&args),
        Task::Bench => bench::run(),
        Task::Compare(args) => compare::run(&args),
        Task::BenchCheck(args) => bench_check::run(&args),
        Task::PublishCheck => publish_check::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(sentence)) => {
            eprintln!("error: {sentence}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_step_is_named_in_the_help() {
        let mut command = Args::command();
        let help = command
            .find_subcommand_mut("test")
            .expect("the subcommand exists")
            .render_long_help()
            .to_string();
        for step in test::Step::ALL {
            let name = format!("- {}:", step.name());
            assert!(help.contains(&name), "{name} is not in:\n{help}");
        }
    }
}
