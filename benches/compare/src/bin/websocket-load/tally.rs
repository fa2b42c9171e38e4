//! What is counted.

use std::{io, time::Duration};

use serde::Serialize;

/// Why a connection ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// There is no connection.
    Connect,
    Read,
    Write,
    /// The response to the handshake, or a message, is not the right one.
    Status,
    /// A response or a message did not come.
    Timeout,
}

/// What one connection has done.
#[derive(Default)]
pub(crate) struct Connection {
    bytes: u64,
    /// Of each message, in microseconds.
    round_trips: Vec<u32>,
    pub(crate) fault: Option<Fault>,
}

/// What all of them have done.
#[derive(Default)]
pub(crate) struct Tally {
    took: Duration,
    bytes: u64,
    round_trips: Vec<u32>,
    faults: Vec<Fault>,
}

/// With the names of `load.lua`.
#[derive(Serialize)]
pub(crate) struct Report {
    requests: usize,
    microseconds: u128,
    bytes: u64,
    p50: u32,
    p99: u32,
    p999: u32,
    connect: usize,
    read: usize,
    write: usize,
    status: usize,
    timeout: usize,
}

impl Fault {
    /// Of a connection that could not be opened.
    pub(crate) fn connect(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::Timeout,
            _ => Self::Connect,
        }
    }
}

impl Connection {
    pub(crate) fn round_trip(&mut self, took: Duration, bytes: usize) {
        let microseconds = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        self.round_trips.push(microseconds);
        self.bytes += bytes as u64;
    }
}

/// A connection that has done nothing else.
impl From<Fault> for Connection {
    fn from(fault: Fault) -> Self {
        Self {
            fault: Some(fault),
            ..Self::default()
        }
    }
}

impl Tally {
    pub(crate) fn add(&mut self, connection: Connection) {
        self.bytes += connection.bytes;
        self.round_trips.extend(connection.round_trips);
        self.faults.extend(connection.fault);
    }

    pub(crate) fn took(&mut self, duration: Duration) {
        self.took = duration;
    }

    pub(crate) fn report(mut self) -> Report {
        self.round_trips.sort_unstable();
        let trips = &self.round_trips;
        let after = |part: usize| {
            let place = trips.len() * part / 1000;
            trips.get(place).or(trips.last()).copied()
        };
        let count = |fault| self.faults.iter().filter(|it| **it == fault).count();
        Report {
            requests: trips.len(),
            microseconds: self.took.as_micros(),
            bytes: self.bytes,
            p50: after(500).unwrap_or_default(),
            p99: after(990).unwrap_or_default(),
            p999: after(999).unwrap_or_default(),
            connect: count(Fault::Connect),
            read: count(Fault::Read),
            write: count(Fault::Write),
            status: count(Fault::Status),
            timeout: count(Fault::Timeout),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_and_faults_are_reported() {
        let mut tally = Tally::default();
        let mut connection = Connection::default();
        for microseconds in (1..=1000).rev() {
            connection.round_trip(Duration::from_micros(microseconds), 10);
        }
        connection.fault = Some(Fault::Read);
        tally.add(connection);
        tally.add(Fault::Timeout.into());
        tally.took(Duration::from_secs(1));
        let report = serde_json::to_value(tally.report()).expect("plain numbers");
        let of = |name: &str| report[name].as_u64();
        assert_eq!(of("requests"), Some(1000));
        assert_eq!(of("bytes"), Some(10_000));
        assert_eq!(
            [of("p50"), of("p99"), of("p999")],
            [501, 991, 1000].map(Some)
        );
        assert_eq!([of("read"), of("timeout")], [Some(1), Some(1)]);
    }

    #[test]
    fn nothing_is_a_report_as_well() {
        let report = serde_json::to_value(Tally::default().report()).expect("plain numbers");
        assert_eq!(report["p99"].as_u64(), Some(0));
    }
}
