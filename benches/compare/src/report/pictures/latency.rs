//! Three marks for each server on a logarithmic scale: how long half, nearly all and very nearly all responses took.

use super::{
    columns::{COLUMN, Columns},
    scale::{decade_above, decade_below, digits, milliseconds},
    svg::{Anchor, Svg, cut, width_of_names},
};

const HEIGHT: f64 = 20.0;
/// For the figures of the scale.
const AXIS: f64 = 18.0;
const LONGEST_NAME: f64 = 160.0;
const VALUES: f64 = 132.0;
const GAP: f64 = 10.0;

/// One server.
pub(super) struct Marks {
    pub(super) name: String,
    pub(super) is_ours: bool,
    /// p50, p99 and p99.9 in milliseconds, medians of the rounds.
    pub(super) milliseconds: [f64; 3],
}

/// Draws the servers of one case.
pub(super) fn draw(columns: &mut Columns, heading: &str, servers: &[Marks]) {
    let rows: f64 = servers.iter().map(|_| HEIGHT).sum();
    let (left, top) = columns.panel(heading, rows + AXIS);
    let svg = &mut columns.svg;

    let names = servers.iter().map(|server| &*server.name);
    let names = width_of_names(names, LONGEST_NAME);
    let all = || servers.iter().flat_map(|server| server.milliseconds);
    let first = decade_below(all().fold(f64::MAX, f64::min));
    let last = decade_above(all().fold(first * 10.0, f64::max));
    let start = left + names + GAP;
    let room = COLUMN - names - GAP - VALUES;
    let place = |figure: f64| start + room * (figure / first).log10() / (last / first).log10();

    let mut line = first;
    while line <= last * 1.001 {
        svg.line("grid", (place(line), top), (place(line), top + rows));
        let label = (place(line), top + rows + 14.0);
        svg.text("soft", label, Anchor::Middle, &milliseconds(line));
        line *= 10.0;
    }
    let mut y = top;
    for server in servers {
        let (text, shape) = if server.is_ours {
            ("ours", "ours")
        } else {
            ("", "peer")
        };
        let name = cut(&server.name, names);
        svg.text(text, (left + names, y + 14.0), Anchor::End, &name);
        marks(svg, shape, server.milliseconds.map(place), y + HEIGHT / 2.0);
        let values = server.milliseconds.map(digits).join(" · ");
        svg.text(text, (left + COLUMN, y + 14.0), Anchor::End, &values);
        y += HEIGHT;
    }
}

/// A dot, a ring and a stroke.
fn marks(svg: &mut Svg, shape: &str, [p50, p99, p999]: [f64; 3], y: f64) {
    svg.line(shape, (p50, y), (p999, y));
    svg.line(shape, (p999, y - 6.0), (p999, y + 6.0));
    svg.circle(&format!("{shape} hollow"), (p99, y), 4.0);
    svg.circle(shape, (p50, y), 4.0);
}
