//! Panels in two columns, under a title.

use super::svg::{Anchor, Svg};

const MARGIN: f64 = 28.0;
const GAP: f64 = 44.0;
/// Where the first panels begin.
const TOP: f64 = 96.0;
/// What a panel's heading takes.
const HEADING: f64 = 22.0;
/// Between two panels of a column.
const SPACE: f64 = 24.0;

/// How wide a column is.
pub(super) const COLUMN: f64 = 480.0;

/// A picture that panels are put into.
pub(super) struct Columns {
    pub(super) svg: Svg,
    /// How far each column reaches.
    bottoms: [f64; 2],
}

impl Columns {
    /// `better` says how to read it.
    pub(super) fn new(title: &str, better: &str) -> Self {
        let mut svg = Svg::new(2.0 * (MARGIN + COLUMN) + GAP, title);
        svg.text("title", (MARGIN, 40.0), Anchor::Start, title);
        svg.text("soft", (MARGIN, 64.0), Anchor::Start, better);
        Self {
            svg,
            bottoms: [TOP; 2],
        }
    }

    /// Makes room for a panel in the shorter column. Gives the corner below its heading.
    pub(super) fn panel(&mut self, heading: &str, height: f64) -> (f64, f64) {
        let right = self.bottoms[1] < self.bottoms[0];
        let x = if right { MARGIN + COLUMN + GAP } else { MARGIN };
        let bottom = &mut self.bottoms[usize::from(right)];
        let top = *bottom;
        *bottom += HEADING + height + SPACE;
        self.svg
            .text("heading", (x, top + 12.0), Anchor::Start, heading);
        (x, top + HEADING)
    }

    /// The file.
    pub(super) fn finish(self) -> String {
        let [left, right] = self.bottoms;
        self.svg.finish(left.max(right) + MARGIN - SPACE)
    }
}
