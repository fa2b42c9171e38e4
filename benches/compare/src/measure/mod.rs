//! The kinds of measurement.

mod idle;
mod load;
mod memory;
mod start;
mod stolen;

pub(crate) use stolen::Repeats;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{
    Failure,
    case::{Contender, Kind},
    record::Record,
    rounds::Run,
    server::Server,
};

/// All records of a case. A server that cannot be measured has one that says why.
pub(crate) fn measure(run: Run<'_>) -> Result<Vec<Record>, Failure> {
    match run.case.kind {
        Kind::Load => load::measure(run),
        Kind::Idle => Ok(idle::measure(run)),
        Kind::Memory => Ok(memory::measure(run)),
        Kind::Start => Ok(start::measure(run)),
    }
}

/// Lets this process and its servers open as many files as the system lets them.
pub(crate) fn allow_many_files() -> Result<(), Failure> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let limit = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, limit)
        .map_err(|error| Failure(format!("cannot raise the limit of open files: {error}")))
}

fn record(run: Run<'_>, contender: &Contender, round: usize) -> Record {
    Record::new(
        run.row,
        &run.case.name,
        run.mode,
        &contender.program.name,
        round,
    )
}

/// The record of a server that cannot be measured, which says why.
fn failed(run: Run<'_>, contender: &Contender, Failure(note): Failure) -> Record {
    println!("  {}: {note}", contender.program.name);
    Record {
        note,
        ..record(run, contender, 0)
    }
}

fn start(run: Run<'_>, contender: &Contender) -> Result<Server, Failure> {
    Server::start(contender, run.mode, run.places)
}
