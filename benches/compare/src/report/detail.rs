//! All servers of a case, in each mode.

use std::fmt::Write as _;

use super::figures::{self, Rounds};
use crate::{
    case::{Case, Contender, Kind, Mode, Row},
    load::{Protocol, float},
    record::Record,
    stats::Summary,
    target::Figure,
};

pub(super) fn text(row: &Row, case: &Case, records: &[Record]) -> String {
    let mut text = String::new();
    for mode in case.modes() {
        let servers = figures::of(row.number, case, mode, records);
        if servers.is_empty() {
            continue;
        }
        let place = match (case.kind, mode) {
            (Kind::Load | Kind::Idle, Mode::Pinned) => {
                ", the server on one core, the load on another"
            }
            (Kind::Load | Kind::Idle, Mode::Free) => ", server and load on all cores",
            (Kind::Memory | Kind::Start, _) => "",
        };
        let _ = writeln!(text, "\n## {}: {}{place}\n", row.number, case.name);
        text.push_str(&head(case));
        for server in &servers {
            let _ = writeln!(text, "{}", line(case.kind, server, &servers));
        }
    }
    text
}

fn head(case: &Case) -> String {
    let head = match case.kind {
        Kind::Load => {
            "| server | requests/s | spread | CPU µs/request | spread | p50 ms | p99 ms | p99.9 ms | PSS MiB | load | stolen | ours: \
             throughput | ours: CPU | |\n\
             | --- | ---: | --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n"
        }
        Kind::Idle => {
            "| server | bytes/connection | spread | ours | |\n| --- | ---: | --- | ---: | --- |\n"
        }
        Kind::Memory => {
            "| worker of | RSS MiB | PSS MiB | ours: RSS | |\n| --- | ---: | ---: | ---: | --- |\n"
        }
        Kind::Start => "| server | ms | spread | ours | |\n| --- | ---: | --- | ---: | --- |\n",
    };
    let has_messages = |contender: &Contender| contender.load.protocol == Protocol::WebSocket;
    if case.contenders.iter().any(has_messages) {
        head.replace("request", "message")
    } else {
        head.to_owned()
    }
}

fn line(kind: Kind, server: &Rounds<'_>, all: &[Rounds<'_>]) -> String {
    let remark = server.disqualified();
    let remark = remark.map_or(String::new(), |reason| {
        format!("does not count: {}", reason.replace('|', "\\|"))
    });
    let median = |of: fn(&Record) -> Option<f64>| Summary::of(server.values(of)).median;
    let ours = |figure| match all.first() {
        Some(ours) if ours.name != server.name => {
            format!("{:.2}", ours.ratio(server, figure).median)
        }
        _ => String::new(),
    };
    let mut cells = vec![server.name.to_owned()];
    match kind {
        Kind::Load => {
            let (rate, cpu) = (
                server.summary(Figure::Throughput),
                server.summary(Figure::Cpu),
            );
            let times: [fn(&Record) -> Option<f64>; 3] =
                [|it| it.p50_ms, |it| it.p99_ms, |it| it.p999_ms];
            let parts: [fn(&Record) -> Option<f64>; 2] = [|it| it.load_busy, |it| it.stolen];
            cells.push(format!("{:.0}", rate.median));
            cells.push(format!("{:.0}–{:.0}", rate.min, rate.max));
            cells.push(format!("{:.2}", cpu.median));
            cells.push(cpu.to_string());
            cells.extend(times.map(|time| format!("{:.2}", median(time))));
            cells.push(format!("{:.1}", median(|it| it.pss_kib.map(mib))));
            cells.extend(parts.map(|part| format!("{:.0} %", 100.0 * median(part))));
            cells.push(ours(Figure::Throughput));
            cells.push(ours(Figure::Cpu));
        }
        Kind::Idle => {
            let bytes = server.summary(Figure::PerConnection);
            cells.push(format!("{:.0}", bytes.median));
            cells.push(format!("{:.0}–{:.0}", bytes.min, bytes.max));
            cells.push(ours(Figure::PerConnection));
        }
        Kind::Memory => {
            cells.push(format!("{:.1}", median(|it| it.rss_kib.map(mib))));
            cells.push(format!("{:.1}", median(|it| it.pss_kib.map(mib))));
            cells.push(ours(Figure::Rss));
        }
        Kind::Start => {
            let time = server.summary(Figure::Start);
            cells.push(format!("{:.1}", time.median));
            cells.push(format!("{:.1}–{:.1}", time.min, time.max));
            cells.push(ours(Figure::Start));
        }
    }
    cells.push(remark);
    format!("| {} |", cells.join(" | "))
}

fn mib(kib: u64) -> f64 {
    float(kib) / 1024.0
}
