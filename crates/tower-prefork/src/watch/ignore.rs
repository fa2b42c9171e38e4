use std::{ffi::OsStr, path::Path};

/// Whether a change of this path says nothing about the program's code: what editors, builds and
/// the program itself write. `path` is relative to the directory that is watched.
pub(super) fn is_ignored(path: &Path) -> bool {
    path.iter().any(is_ignored_name)
}

/// Whether neither a file nor a directory of this name is looked at.
pub(super) fn is_ignored_name(name: &OsStr) -> bool {
    const DIRECTORIES: [&str; 3] = ["__pycache__", "node_modules", "target"];
    // The last is a file that vim makes to see whether it can.
    const FILES: [&str; 1] = ["4913"];
    const ENDS: [&str; 18] = [
        // Editors.
        "~", ".swp", ".swo", ".swx", ".tmp", ".bak", //
        // Compiled Python.
        ".pyc", ".pyo", //
        // What a program writes while it runs.
        ".log", ".pid", ".sock", ".db", ".sqlite", ".sqlite3", //
        // Beside a database of SQLite.
        "-journal", "-wal", "-shm", "-mj",
    ];
    let name = name.to_string_lossy();
    name.starts_with('.')
        || name.starts_with('#') && name.ends_with('#')
        || DIRECTORIES.contains(&&*name)
        || FILES.contains(&&*name)
        || ENDS.iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_code_is_told_from_what_is_not() {
        for path in [
            ".git/index",
            "app/__pycache__/views.cpython-312.pyc",
            "views.pyc",
            "target/debug/shop",
            "web/node_modules/a/index.js",
            "views.py~",
            ".views.py.swp",
            "#views.py#",
            "4913",
            "db.sqlite3",
            "db.sqlite3-journal",
            "logs/access.log",
        ] {
            assert!(is_ignored(path.as_ref()), "{path}");
        }
        for path in [
            "views.py",
            "app/templates/index.html",
            "src/targets.rs",
            "settings.toml",
            "a#b",
            "dialog",
        ] {
            assert!(!is_ignored(path.as_ref()), "{path}");
        }
    }
}
