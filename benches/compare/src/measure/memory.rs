//! The memory of a worker that has served one request and waits.

use super::{failed, record, start};
use crate::{record::Record, rounds::Run};

pub(super) fn measure(run: Run<'_>) -> Vec<Record> {
    let mut records = Vec::new();
    for round in 1..=run.plan.rounds {
        for contender in &run.case.contenders {
            let server = match start(run, contender) {
                Ok(server) => server,
                Err(failure) => {
                    records.push(failed(run, contender, failure));
                    continue;
                }
            };
            let memory = server.worker_memory();
            records.push(Record {
                rss_kib: Some(memory.rss_kib),
                pss_kib: Some(memory.pss_kib),
                ..record(run, contender, round)
            });
        }
    }
    records
}
