//! Holds the arrows between the published crates.

use super::finding::Finding;

/// Each published crate, with those that it may use beside what they use.
const GRAPH: [(&str, &[&str]); 6] = [
    ("tower-wsgi-python", &["tower-wsgi", "tower-prefork"]),
    ("tower-wsgi", &["tower-blocking"]),
    ("tower-prefork", &["tower-serve"]),
    ("tower-blocking", &["tower-server-info"]),
    ("tower-serve", &["tower-server-info"]),
    ("tower-server-info", &[]),
];

/// Each of `dependencies` between our packages that the graph does not have. Those of tests count as well.
pub(super) fn check(dependencies: &[(String, String)]) -> Vec<Finding> {
    let published = |name: &str| GRAPH.iter().any(|(krate, _)| *krate == name);
    let wrong = dependencies
        .iter()
        .filter(|(from, to)| published(from) && published(to) && !reaches(from, to));
    wrong
        .map(|(from, to)| Finding {
            file: format!("crates/{from}/Cargo.toml"),
            line: 1,
            key: format!("crate {from} -> {to}"),
            message: format!(
                "{from} must not depend on {to}; write what both need in a crate below them, see docs/architecture.md"
            ),
        })
        .collect()
}

fn reaches(from: &str, to: &str) -> bool {
    let below = GRAPH.iter().find(|(krate, _)| *krate == from);
    let mut below = below.into_iter().flat_map(|(_, below)| *below);
    below.any(|next| *next == to || reaches(next, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(dependencies: &[(&str, &str)]) -> Vec<String> {
        let owned = |(from, to): &(&str, &str)| ((*from).to_owned(), (*to).to_owned());
        let dependencies: Vec<_> = dependencies.iter().map(owned).collect();
        check(&dependencies).into_iter().map(|it| it.key).collect()
    }

    #[test]
    fn a_crate_may_use_all_below_it() {
        let dependencies = [
            ("tower-wsgi", "tower-blocking"),
            ("tower-wsgi-python", "tower-server-info"),
            ("tests", "tower-prefork"),
        ];
        assert_eq!(keys(&dependencies), [""; 0]);
    }

    #[test]
    fn the_two_halves_do_not_know_each_other() {
        let dependencies = [
            ("tower-wsgi", "tower-serve"),
            ("tower-prefork", "tower-blocking"),
            ("tower-serve", "tower-prefork"),
        ];
        let expected = dependencies.map(|(from, to)| format!("crate {from} -> {to}"));
        assert_eq!(keys(&dependencies), expected);
    }
}
