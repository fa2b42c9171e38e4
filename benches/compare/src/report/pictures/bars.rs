//! A bar for each server, with the spread of the rounds as a whisker.

use super::{
    columns::{COLUMN, Columns},
    svg::{Anchor, cut, width_of, width_of_names},
};
use crate::stats::Summary;

const HEIGHT: f64 = 20.0;
const THICKNESS: f64 = 13.0;
const LONGEST_NAME: f64 = 160.0;
const GAP: f64 = 8.0;

/// One server.
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) is_ours: bool,
    /// Or why there is no figure.
    pub(super) measured: Result<Summary, String>,
}

/// Draws the servers of one case, with figures as `show` writes them.
pub(super) fn draw(columns: &mut Columns, heading: &str, bars: &[Bar], show: fn(f64) -> String) {
    let rows = bars.iter().map(|_| HEIGHT).sum();
    let (left, top) = columns.panel(heading, rows);
    let svg = &mut columns.svg;

    let names = bars.iter().map(|bar| &*bar.name);
    let names = width_of_names(names, LONGEST_NAME);
    let measured = || bars.iter().filter_map(|bar| bar.measured.as_ref().ok());
    let values = measured().map(|it| width_of(&show(it.median)));
    let values = values.fold(0.0, f64::max) + 2.0 * GAP;
    let longest = measured()
        .map(|it| it.max)
        .fold(f64::MIN_POSITIVE, f64::max);
    let start = left + names + GAP;
    let room = COLUMN - names - GAP - values;
    let place = |figure: f64| start + room * figure / longest;

    let mut y = top;
    for bar in bars {
        let base = y + 14.0;
        let middle = y + HEIGHT / 2.0;
        let (text, shape) = if bar.is_ours {
            ("ours", "ours")
        } else {
            ("", "peer")
        };
        svg.text(
            text,
            (left + names, base),
            Anchor::End,
            &cut(&bar.name, names),
        );
        match &bar.measured {
            Ok(figure) => {
                let corner = (start, middle - THICKNESS / 2.0);
                svg.rect(shape, corner, room * figure.median / longest, THICKNESS);
                let ends = (place(figure.min), place(figure.max));
                svg.line("whisker", (ends.0, middle), (ends.1, middle));
                for end in [ends.0, ends.1] {
                    svg.line("whisker", (end, middle - 3.0), (end, middle + 3.0));
                }
                let value = show(figure.median);
                svg.text(text, (ends.1 + GAP, base), Anchor::Start, &value);
            }
            Err(why) => {
                let why = cut(why, room + values);
                svg.text("soft", (start, base), Anchor::Start, &why);
            }
        }
        y += HEIGHT;
    }
}
