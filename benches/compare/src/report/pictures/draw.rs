//! Which pictures there are.

use super::{
    cases::{CPU, PER_CONNECTION, PROPORTIONAL, Plot, RATE, RESIDENT, bars, marks},
    columns::Columns,
    latency, targets,
};
use crate::{
    case::{Case, Kind, Row},
    record::Record,
};

/// All of them, with the names of their files.
pub(in crate::report) fn all(rows: &[Row], records: &[Record]) -> [(&'static str, String); 6] {
    [
        ("summary.svg", targets::picture(rows, records)),
        ("throughput.svg", throughput(rows, records)),
        ("latency.svg", latencies(rows, records)),
        ("cpu.svg", processor(rows, records)),
        ("memory.svg", memories(rows, records)),
        ("connections.svg", connections(rows, records)),
    ]
}

fn throughput(rows: &[Row], records: &[Record]) -> String {
    let better = "Requests or messages a second, with the spread of the rounds: longer is better. Above some 130 k the load generator \
                  is the limit: see the processor time.";
    under_load(Columns::new("Throughput", better), rows, records, &RATE)
}

fn processor(rows: &[Row], records: &[Record]) -> String {
    let better = "Processor time for each request or message, user and system, of all the server's processes, with the spread of the \
                  rounds: shorter is better.";
    under_load(Columns::new("Processor time", better), rows, records, &CPU)
}

fn under_load(mut columns: Columns, rows: &[Row], records: &[Record], figure: &Plot) -> String {
    for (row, case) in cases(rows, Kind::Load) {
        let heading = heading(row, case);
        bars(&mut columns, &heading, (row, case), records, figure);
    }
    columns.finish()
}

fn latencies(rows: &[Row], records: &[Record]) -> String {
    let better = "The time to a response in milliseconds, on a logarithmic scale: further left is better. Dot: half of the \
                  responses (p50). Ring: 99 % (p99). Stroke: 99.9 % (p99.9).";
    let mut columns = Columns::new("Latency", better);
    for (row, case) in cases(rows, Kind::Load) {
        let servers = marks((row, case), records);
        if !servers.is_empty() {
            latency::draw(&mut columns, &heading(row, case), &servers);
        }
    }
    columns.finish()
}

fn memories(rows: &[Row], records: &[Record]) -> String {
    let better = "An idle worker: shorter is better. Proportional memory has only this process's share of the pages that \
                  several have.";
    let mut columns = Columns::new("Memory", better);
    for (row, case) in cases(rows, Kind::Memory) {
        for (what, figure) in [("resident", &RESIDENT), ("proportional", &PROPORTIONAL)] {
            named(&mut columns, what, (row, case), records, figure);
        }
    }
    columns.finish()
}

fn connections(rows: &[Row], records: &[Record]) -> String {
    let better = "What many connections cost. Requests a second: longer is better. Processor time and memory: shorter is \
                  better.";
    let mut columns = Columns::new("Growth with connections", better);
    for case in cases(rows, Kind::Load).filter(|(_, case)| grows(case)) {
        named(&mut columns, "requests a second", case, records, &RATE);
        named(&mut columns, "processor time", case, records, &CPU);
    }
    for case in cases(rows, Kind::Idle) {
        named(
            &mut columns,
            "memory of each",
            case,
            records,
            &PER_CONNECTION,
        );
    }
    columns.finish()
}

/// Whether its contenders differ in the number of connections.
fn grows(case: &Case) -> bool {
    let mut loads = case.contenders.iter().map(|it| it.load.connections);
    let first = loads.next();
    loads.any(|it| Some(it) != first)
}

fn cases(rows: &[Row], kind: Kind) -> impl Iterator<Item = (u8, &Case)> {
    let all = rows
        .iter()
        .flat_map(|row| row.cases.iter().map(|case| (row.number, case)));
    all.filter(move |(_, case)| case.kind == kind)
}

fn heading(row: u8, case: &Case) -> String {
    format!("{row} · {}", case.name.replace('`', ""))
}

fn named(
    columns: &mut Columns,
    what: &str,
    (row, case): (u8, &Case),
    records: &[Record],
    figure: &Plot,
) {
    let heading = format!("{}: {what}", heading(row, case));
    bars(columns, &heading, (row, case), records, figure);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        case::{Group, Mode},
        load::Load,
        program::Program,
        target::Target,
    };

    fn row(kind: Kind) -> Row {
        let program = |name: &str| Program::new(name, name.into(), "{port}", "");
        let programs = ["ours", "theirs", "broken"].map(program).into();
        let case = Case::load("`hello`", &Load::get(64, b""), programs).kind(kind);
        Row {
            number: 1,
            group: Group::Rust,
            against: "theirs",
            cases: vec![case.target(Target::throughput(1.0))],
        }
    }

    fn record(server: &str, rate: f64) -> Record {
        Record {
            requests_per_second: Some(rate),
            cpu_us_per_request: Some(1e6 / rate),
            p50_ms: Some(0.5),
            p99_ms: Some(2.0),
            p999_ms: Some(30.0),
            ..Record::new(1, "`hello`", Mode::Pinned, server, 1)
        }
    }

    fn picture(name: &str, rows: &[Row], records: &[Record]) -> String {
        let pictures = all(rows, records);
        let found = pictures.into_iter().find(|(it, _)| *it == name);
        found.expect("there is such a picture").1
    }

    #[test]
    fn the_best_stands_first_and_what_does_not_count_last() {
        let broken = Record {
            note: "it does not start".to_owned(),
            ..record("broken", 1.0)
        };
        let records = [broken, record("ours", 100.0), record("theirs", 200.0)];
        let throughput = picture("throughput.svg", &[row(Kind::Load)], &records);
        let place = |text: &str| throughput.find(text).expect("it is in the picture");
        assert!(place(">theirs<") < place(">ours<"));
        assert!(place(">ours<") < place(">broken<"));
        assert!(throughput.contains(">does not count: it does not start<"));
        let cpu = picture("cpu.svg", &[row(Kind::Load)], &records);
        assert!(cpu.find(">theirs<") < cpu.find(">ours<"));
    }

    #[test]
    fn the_latencies_are_those_of_the_servers_that_count() {
        let records = [record("ours", 100.0)];
        let latency = picture("latency.svg", &[row(Kind::Load)], &records);
        assert!(latency.contains(">0.50 · 2.00 · 30.0<"), "{latency}");
        assert!(!latency.contains("theirs"));
    }

    #[test]
    fn what_was_not_measured_leaves_no_trace() {
        for kind in [Kind::Load, Kind::Idle, Kind::Memory, Kind::Start] {
            let none = Record::new(1, "`hello`", Mode::Pinned, "ours", 1);
            for records in [vec![], vec![none]] {
                for (name, picture) in all(&[row(kind)], &records) {
                    assert!(!picture.contains("NaN"), "{name}: {picture}");
                    assert!(!picture.contains("inf"), "{name}: {picture}");
                    assert!(
                        name == "summary.svg" || !picture.contains("hello"),
                        "{picture}"
                    );
                }
            }
        }
    }
}
