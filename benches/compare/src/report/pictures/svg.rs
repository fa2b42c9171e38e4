//! Writes SVG: the few shapes that the pictures have, and their colours.

use std::fmt::Write as _;

/// Classes of the shapes. What is ours has the one bright colour.
const STYLE: &str = "\
text { font-family: system-ui, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif; font-size: 12px; fill: #1f2328 }
.title { font-size: 20px; font-weight: 600 }
.heading { font-size: 13px; font-weight: 600 }
text.ours, text.missed { font-weight: 600; stroke: none }
text.soft { fill: #59636e }
.background { fill: #ffffff }
.ours, text.ours { fill: #0969da }
.missed, text.missed { fill: #bc4c00 }
.peer { fill: #afb8c1 }
line.ours { stroke: #0969da }
line.peer { stroke: #afb8c1 }
circle.hollow { fill: #ffffff; stroke-width: 2 }
circle.ours { stroke: #0969da }
circle.peer { stroke: #8c959f }
.grid { stroke: #d1d9e0 }
.whisker { stroke: #1f2328; stroke-opacity: 0.6 }
.target { stroke: #1f2328; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
text.soft { fill: #9198a1 }
.background { fill: #0d1117 }
.ours, text.ours { fill: #4493f8 }
.missed, text.missed { fill: #db6d28 }
.peer { fill: #57606a }
line.ours { stroke: #4493f8 }
line.peer { stroke: #57606a }
circle.hollow { fill: #0d1117 }
circle.ours { stroke: #4493f8 }
circle.peer { stroke: #6e7781 }
.grid { stroke: #3d444d }
.whisker { stroke: #e6edf3 }
.target { stroke: #e6edf3 }
}";

/// How wide a letter is, more or less: no font is at hand to ask.
const LETTER: f64 = 6.4;

/// How much wider it is where it is bold.
const BOLD: f64 = 1.25;

/// A picture in the making. Classes are names from [`STYLE`].
pub(super) struct Svg {
    width: f64,
    title: String,
    elements: String,
}

/// On which side of its place a text stands.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Svg {
    pub(super) fn new(width: f64, title: &str) -> Self {
        Self {
            width,
            title: title.to_owned(),
            elements: String::new(),
        }
    }

    pub(super) fn rect(&mut self, class: &str, (x, y): (f64, f64), width: f64, height: f64) {
        let _ = writeln!(
            self.elements,
            r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}"/>"#
        );
    }

    pub(super) fn line(&mut self, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        let _ = writeln!(
            self.elements,
            r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#
        );
    }

    pub(super) fn circle(&mut self, class: &str, (x, y): (f64, f64), radius: f64) {
        let _ = writeln!(
            self.elements,
            r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="{radius:.1}"/>"#
        );
    }

    /// `y` is the base line's.
    pub(super) fn text(&mut self, class: &str, (x, y): (f64, f64), anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escape(text);
        let _ = writeln!(
            self.elements,
            r#"<text class="{class}" x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#
        );
    }

    /// The file.
    pub(super) fn finish(self, height: f64) -> String {
        let Self {
            width,
            title,
            elements,
        } = self;
        let title = escape(&title);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\">\n<title>{title}</title>\n<style>\n{STYLE}\n</style>\n\
             <rect class=\"background\" width=\"100%\" height=\"100%\" rx=\"6\"/>\n{elements}</svg>\n"
        )
    }
}

/// How wide a text will be, more or less.
pub(super) fn width_of(text: &str) -> f64 {
    text.chars().map(|_| LETTER).sum()
}

/// What names of servers need beside each other's bars, one of which is bold.
pub(super) fn width_of_names<'a>(names: impl Iterator<Item = &'a str>, most: f64) -> f64 {
    names
        .map(|name| width_of(name) * BOLD)
        .fold(0.0, f64::max)
        .min(most)
}

/// What fits of a text into a width.
pub(super) fn cut(text: &str, width: f64) -> String {
    if width_of(text) <= width {
        return text.to_owned();
    }
    let mut cut = String::new();
    for letter in text.chars() {
        if width_of(&cut) + 2.0 * LETTER > width {
            break;
        }
        cut.push(letter);
    }
    cut.truncate(cut.trim_end().len());
    cut + "…"
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_not_taken_for_markup() {
        let mut svg = Svg::new(100.0, "a < b");
        svg.text("label", (1.0, 2.0), Anchor::Start, "<script> & co");
        let file = svg.finish(50.0);
        assert!(file.contains("<title>a &lt; b</title>"), "{file}");
        assert!(file.contains(">&lt;script&gt; &amp; co</text>"), "{file}");
        assert!(!file.contains("<script"), "{file}");
    }

    #[test]
    fn long_text_is_cut_where_it_does_not_fit() {
        let text = "the server closed a connection";
        assert_eq!(cut(text, 1000.0), text);
        let short = cut(text, 100.0);
        assert!(text.starts_with(short.trim_end_matches('…')), "{short}");
        assert!(short.ends_with('…') && width_of(&short) <= 100.0, "{short}");
    }
}
