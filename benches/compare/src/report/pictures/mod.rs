//! The results as pictures: SVG without a script, readable in light and in dark.

mod bars;
mod cases;
mod columns;
mod draw;
mod latency;
mod scale;
mod svg;
mod targets;

pub(super) use self::draw::all;
