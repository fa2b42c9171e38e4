//! The time from the start of the program to its first response.

use super::{failed, record, start};
use crate::{record::Record, rounds::Run};

pub(super) fn measure(run: Run<'_>) -> Vec<Record> {
    let mut records = Vec::new();
    // Round 0 brings everything into the system's caches.
    for round in 0..=run.plan.rounds {
        for contender in &run.case.contenders {
            match start(run, contender) {
                Ok(server) if round > 0 => records.push(Record {
                    start_ms: Some((server.started_in.as_secs_f64() * 1e6).round() / 1e3),
                    ..record(run, contender, round)
                }),
                Ok(_) => {}
                Err(failure) => records.push(failed(run, contender, failure)),
            }
        }
    }
    records
}
