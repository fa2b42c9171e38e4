//! Compares the counts with those of the baseline.

use std::fmt::Write as _;

use super::baseline::Counts;

/// How much a count may rise, in percent.
pub(super) const LIMIT: f64 = 3.0;

/// One hot path.
#[derive(Debug, PartialEq)]
pub(super) struct Row<'a> {
    name: &'a str,
    before: Option<u64>,
    now: Option<u64>,
}

/// The paths that are in either of the two.
pub(super) fn rows<'a>(before: &'a Counts, now: &'a Counts) -> Vec<Row<'a>> {
    let mut names: Vec<&str> = before
        .keys()
        .chain(now.keys())
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    names.dedup();
    let row = |name| Row {
        name,
        before: before.get(name).copied(),
        now: now.get(name).copied(),
    };
    names.into_iter().map(row).collect()
}

pub(super) fn table(rows: &[Row<'_>]) -> String {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let mut table = format!(
        "{:<width$} {:>12} {:>12} {:>9}\n",
        "", "baseline", "now", "change"
    );
    for row in rows {
        let count = |count: Option<u64>| count.map_or("–".to_owned(), |it| it.to_string());
        let change = row
            .change()
            .map_or(String::new(), |change| format!("{change:+.2} %"));
        let line = format!(
            "{:<width$} {:>12} {:>12} {change:>9}",
            row.name,
            count(row.before),
            count(row.now)
        );
        let _ = writeln!(table, "{}", line.trim_end());
    }
    table
}

/// Why the check fails: parts of a sentence.
pub(super) fn problems(rows: &[Row<'_>]) -> Vec<String> {
    rows.iter().filter_map(Row::problem).collect()
}

impl Row<'_> {
    /// In percent.
    fn change(&self) -> Option<f64> {
        // Counts are far below what a float holds exactly.
        #[expect(clippy::cast_precision_loss, reason = "see above")]
        let [before, now] = [self.before? as f64, self.now? as f64];
        Some((now / before - 1.0) * 100.0)
    }

    fn problem(&self) -> Option<String> {
        let name = self.name;
        match (self.before, self.now, self.change()) {
            (None, ..) => Some(format!("{name} is new")),
            (_, None, _) => Some(format!("{name} is gone")),
            (.., Some(change)) if change > LIMIT => Some(format!("{name} rose by {change:.1} %")),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts<const N: usize>(counts: [(&str, u64); N]) -> Counts {
        counts.map(|(name, count)| (name.to_owned(), count)).into()
    }

    #[test]
    fn a_rise_over_the_limit_is_a_problem() {
        let before = counts([("a", 1000), ("b", 1000), ("c", 1000)]);
        let now = counts([("a", 1029), ("b", 1031), ("c", 500)]);
        let problems = problems(&rows(&before, &now));
        assert_eq!(problems, ["b rose by 3.1 %"]);
    }

    #[test]
    fn a_path_that_only_one_knows_is_a_problem() {
        let (before, now) = (counts([("a", 1), ("b", 1)]), counts([("b", 1), ("c", 1)]));
        let problems = problems(&rows(&before, &now));
        assert_eq!(problems, ["a is gone", "c is new"]);
    }

    #[test]
    fn the_table_shows_both_counts_and_the_change() {
        let (before, now) = (counts([("a.b", 1000)]), counts([("a.b", 990), ("c", 5)]));
        let table = table(&rows(&before, &now));
        assert_eq!(
            table,
            "        baseline          now    change\n\
             a.b         1000          990   -1.00 %\n\
             c              –            5\n"
        );
    }
}
