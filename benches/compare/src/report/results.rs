//! `results.md`: the table, then each row by itself.

use std::fmt::Write as _;

use super::{
    detail,
    verdict::{self, Verdict},
};
use crate::{case::Row, record::Record};

pub(super) fn text(rows: &[Row], records: &[Record]) -> String {
    let mut text = String::from(
        "# Results

Written by `cargo xtask compare`; the [README](README.md) says how it is measured, and [rounds.csv](rounds.csv) has every
round. As pictures: [throughput](throughput.svg), [latency](latency.svg), [processor time](cpu.svg), [memory](memory.svg),
[connections](connections.svg).

A ratio is ours to theirs, the median of the rounds, against the best peer that counts, with the spread of the rounds in
parentheses; more is better for throughput, less for everything else. Where the load has used more than 90 % of its core,
it is the limit, and the ratio is that of the processor time for each request.

",
    );
    text.push_str(&summary(rows, records));
    for row in rows {
        for case in &row.cases {
            text.push_str(&detail::text(row, case, records));
        }
    }
    text
}

/// The table of all rows.
pub(crate) fn summary(rows: &[Row], records: &[Record]) -> String {
    let mut table = String::from(
        "| | case | against | target | measured | verdict |\n| ---: | --- | --- | --- | --- | --- |\n",
    );
    for row in rows {
        for case in &row.cases {
            for verdict in verdict::verdicts(row.number, case, records) {
                let Verdict { measured, end, .. } = &verdict;
                let target = verdict.words();
                let (number, name, against) = (row.number, &case.name, row.against);
                let _ = writeln!(
                    table,
                    "| {number} | {name} | {against} | {target} | {measured} | {end} |"
                );
            }
        }
    }
    table
}
