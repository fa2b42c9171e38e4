//! The figures of a case in one mode, server by server.

use crate::{
    case::{Case, Mode},
    load::float,
    record::Record,
    stats::Summary,
    target::Figure,
};

/// From this part of its core on, which it has one of, the load is the limit: the rate is the load's, not the server's.
const LIMIT_OF_THE_LOAD: f64 = 0.9;

/// The rounds of one server, in order.
pub(super) struct Rounds<'a> {
    pub(super) name: &'a str,
    records: Vec<&'a Record>,
}

/// The rounds of all servers of the case that were measured at all, in the order of the case.
pub(super) fn of<'a>(row: u8, case: &'a Case, mode: Mode, all: &'a [Record]) -> Vec<Rounds<'a>> {
    let ours = |record: &&Record| {
        record.row == row && record.case == case.name && record.mode == mode.name()
    };
    let rounds = case.contenders.iter().map(|contender| Rounds {
        name: &contender.program.name,
        records: (all.iter().filter(ours))
            .filter(|record| record.server == contender.program.name)
            .collect(),
    });
    rounds.filter(|rounds| !rounds.records.is_empty()).collect()
}

impl Rounds<'_> {
    /// Why its figures do not count.
    pub(super) fn disqualified(&self) -> Option<String> {
        if let Some(record) = self.records.iter().find(|record| !record.note.is_empty()) {
            return Some(record.note.clone());
        }
        let unserved = self
            .records
            .iter()
            .filter_map(|record| record.unserved)
            .max();
        let errors: u64 = self.records.iter().filter_map(|record| record.errors).sum();
        let connections = self.records.iter().find_map(|record| record.connections);
        match (unserved, connections, errors) {
            (Some(unserved @ 1..), Some(connections), _) => Some(format!(
                "it serves {} of {connections} connections",
                connections.saturating_sub(unserved)
            )),
            (_, _, 1..) => Some(format!("{errors} requests failed")),
            _ => None,
        }
    }

    /// A figure of each round that has it.
    pub(super) fn values(&self, of: impl Fn(&Record) -> Option<f64>) -> Vec<f64> {
        self.records
            .iter()
            .filter_map(|record| of(record))
            .collect()
    }

    pub(super) fn summary(&self, figure: Figure) -> Summary {
        Summary::of(self.values(|record| value(record, figure)))
    }

    /// Whether its rate may be that of the load.
    pub(super) fn is_at_the_limit(&self) -> bool {
        Summary::of(self.values(|record| record.load_busy)).median > LIMIT_OF_THE_LOAD
    }

    /// Ours to the other, round by round.
    pub(super) fn ratio(&self, other: &Self, figure: Figure) -> Summary {
        let (ours, theirs) = (
            self.values(|record| value(record, figure)),
            other.values(|record| value(record, figure)),
        );
        let pairs = ours
            .iter()
            .zip(&theirs)
            .filter(|(_, theirs)| **theirs > 0.0);
        Summary::of(pairs.map(|(ours, theirs)| ours / theirs))
    }
}

pub(super) fn value(record: &Record, figure: Figure) -> Option<f64> {
    match figure {
        Figure::Throughput => record.requests_per_second,
        Figure::Cpu => record.cpu_us_per_request,
        Figure::P99 => record.p99_ms,
        Figure::Rss => record.rss_kib.map(float),
        Figure::PerConnection => record.bytes_per_connection,
        Figure::Start => record.start_ms,
    }
}
