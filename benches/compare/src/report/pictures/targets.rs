//! How each target was met: all on one scale, on which the targets are one line.

use super::svg::{Anchor, Svg, cut};
use crate::{
    case::Row,
    record::Record,
    report::verdict::{End, Verdict, verdicts},
    stats::Summary,
    target::Bound,
};

const MARGIN: f64 = 28.0;
const WIDTH: f64 = 1060.0;
const TOP: f64 = 112.0;
const HEIGHT: f64 = 22.0;
const THICKNESS: f64 = 14.0;
const LABELS: f64 = 420.0;
const ROOM: f64 = 280.0;
const VALUES: f64 = 44.0;
const GAP: f64 = 12.0;
/// Where the scale ends, in targets: what is further is drawn as far.
const END: f64 = 2.0;

const TITLE: &str = "tower-wsgi against what a user would pick instead";
const HOW: [&str; 2] = [
    "Each bar is the measured ratio as a share of its target, with the spread of the rounds: what reaches the line meets \
     its target, longer is better.",
    "The figures are the ratio to the best peer that counts, and the target.",
];

/// The picture of all of them.
pub(super) fn picture(rows: &[Row], records: &[Record]) -> String {
    let mut svg = Svg::new(WIDTH, TITLE);
    svg.text("title", (MARGIN, 38.0), Anchor::Start, TITLE);
    for (line, y) in HOW.into_iter().zip([60.0, 78.0]) {
        svg.text("soft", (MARGIN, y), Anchor::Start, line);
    }
    let mut y = TOP;
    for row in rows {
        for case in &row.cases {
            let label = format!("{} · {}", row.number, case.name.replace('`', ""));
            for verdict in verdicts(row.number, case, records) {
                draw(&mut svg, y, &label, &verdict);
                y += HEIGHT;
            }
        }
    }
    svg.line("target", (place(1.0), TOP - 6.0), (place(1.0), y + 6.0));
    svg.text("", (place(1.0), TOP - 12.0), Anchor::Middle, "target");
    svg.finish(y + MARGIN)
}

fn draw(svg: &mut Svg, y: f64, label: &str, verdict: &Verdict) {
    let (start, base, middle) = (place(0.0), y + 15.0, y + HEIGHT / 2.0);
    let label = cut(label, LABELS - GAP);
    svg.text("", (start - GAP, base), Anchor::End, &label);
    let class = match verdict.end {
        End::Met => "ours",
        End::Missed => "missed",
        End::Open => "soft",
    };
    let bound = verdict.target.bound;
    if let Some(ratio) = verdict.ratio {
        let [median, min, max] = [ratio.median, ratio.min, ratio.max].map(|it| reach(bound, it));
        let corner = (start, middle - THICKNESS / 2.0);
        svg.rect(class, corner, place(median) - start, THICKNESS);
        svg.line("whisker", (place(min), middle), (place(max), middle));
        for end in [min, max] {
            svg.line(
                "whisker",
                (place(end), middle - 3.0),
                (place(end), middle + 3.0),
            );
        }
    }
    let value = place(END) + GAP;
    let room = WIDTH - MARGIN - value;
    match verdict.ratio {
        Some(Summary { median, .. }) => {
            let digits = if median < 10.0 { 2 } else { 0 };
            let figure = format!("{median:.digits$}");
            svg.text(class, (value + VALUES - GAP, base), Anchor::End, &figure);
            let target = cut(&verdict.words(), room - VALUES);
            svg.text("", (value + VALUES, base), Anchor::Start, &target);
        }
        None => {
            let why = cut(&verdict.measured, room);
            svg.text(class, (value, base), Anchor::Start, &why);
        }
    }
}

fn place(reach: f64) -> f64 {
    MARGIN + LABELS + ROOM * reach / END
}

/// How far a ratio reaches, where 1 is the target and more is better.
fn reach(bound: Bound, ratio: f64) -> f64 {
    let reach = match bound {
        Bound::AtLeast(bound) => ratio / bound,
        Bound::AtMost(bound) => bound / ratio,
    };
    reach.clamp(0.0, END)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        case::{Case, Group, Mode},
        load::Load,
        program::Program,
        target::Target,
    };

    #[test]
    fn a_bar_reaches_the_line_when_the_target_is_met() {
        assert!(reach(Bound::AtLeast(1.25), 1.3) > 1.0);
        assert!(reach(Bound::AtLeast(1.25), 1.2) < 1.0);
        assert!(reach(Bound::AtMost(1.2), 1.1) > 1.0);
        assert!(reach(Bound::AtMost(1.2), 1.3) < 1.0);
        assert_eq!(reach(Bound::AtMost(1.2), 0.0), END);
    }

    #[test]
    fn a_missed_target_stands_out() {
        let program = |name: &str| Program::new(name, name.into(), "{port}", "");
        let programs = ["ours", "theirs"].map(program).into();
        let case =
            Case::load("hello", &Load::get(64, b""), programs).target(Target::throughput(0.97));
        let row = Row {
            number: 1,
            group: Group::Rust,
            against: "theirs",
            cases: vec![case],
        };
        let record = |server, rate| Record {
            requests_per_second: Some(rate),
            ..Record::new(1, "hello", Mode::Pinned, server, 1)
        };
        let rows = [row];
        let picture = |ours| picture(&rows, &[record("ours", ours), record("theirs", 100.0)]);
        let missed = picture(90.0);
        assert!(missed.contains(r#"<rect class="missed""#), "{missed}");
        assert!(missed.contains(">0.90<"), "{missed}");
        let met = picture(98.0);
        assert!(met.contains(r#"<rect class="ours""#), "{met}");
    }
}
