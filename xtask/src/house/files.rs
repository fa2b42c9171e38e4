//! The files of the project, and the crates that they belong to.

use std::collections::HashSet;
use std::fs;
use std::process::Command;

use super::prose;
use super::source::{test_modules, tokens};
use crate::command::{Failure, output, root};

/// A text file, with its path in the project.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct File {
    pub(super) path: String,
    pub(super) text: String,
}

/// The source of a crate without its tests.
#[derive(Debug)]
pub(super) struct Crate {
    /// That of its directory.
    pub(super) name: String,
    pub(super) files: Vec<File>,
}

/// All text files that git knows or would add.
pub(super) fn read() -> Result<Vec<File>, Failure> {
    let mut git = Command::new("git");
    git.args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]);
    git.current_dir(root());
    let paths = output(git)?;
    let paths = String::from_utf8_lossy(&paths);
    let mut files: Vec<File> = paths.split('\0').filter_map(file).collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.dedup();
    Ok(files)
}

/// Nothing if it is no text, or deleted and not yet committed.
fn file(path: &str) -> Option<File> {
    let text = fs::read(root().join(path)).ok()?;
    Some(File {
        path: path.to_owned(),
        text: String::from_utf8(text).ok()?,
    })
}

/// The crates among `files`: a folder `src`, and each program in `src/bin`.
pub(super) fn crates(files: &[File]) -> Vec<Crate> {
    let mut crates: Vec<(String, Vec<File>)> = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".rs")) {
        let Some((directory, inside)) = file.path.split_once("/src/") else {
            continue;
        };
        let program = inside
            .strip_prefix("bin/")
            .and_then(|it| it.split(['/', '.']).next());
        let directory = program.map_or(directory.to_owned(), |it| format!("{directory}/{it}"));
        match crates.iter_mut().find(|(name, _)| *name == directory) {
            Some((_, files)) => files.push(file.clone()),
            None => crates.push((directory, vec![file.clone()])),
        }
    }
    let name = |directory: &str| directory.rsplit('/').next().map(str::to_owned);
    crates
        .into_iter()
        .map(|(directory, files)| Crate::new(&name(&directory).unwrap_or_default(), files))
        .collect()
}

impl Crate {
    /// Leaves out the files of `files` that hold tests only.
    pub(super) fn new(name: &str, files: Vec<File>) -> Self {
        let tests: HashSet<String> = files.iter().flat_map(files_of_tests).collect();
        let is_test = |file: &File| {
            let inside = file
                .path
                .split_once("/src/")
                .map_or("", |(_, inside)| inside);
            let stem = file
                .path
                .trim_end_matches("/mod.rs")
                .trim_end_matches(".rs");
            prose::is_test(inside)
                || tests.iter().any(|test| {
                    let after = stem.strip_prefix(test.as_str());
                    after.is_some_and(|after| after.is_empty() || after.starts_with('/'))
                })
        };
        Self {
            name: name.to_owned(),
            files: files.into_iter().filter(|file| !is_test(file)).collect(),
        }
    }
}

/// The files and folders, without `.rs`, of the modules that `file` declares for tests.
fn files_of_tests(file: &File) -> Vec<String> {
    let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
    let folder = match name {
        "mod.rs" | "lib.rs" | "main.rs" => folder.to_owned(),
        _ => file.path.trim_end_matches(".rs").to_owned(),
    };
    let tokens = tokens(&file.text);
    let modules = test_modules(&tokens).into_iter();
    modules.map(|module| format!("{folder}/{module}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(paths: &[(&str, &str)]) -> Vec<File> {
        let file = |(path, text): &(&str, &str)| File {
            path: (*path).to_owned(),
            text: (*text).to_owned(),
        };
        paths.iter().map(file).collect()
    }

    #[test]
    fn a_crate_is_the_source_in_its_folder_without_tests() {
        let files = files(&[
            ("crates/a/src/lib.rs", "mod b; #[cfg(test)] mod helpers;"),
            ("crates/a/src/b.rs", "#[cfg(test)] mod inner; mod kept;"),
            ("crates/a/src/b/inner.rs", ""),
            ("crates/a/src/b/kept.rs", ""),
            ("crates/a/src/c/tests/mod.rs", ""),
            ("crates/a/src/helpers/mod.rs", ""),
            ("crates/a/src/helpers/deep.rs", ""),
            ("crates/a/tests/d.rs", ""),
            ("tests/src/bin/e/main.rs", ""),
            ("tests/src/lib.rs", ""),
        ]);
        let crates: Vec<_> = crates(&files)
            .into_iter()
            .map(|krate| {
                let paths = krate.files.into_iter().map(|file| file.path);
                (krate.name, paths.collect::<Vec<_>>())
            })
            .collect();
        let source = ["lib.rs", "b.rs", "b/kept.rs"].map(|file| format!("crates/a/src/{file}"));
        assert_eq!(
            crates,
            [
                ("a".to_owned(), source.to_vec()),
                ("e".to_owned(), vec!["tests/src/bin/e/main.rs".to_owned()]),
                ("tests".to_owned(), vec!["tests/src/lib.rs".to_owned()])
            ]
        );
    }
}
