//! `cargo xtask compare`: installs and builds the servers, and runs the package `compare`.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::command::{self, Failure, cargo, root, run as run_command};
use crate::debian::AptGet;
use crate::environment::Environment;
use crate::newest;
use crate::workspace::Workspace;

/// The directory of the published results.
const RESULTS: &str = "benches/results";

#[derive(clap::Args)]
pub(crate) struct CompareArgs {
    /// Measures only the rows of this group: rust, python, resources, asynchronous or edge
    #[arg(value_parser = ["rust", "python", "resources", "asynchronous", "edge"])]
    group: Option<String>,

    /// Measures only this row; may be repeated. The other rows keep their results
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(1..=23))]
    row: Vec<u8>,

    /// Number of rounds for each server of a case
    #[arg(long, value_name = "NUMBER", default_value_t = 5)]
    rounds: usize,

    /// Duration of one round
    #[arg(long, value_name = "SECONDS", default_value_t = 1)]
    seconds: u64,
}

pub(crate) fn run(args: &CompareArgs) -> Result<(), Failure> {
    let target = Workspace::read()?.target_directory().to_owned();
    debian_packages()?;
    let python = newest::newest()?;
    println!("The Python servers run on {}.", python.display());
    let peers = Environment::new(target.join("peers"), &python);
    peers.install_what_can_be(&root().join("benches/compare/peers.txt"))?;
    peers.run("maturin", |maturin| {
        maturin.args(["develop", "--profile", "dist"]);
    })?;
    run_command(cargo("build --profile dist --package compare --bins"))?;
    let logs = target.join("compare");
    // Logs of an earlier run, which are long if every request is logged. There may be none.
    let _ = fs::remove_dir_all(&logs);
    run_command(compare(args, &peers, &target, &logs))
}

fn compare(args: &CompareArgs, peers: &Environment, target: &Path, logs: &Path) -> Command {
    // As wheels are built.
    let programs = target.join("dist");
    let mut compare = Command::new(programs.join("compare"));
    compare.current_dir(root());
    compare.arg("--python").arg(peers.directory());
    compare.arg("--rust").arg(&programs);
    compare.arg("--logs").arg(logs);
    compare.args(["--results", RESULTS]);
    compare.arg(format!("--rounds={}", args.rounds));
    compare.arg(format!("--seconds={}", args.seconds));
    compare.args(args.row.iter().map(|row| format!("--row={row}")));
    compare.args(&args.group);
    compare
}

/// The loads, a server of files, and what one of the peers is compiled with: the program and its Debian package.
const PROGRAMS: [(&str, &str); 3] = [
    ("wrk", "wrk"),
    ("h2load", "nghttp2-client"),
    ("nginx", "nginx"),
];

fn debian_packages() -> Result<(), Failure> {
    let missing = PROGRAMS
        .into_iter()
        .filter(|(name, _)| !command::is_installed(name));
    let (names, mut packages): (Vec<_>, Vec<_>) = missing.unzip();
    // Without it, bjoern is left out.
    if !Path::new("/usr/include/ev.h").exists() {
        packages.push("libev-dev");
    }
    if packages.is_empty() {
        return Ok(());
    }
    match AptGet::available() {
        Some(apt_get) => apt_get.install(&packages),
        None if names.is_empty() => Ok(()),
        None => Err(Failure(format!(
            "{} is missing, with which servers are compared: install it (on Debian `apt-get install {}`)",
            names.join(" and "),
            packages.join(" ")
        ))),
    }
}
