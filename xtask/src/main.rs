//! `cargo xtask`: the development tasks that need more than one tool.

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
/// Development tasks of this project
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Runs all checks that must pass before a change is merged
    ///
    /// Runs the steps below in this order and prints the time of each. The first failure ends the run with exit
    /// code 1.
    Test(test::TestArgs),
    /// Runs the micro-benchmarks of the `benches` package, optimised, and prints their times
    Bench,
    /// Compares these servers with their alternatives
    ///
    /// Installs the other servers into `target/peers`, builds ours, and writes `benches/results`. All rows take less than
    /// half an hour.
    Compare(compare::CompareArgs),
    /// Counts the instructions of the hot paths, and fails if one needs over 3 % more than in `benches/baseline.txt`
    ///
    /// On Debian it installs valgrind, if it is allowed to; other tools go to `target/tools`. The counts are the same on
    /// every run and do not depend on the load of the machine, but differ between compilers and C libraries: with
    /// other versions than those of the baseline, an increase is shown and is no failure.
    BenchCheck(bench_check::BenchCheckArgs),
    /// Packages the published crates and builds each from its package, as `cargo publish` does before the upload
    ///
    /// It needs the index of crates.io and builds all dependencies, which takes several minutes.
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
