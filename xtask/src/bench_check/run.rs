//! Runs the task: installs the tools, counts, and compares.

use std::fs;
use std::path::PathBuf;

use super::baseline::{Baseline, Toolchain};
use super::compare::{self, LIMIT};
use super::{count, tools};
use crate::command::{Failure, root};
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub(crate) struct BenchCheckArgs {
    /// Writes the counts of this run as the new baseline
    #[arg(long)]
    save: bool,
}

pub(crate) fn run(args: &BenchCheckArgs) -> Result<(), Failure> {
    let tools = tools::set_up(Workspace::read()?.target_directory())?;
    let now = Baseline {
        toolchain: Toolchain::read()?,
        counts: count::count(&tools)?,
    };
    if args.save {
        return save(&now);
    }
    let path = path();
    let text = fs::read_to_string(&path).map_err(|error| {
        Failure(format!(
            "cannot read {}: {error}; `cargo xtask bench-check --save` writes it",
            path.display()
        ))
    })?;
    let before = Baseline::parse(&text)?;
    let rows = compare::rows(&before.counts, &now.counts);
    println!("\n{}", compare::table(&rows));
    let problems = compare::problems(&rows);
    if problems.is_empty() {
        return Ok(());
    }
    if before.toolchain != now.toolchain {
        println!(
            "This proves nothing: the baseline is of {}, and here is {}. Compare with the baseline of an older commit \
             that you save here.",
            before.toolchain, now.toolchain
        );
        return Ok(());
    }
    Err(Failure(format!(
        "against benches/baseline.txt, {}: make it no more than {LIMIT} % slower, or say in the commit why it has to be \
         and write the baseline with `cargo xtask bench-check --save`",
        problems.join(", ")
    )))
}

fn save(baseline: &Baseline) -> Result<(), Failure> {
    let path = path();
    fs::write(&path, baseline.to_string())
        .map_err(|error| Failure(format!("cannot write {}: {error}", path.display())))?;
    print!("{baseline}");
    Ok(())
}

fn path() -> PathBuf {
    root().join("benches/baseline.txt")
}
