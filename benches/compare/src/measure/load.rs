//! Measures requests that each connection sends when it has the response to the last.

use std::{io::Write as _, time::Duration};

use super::{failed, record, start, stolen};
use crate::{
    Failure, case::Contender, check, load::float, record::Record, rounds::Run, server::Server,
};

/// A server that runs, and how many of its connections it leaves alone.
struct Running<'a> {
    contender: &'a Contender,
    server: Server,
    unserved: usize,
    /// Why it does not count, even if its responses are right.
    fault: &'static str,
}

/// A server that keeps blocks back.
const HOLDS_BACK: &str = "it sends nothing before the application has made its last block, though PEP 3333 forbids to delay one";

pub(super) fn measure(run: Run<'_>) -> Result<Vec<Record>, Failure> {
    let mut records = Vec::new();
    let mut running = Vec::new();
    for contender in &run.case.contenders {
        match start(run, contender) {
            Ok(server) => {
                let unserved = check::unserved(server.address, &contender.load);
                let fault = if contender.load.blocks > 1 && holds_back(&server, contender)? {
                    HOLDS_BACK
                } else {
                    ""
                };
                // The first second is slower: caches fill, and CPython specialises what it runs.
                let warm_up = Duration::from_secs(1);
                contender
                    .load
                    .run(server.address, warm_up, run.mode, run.places)?;
                running.push(Running {
                    contender,
                    server,
                    unserved,
                    fault,
                });
            }
            Err(failure) => records.push(failed(run, contender, failure)),
        }
    }
    for round in 1..=run.plan.rounds {
        print!("  round {round}:");
        for one in &running {
            let (record, stolen) = stolen::least(run.repeats, || one.round(run, round))?;
            let record = Record {
                stolen: Some(rounded(stolen)),
                ..record
            };
            print!(" {:.0}", record.requests_per_second.unwrap_or_default());
            let _ = std::io::stdout().flush();
            records.push(record);
        }
        println!();
    }
    Ok(records)
}

fn holds_back(server: &Server, contender: &Contender) -> Result<bool, Failure> {
    check::holds_back(server.address, &contender.load).map_err(|error| {
        let name = &contender.program.name;
        Failure(format!("{name} does not respond at /waits: {error}"))
    })
}

impl Running<'_> {
    fn round(&self, run: Run<'_>, round: usize) -> Result<Record, Failure> {
        let load = &self.contender.load;
        let before = self.server.cpu_seconds();
        let outcome = load.run(
            self.server.address,
            run.plan.duration(),
            run.mode,
            run.places,
        )?;
        let cpu = self.server.cpu_seconds() - before;
        let memory = self.server.memory();
        let note = if outcome.is_too_short(load) {
            "some of its responses are too short".to_owned()
        } else {
            self.fault.to_owned()
        };
        let per_request =
            (outcome.requests > 0).then(|| rounded(cpu.max(0.0) * 1e6 / float(outcome.requests)));
        let ms = |microseconds| Some(float(microseconds) / 1e3);
        Ok(Record {
            requests_per_second: Some(rounded(outcome.requests_per_second())),
            cpu_us_per_request: per_request,
            p50_ms: ms(outcome.p50),
            p99_ms: ms(outcome.p99),
            p999_ms: ms(outcome.p999),
            errors: Some(outcome.errors()),
            load_busy: Some(rounded(outcome.busy)),
            rss_kib: Some(memory.rss_kib),
            pss_kib: Some(memory.pss_kib),
            connections: Some(load.connections),
            unserved: Some(self.unserved),
            note,
            ..record(run, self.contender, round)
        })
    }
}

/// To what a reader of the file can use.
fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}
