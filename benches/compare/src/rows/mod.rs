//! The rows of the table: the servers that are compared, and the targets.

mod asgi;
mod asynchronous;
mod edge;
mod peers;
mod python;
mod resources;
mod rust;
mod tls;

use crate::{case::Row, places::Places};

/// The body of the responses of the Rust servers.
const HELLO: &[u8] = b"Hello, world!";

/// All of them, in order.
pub(crate) fn rows(places: &Places) -> Vec<Row> {
    let mut rows = rust::rows(places);
    rows.extend(python::rows(places));
    rows.extend(resources::rows(places));
    rows.extend(asynchronous::rows(places));
    rows.extend(edge::rows(places));
    rows
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::program::PORT;

    fn places() -> Places {
        Places {
            python: "/python".into(),
            rust: "/rust".into(),
            logs: "/logs".into(),
            results: "/results".into(),
        }
    }

    #[test]
    fn the_rows_are_numbered_in_order() {
        let numbers: Vec<_> = rows(&places()).iter().map(|row| row.number).collect();
        assert_eq!(numbers, (1..=23).collect::<Vec<u8>>());
    }

    #[test]
    fn a_case_is_known_by_its_name_and_a_server_by_its_name_in_the_case() {
        for row in rows(&places()) {
            let mut cases = HashSet::new();
            for case in &row.cases {
                assert!(
                    cases.insert(case.name.clone()),
                    "{}: {}",
                    row.number,
                    case.name
                );
                let mut servers = HashSet::new();
                for contender in &case.contenders {
                    let name = &contender.program.name;
                    assert!(servers.insert(name.clone()), "{}: {name}", row.number);
                }
            }
        }
    }

    #[test]
    fn every_server_is_told_its_port_and_why() {
        for row in rows(&places()) {
            for contender in row.cases.iter().flat_map(|case| &case.contenders) {
                let program = &contender.program;
                assert!(program.line().contains("PORT"), "{}", program.line());
                assert!(program.arguments.iter().any(|it| it.contains(PORT)));
                assert!(
                    program.why.ends_with('.'),
                    "{}: {}",
                    program.name,
                    program.why
                );
            }
        }
    }
}
