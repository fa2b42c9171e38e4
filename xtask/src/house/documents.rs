//! Holds the documents to the files that they name: each exists, and the walk of a request stays short.

use std::collections::BTreeSet;

use super::files::File;
use super::finding::Finding;

/// The most files that the walk of one request may name.
const LONGEST_WALK: usize = 35;

/// The heading of the walk, in `docs/architecture.md`.
const WALK: &str = "## The walk of one request";

/// The directories whose files are recognised in backticks.
const DIRECTORIES: [&str; 7] = [
    "benches", "crates", "deploy", "docs", "examples", "tests", "xtask",
];

/// The paths in the document `file` that do not exist, and what is wrong with its walk of a request.
pub(super) fn check(file: &File, files: &[File]) -> Vec<Finding> {
    let named = paths(&file.text);
    let missing = named.iter().filter(|(_, path)| !exists(path, files));
    let missing = missing.map(|(line, path)| {
        let message = format!(
            "there is no {path}; write the path of a file or directory from the root of the project"
        );
        finding(file, *line, message)
    });
    missing.chain(walk(file)).collect()
}

/// The paths in backticks, with their lines. A path in a command, or with a `*`, is none.
fn paths(text: &str) -> Vec<(usize, &str)> {
    let is_path = |code: &str| {
        let first = code.split('/').next().unwrap_or_default();
        let other = |c: char| c.is_whitespace() || matches!(c, '*' | '{' | '…' | ':' | '<');
        code.contains('/') && DIRECTORIES.contains(&first) && !code.contains(other)
    };
    let mut paths = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let code = line.split('`').skip(1).step_by(2);
        paths.extend(code.filter(|it| is_path(it)).map(|path| (number, path)));
    }
    paths
}

fn exists(path: &str, files: &[File]) -> bool {
    let path = path.trim_end_matches('/');
    files.iter().any(|file| {
        let after = file.path.strip_prefix(path);
        after.is_some_and(|after| after.is_empty() || after.starts_with('/'))
    })
}

/// The walk names each file once, and at most [`LONGEST_WALK`].
fn walk(file: &File) -> Vec<Finding> {
    let Some(begin) = file.text.lines().position(|line| line.starts_with(WALK)) else {
        return Vec::new();
    };
    let lines: Vec<_> = file.text.lines().collect();
    let after = &lines[begin + 1..];
    let end = after
        .iter()
        .position(|line| line.starts_with("## "))
        .unwrap_or(after.len());
    let section = after[..end].join("\n");
    let (mut seen, mut findings) = (BTreeSet::new(), Vec::new());
    for (line, path) in paths(&section) {
        if !seen.insert(path) {
            let message = format!(
                "the walk comes back to {path}; write each file once, in the order of the data"
            );
            findings.push(finding(file, begin + 1 + line, message));
        }
    }
    if seen.is_empty() || seen.len() > LONGEST_WALK {
        let message = format!(
            "the walk names {} files; write one of 1 to {LONGEST_WALK}",
            seen.len()
        );
        findings.push(finding(file, begin + 1, message));
    }
    findings
}

fn finding(file: &File, line: usize, message: String) -> Finding {
    Finding {
        file: file.path.clone(),
        line,
        key: format!("path {}", file.path),
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    fn found(text: &str) -> Vec<String> {
        let files = ["a", "b"].map(|name| file(&format!("crates/{name}/src/lib.rs"), ""));
        let findings = check(&file("docs/x.md", text), &files).into_iter();
        findings.map(|it| it.to_string()).collect()
    }

    #[test]
    fn a_path_that_is_not_there_is_found() {
        let text = "In `crates/a/src/lib.rs` of `crates/a`,\nnot in `crates/c`; `cargo x crates/c`, `crates/*/src`, `a/c`.";
        let expected = "docs/x.md:2: there is no crates/c; write the path of a file or directory from the root of the project";
        assert_eq!(found(text), [expected]);
    }

    #[test]
    fn a_walk_does_not_come_back() {
        let step = "`crates/a/src/lib.rs`, `crates/b/src/lib.rs`\n";
        let walk = format!("# Document\n{step}\n{WALK} from accept to response\n\n{step}");
        assert_eq!(found(&format!("{walk}\n## Next\n{step}")), [""; 0]);
        let [first, _] = &found(&format!("{walk}{step}"))[..] else {
            panic!("both come back");
        };
        assert_eq!(
            first,
            "docs/x.md:7: the walk comes back to crates/a/src/lib.rs; write each file once, in the order of the data"
        );
    }

    #[test]
    fn a_walk_is_short() {
        let files: Vec<_> = (0..36)
            .map(|number| file(&format!("crates/{number}.rs"), ""))
            .collect();
        let steps: String = files
            .iter()
            .map(|file| format!("`{}`\n", file.path))
            .collect();
        let document = file("docs/x.md", &format!("{WALK}\n{steps}"));
        let findings = check(&document, &files);
        assert_eq!(
            findings[0].message,
            "the walk names 36 files; write one of 1 to 35"
        );
        let document = file("docs/x.md", &format!("{WALK}\nNothing.\n"));
        assert_eq!(check(&document, &files).len(), 1);
    }
}
