//! Finds files that do not say what they are for.

use super::files::File;
use super::finding::Finding;
use super::python;

/// A finding if a Rust file does not begin with `//!`, or a Python file with a docstring.
pub(super) fn check(file: &File) -> Option<Finding> {
    let (says, how) = if file.path.ends_with(".rs") {
        // The documentation of a crate may be its README.
        let says = ["//!", "#![doc = include_str!"];
        let says = says.iter().any(|it| file.text.starts_with(it));
        (says, "a line `//! …`")
    } else if file.path.ends_with(".py") {
        let says = file.text.trim().is_empty() || python::has_docstring(&file.text);
        (says, "a docstring")
    } else {
        return None;
    };
    (!says).then(|| Finding {
        file: file.path.clone(),
        line: 1,
        key: format!("head {}", file.path),
        message: format!("the file does not say what it is for; write {how} at its beginning"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> bool {
        let file = File {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        check(&file).is_some()
    }

    #[test]
    fn a_file_says_what_it_is_for() {
        assert!(!found("a.rs", "//! The first.\n\nuse a;"));
        assert!(found("a.rs", "use a;\n//! Late."));
        assert!(!found("a.py", "\"\"\"The first.\"\"\"\n"));
        assert!(!found("__init__.py", ""));
        assert!(found("a.py", "import a\n"));
        assert!(!found("a.md", "use a;"));
    }
}
