//! The status as a table, for people.

use super::{CertificateStatus, ProcessRole, ProcessState, ServerStatus, Status, WorkerStatus};

const COLUMNS: [&str; 14] = [
    "SLOT", "PID", "STATE", "AGE", "MiB", "CONNS", "UPGRADED", "RUNNING", "QUEUED", "TASKS",
    "REQUESTS", "REFUSED", "OLDEST", "DIED",
];

/// The column of words, which is aligned to the left.
const STATE: usize = 2;

type Row = [String; COLUMNS.len()];

/// The status as a table.
pub(super) fn table(status: &Status) -> String {
    let mut text = format!(
        "pid {}  {}  up {}  tower-prefork {}\n",
        status.pid,
        status.phase,
        age(status.uptime_s),
        status.version
    );
    for server in &status.servers {
        text += "\n";
        text += &server.name;
        for address in &server.addresses {
            text += "  ";
            text += address;
        }
        text += "\n";
        for certificate in &server.certificates {
            text += &certificate_line(certificate);
        }
        text += &workers(server);
    }
    text
}

/// The most names of a certificate that are shown.
const MAX_NAMES: usize = 3;

fn certificate_line(certificate: &CertificateStatus) -> String {
    let CertificateStatus {
        file,
        names,
        expires,
        days_left: days,
    } = certificate;
    let shown = names.iter().take(MAX_NAMES);
    let mut shown: Vec<_> = shown.map(String::as_str).collect();
    let more = format!("{} more", names.len().saturating_sub(MAX_NAMES));
    if names.len() > MAX_NAMES {
        shown.push(&more);
    }
    let what = match shown.as_slice() {
        [] => file.clone(),
        names => names.join(", "),
    };
    let end = match days {
        0.. => format!("expires {expires}, in {days} days"),
        _ => format!("EXPIRED {expires}"),
    };
    format!("certificate {what}: {end}\n")
}

fn workers(server: &ServerStatus) -> String {
    let mut rows = vec![COLUMNS.map(str::to_owned)];
    rows.extend(server.workers.iter().map(row));
    if server.workers.len() > 1 {
        rows.push(total(&server.workers));
    }
    let mut widths = [0; COLUMNS.len()];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.len().max(*width);
        }
    }
    rows.iter().map(|row| line(row, &widths)).collect()
}

fn line(row: &Row, widths: &[usize; COLUMNS.len()]) -> String {
    let cells = row.iter().zip(widths).enumerate();
    let cells = cells.map(|(column, (cell, &width))| {
        if column == STATE {
            format!("{cell:<width$}")
        } else {
            format!("{cell:>width$}")
        }
    });
    cells.collect::<Vec<_>>().join("  ") + "\n"
}

fn row(worker: &WorkerStatus) -> Row {
    let nothing = || "-".to_owned();
    let slot = worker.slot.to_string();
    let restarts = worker.restarts.to_string();
    let Some(pid) = worker.pid else {
        let mut row = COLUMNS.map(|_| nothing());
        row[0] = slot;
        row[STATE] = state(worker);
        row[COLUMNS.len() - 1] = restarts;
        return row;
    };
    [
        slot,
        pid.to_string(),
        state(worker),
        age(worker.age_s),
        mebibytes(worker.stats.memory_bytes),
        worker.stats.connections.to_string(),
        worker.stats.upgraded.to_string(),
        worker.stats.in_flight.to_string(),
        worker.stats.queued.to_string(),
        worker.stats.tasks.to_string(),
        worker.stats.requests.to_string(),
        worker.stats.refused.to_string(),
        worker.stats.oldest_job_s.map_or_else(nothing, short),
        restarts,
    ]
}

fn total(workers: &[WorkerStatus]) -> Row {
    let count = |get: fn(&WorkerStatus) -> usize| workers.iter().map(get).sum::<usize>();
    let sum = |get: fn(&WorkerStatus) -> u64| workers.iter().map(get).sum::<u64>();
    let oldest = workers
        .iter()
        .filter_map(|worker| worker.stats.oldest_job_s);
    // All processes of a slot have the same number.
    let slots = workers.chunk_by(|one, next| one.slot == next.slot);
    let restarts: u32 = slots.map(|slot| slot[0].restarts).sum();
    [
        "total".to_owned(),
        String::new(),
        String::new(),
        String::new(),
        mebibytes(sum(|worker| worker.stats.memory_bytes)),
        count(|worker| worker.stats.connections).to_string(),
        count(|worker| worker.stats.upgraded).to_string(),
        count(|worker| worker.stats.in_flight).to_string(),
        count(|worker| worker.stats.queued).to_string(),
        count(|worker| worker.stats.tasks).to_string(),
        sum(|worker| worker.stats.requests).to_string(),
        sum(|worker| worker.stats.refused).to_string(),
        oldest
            .reduce(f64::max)
            .map_or_else(|| "-".to_owned(), short),
        restarts.to_string(),
    ]
}

fn state(worker: &WorkerStatus) -> String {
    let state = match worker.state {
        ProcessState::Starting => "starting",
        ProcessState::Ready => "ready",
        ProcessState::Draining => "draining",
        ProcessState::Killed => "killed",
        ProcessState::Waiting => "waiting",
    };
    let role = match worker.role {
        ProcessRole::Serving | ProcessRole::None => "",
        ProcessRole::Replacement => "new, ",
        ProcessRole::Retired => "old, ",
    };
    format!("{role}{state}")
}

