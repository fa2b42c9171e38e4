//! One measurement, and the file with all of them.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{Failure, case::Mode};

/// A line of `rounds.csv`. A value that was not measured is empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) row: u8,
    pub(crate) case: String,
    pub(crate) mode: String,
    pub(crate) server: String,
    /// From 1; 0 is a server that could not be measured, and the note says why.
    pub(crate) round: usize,
    pub(crate) requests_per_second: Option<f64>,
    pub(crate) cpu_us_per_request: Option<f64>,
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
    pub(crate) p999_ms: Option<f64>,
    pub(crate) errors: Option<u64>,
    /// The part of one core that the load has used.
    pub(crate) load_busy: Option<f64>,
    /// The part of the machine's time that its host has given to others.
    pub(crate) stolen: Option<f64>,
    pub(crate) rss_kib: Option<u64>,
    pub(crate) pss_kib: Option<u64>,
    pub(crate) connections: Option<usize>,
    /// Connections that got no response while all were open.
    pub(crate) unserved: Option<usize>,
    /// Resident memory for each idle connection.
    pub(crate) bytes_per_connection: Option<f64>,
    pub(crate) start_ms: Option<f64>,
    pub(crate) note: String,
}

impl Record {
    /// With nothing measured yet.
    pub(crate) fn new(row: u8, case: &str, mode: Mode, server: &str, round: usize) -> Self {
        Self {
            row,
            case: case.to_owned(),
            mode: mode.name().to_owned(),
            server: server.to_owned(),
            round,
            ..Self::default()
        }
    }
}

/// All records of the file; none if there is no file yet.
pub(crate) fn read(path: &Path) -> Result<Vec<Record>, Failure> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let read = |path| {
        csv::Reader::from_path(path)?
            .deserialize()
            .collect::<Result<_, _>>()
    };
    read(path).map_err(|error: csv::Error| {
        Failure(format!(
            "cannot read {}: {error}; remove it to measure everything again",
            path.display()
        ))
    })
}

pub(crate) fn write(path: &Path, records: &[Record]) -> Result<(), Failure> {
    let write = || {
        let mut writer = csv::Writer::from_path(path)?;
        records
            .iter()
            .try_for_each(|record| writer.serialize(record))?;
        Ok(writer.flush()?)
    };
    write()
        .map_err(|error: csv::Error| Failure(format!("cannot write {}: {error}", path.display())))
}

/// Replaces the records of the measured rows, in the order of the rows.
pub(crate) fn replace(before: Vec<Record>, row: u8, now: Vec<Record>) -> Vec<Record> {
    let mut all: Vec<Record> = before
        .into_iter()
        .filter(|record| record.row != row)
        .collect();
    all.extend(now);
    all.sort_by_key(|record| record.row);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(row: u8, server: &str) -> Record {
        Record::new(row, "hello, 1 thread", Mode::Pinned, server, 1)
    }

    #[test]
    fn what_is_written_is_read() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("rounds.csv");
        assert_eq!(read(&path).expect("no file is no record"), []);
        let records = [
            Record {
                requests_per_second: Some(1234.5),
                errors: Some(0),
                ..record(1, "ours")
            },
            Record {
                note: "it says \"no\", and goes".to_owned(),
                ..record(1, "theirs")
            },
        ];
        write(&path, &records).expect("it can be written");
        assert_eq!(read(&path).expect("it can be read"), records);
    }

    #[test]
    fn a_row_that_ran_again_replaces_its_own_records_only() {
        let before = vec![record(1, "a"), record(2, "b"), record(3, "c")];
        let all = replace(before, 2, vec![record(2, "d"), record(2, "e")]);
        let servers: Vec<_> = all.iter().map(|record| record.server.as_str()).collect();
        assert_eq!(servers, ["a", "d", "e", "c"]);
    }
}
