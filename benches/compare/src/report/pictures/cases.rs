//! From the records of a case to what is drawn of it, the best first.

use super::{
    bars::{self, Bar},
    columns::Columns,
    latency::Marks,
    scale::{memory, microseconds, rate},
};
use crate::{
    case::Case,
    load::float,
    record::Record,
    report::figures::{self, Rounds},
    stats::Summary,
};

/// What bars are drawn of.
pub(super) struct Plot {
    of: fn(&Record) -> Option<f64>,
    show: fn(f64) -> String,
    more_is_better: bool,
}

pub(super) const RATE: Plot = Plot {
    of: |record| record.requests_per_second,
    show: rate,
    more_is_better: true,
};
pub(super) const CPU: Plot = Plot {
    of: |record| record.cpu_us_per_request,
    show: microseconds,
    more_is_better: false,
};
pub(super) const RESIDENT: Plot = Plot {
    of: |record| record.rss_kib.map(float),
    show: memory,
    more_is_better: false,
};
pub(super) const PROPORTIONAL: Plot = Plot {
    of: |record| record.pss_kib.map(float),
    show: memory,
    more_is_better: false,
};
pub(super) const PER_CONNECTION: Plot = Plot {
    of: |record| Some(record.bytes_per_connection? / 1024.0),
    show: memory,
    more_is_better: false,
};

/// Draws the bars of a case where it is judged. A case that was not measured has none.
pub(super) fn bars(
    columns: &mut Columns,
    heading: &str,
    (row, case): (u8, &Case),
    records: &[Record],
    figure: &Plot,
) {
    let servers = figures::of(row, case, case.judged, records);
    let bars = servers.iter().filter_map(|server| {
        let values = server.values(figure.of);
        let measured = match server.disqualified() {
            Some(reason) => Err(format!("does not count: {reason}")),
            None if values.is_empty() => return None,
            None => Ok(Summary::of(values)),
        };
        Some(Bar {
            name: server.name.to_owned(),
            is_ours: is_ours(case, server),
            measured,
        })
    });
    let mut bars: Vec<_> = bars.collect();
    bars.sort_by(|a, b| {
        let place = |bar: &Bar| match &bar.measured {
            Ok(summary) if figure.more_is_better => -summary.median,
            Ok(summary) => summary.median,
            Err(_) => f64::INFINITY,
        };
        place(a).total_cmp(&place(b))
    });
    if !bars.is_empty() {
        bars::draw(columns, heading, &bars, figure.show);
    }
}

/// The latencies of the servers that count.
pub(super) fn marks((row, case): (u8, &Case), records: &[Record]) -> Vec<Marks> {
    let servers = figures::of(row, case, case.judged, records);
    let counting = servers
        .iter()
        .filter(|server| server.disqualified().is_none());
    let mut marks: Vec<_> = counting
        .map(|server| {
            let times: [fn(&Record) -> Option<f64>; 3] =
                [|it| it.p50_ms, |it| it.p99_ms, |it| it.p999_ms];
            Marks {
                name: server.name.to_owned(),
                is_ours: is_ours(case, server),
                milliseconds: times.map(|time| Summary::of(server.values(time)).median),
            }
        })
        .collect();
    // What was not measured has no place on a logarithmic scale.
    marks.retain(|marks| marks.milliseconds.iter().all(|it| *it > 0.0));
    marks.sort_by(|a, b| a.milliseconds[1].total_cmp(&b.milliseconds[1]));
    marks
}

/// The first of the contenders is.
fn is_ours(case: &Case, server: &Rounds<'_>) -> bool {
    let ours = case.contenders.first();
    ours.is_some_and(|ours| ours.program.name == server.name)
}