/// The two largest units, as in `3m 12s`.
fn age(seconds: u64) -> String {
    let units = [
        (86_400, 'd', 3600, 'h'),
        (3600, 'h', 60, 'm'),
        (60, 'm', 1, 's'),
    ];
    for (large, name, small, small_name) in units {
        if seconds >= large {
            let (whole, rest) = (seconds / large, seconds % large / small);
            return format!("{whole}{name} {rest:02}{small_name}");
        }
    }
    format!("{seconds}s")
}

/// With a tenth of a second below ten seconds.
fn short(seconds: f64) -> String {
    if seconds < 10.0 {
        format!("{seconds:.1}s")
    } else {
        age(seconds as u64)
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::WorkerStats;

    fn stats() -> WorkerStats {
        WorkerStats {
            memory_bytes: 47_395_635,
            connections: 12,
            upgraded: 8,
            upgraded_total: 20,
            in_flight: 3,
            queued: 0,
            tasks: 2,
            requests: 10_432,
            refused: 0,
            oldest_job_s: Some(0.42),
        }
    }

    fn worker(slot: usize, pid: Option<i32>) -> WorkerStatus {
        WorkerStatus {
            slot,
            pid,
            role: ProcessRole::Serving,
            state: ProcessState::Ready,
            age_s: 192,
            stats: stats(),
            restarts: 0,
        }
    }

    fn server(name: &str, workers: Vec<WorkerStatus>) -> ServerStatus {
        ServerStatus {
            name: name.into(),
            addresses: vec!["http://127.0.0.1:8000".into(), "unix:/run/shop.sock".into()],
            certificates: Vec::new(),
            workers,
        }
    }

    #[test]
    fn the_status_is_a_table() {
        let old = WorkerStatus {
            role: ProcessRole::Retired,
            state: ProcessState::Draining,
            age_s: 90_061,
            stats: WorkerStats {
                memory_bytes: 1 << 30,
                oldest_job_s: Some(75.0),
                ..stats()
            },
            restarts: 7,
            ..worker(1, Some(99))
        };
        let new = WorkerStatus {
            stats: WorkerStats {
                requests: 3,
                oldest_job_s: None,
                ..stats()
            },
            age_s: 2,
            restarts: 7,
            ..worker(1, Some(12_345))
        };
        let dead = WorkerStatus {
            role: ProcessRole::None,
            state: ProcessState::Waiting,
            stats: WorkerStats::default(),
            restarts: 1,
            ..worker(2, None)
        };
        let status = Status {
            version: "0.1.0".into(),
            pid: 4242,
            phase: "ready".into(),
            uptime_s: 3720,
            servers: vec![
                server("shop", vec![worker(0, Some(4243)), new, old, dead]),
                server("admin", vec![worker(0, Some(5))]),
            ],
        };
        let expected = "\
pid 4242  ready  up 1h 02m  tower-prefork 0.1.0

shop  http://127.0.0.1:8000  unix:/run/shop.sock
 SLOT    PID  STATE             AGE     MiB  CONNS  UPGRADED  RUNNING  QUEUED  TASKS  REQUESTS  REFUSED  OLDEST  DIED
    0   4243  ready          3m 12s    45.2     12         8        3       0      2     10432        0    0.4s     0
    1  12345  ready              2s    45.2     12         8        3       0      2         3        0       -     7
    1     99  old, draining  1d 01h  1024.0     12         8        3       0      2     10432        0  1m 15s     7
    2      -  waiting             -       -      -         -        -       -      -         -        -       -     1
total                                1114.4     36        24        9       0      6     20867        0  1m 15s     8

admin  http://127.0.0.1:8000  unix:/run/shop.sock
SLOT  PID  STATE     AGE   MiB  CONNS  UPGRADED  RUNNING  QUEUED  TASKS  REQUESTS  REFUSED  OLDEST  DIED
   0    5  ready  3m 12s  45.2     12         8        3       0      2     10432        0    0.4s     0
";
        let table = table(&status);
        assert_eq!(table, expected, "\n{table}");
    }

    #[test]
    fn certificates_have_names_and_an_end() {
        let certificate = |names: &[&str], days_left| CertificateStatus {
            file: "/etc/a.pem".into(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            expires: "2027-01-31".into(),
            days_left,
        };
        for (certificate, line) in [
            (
                certificate(&["a", "*.a"], 62),
                "a, *.a: expires 2027-01-31, in 62 days",
            ),
            (
                certificate(&["a", "b", "c", "d", "e"], 0),
                "a, b, c, 2 more: expires 2027-01-31, in 0 days",
            ),
            (certificate(&[], -1), "/etc/a.pem: EXPIRED 2027-01-31"),
        ] {
            assert_eq!(
                certificate_line(&certificate),
                format!("certificate {line}\n")
            );
        }
    }

    #[test]
    fn ages_have_two_units() {
        let ages = [0, 59, 60, 3599, 3600, 86_399, 86_400, 1_000_000];
        let texts = [
            "0s", "59s", "1m 00s", "59m 59s", "1h 00m", "23h 59m", "1d 00h", "11d 13h",
        ];
        assert_eq!(ages.map(age), texts);
        assert_eq!(
            [0.0, 9.94, 10.0, 61.9].map(short),
            ["0.0s", "9.9s", "10s", "1m 01s"]
        );
    }
}
