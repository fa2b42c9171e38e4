//! Holds what a published crate must bring: its README, its licence, and what crates.io and docs.rs read.

use super::files::File;
use super::finding::Finding;
use crate::workspace::Package;

/// What each of `packages` lacks among `files`, which hold all files of the project.
pub(super) fn check(packages: &[Package], files: &[File]) -> Vec<Finding> {
    packages
        .iter()
        .flat_map(|package| lacks(package, files))
        .collect()
}

fn lacks(package: &Package, files: &[File]) -> Vec<Finding> {
    let directory = format!("crates/{}", package.name);
    let text = |path: &str| {
        let file = files.iter().find(|file| file.path == path);
        file.map(|file| file.text.as_str())
    };
    let documentation = format!("https://docs.rs/{}", package.name);
    let docs_rs = ["--cfg".to_owned(), "docsrs".to_owned()];
    let root = text(&format!("{directory}/src/lib.rs")).unwrap_or_default();
    let licence = text(&format!("{directory}/LICENSE"));
    let rules = [
        (
            package.license == "MIT",
            "no licence; write `license.workspace = true`",
        ),
        (
            licence.is_some() && licence == text("LICENSE"),
            "no copy of the licence; write the file LICENSE of the project into its directory",
        ),
        (
            package.readme == "README.md" && text(&format!("{directory}/README.md")).is_some(),
            "no README of its own; write one, and `readme = \"README.md\"`",
        ),
        (
            package.documentation == documentation,
            "no address of its documentation; write `documentation = \"https://docs.rs/NAME\"`",
        ),
        (
            (1..=5).contains(&package.keywords.len()) && !package.categories.is_empty(),
            "no keywords or categories; write one to five keywords of its own",
        ),
        (
            package.docs_rs_arguments == docs_rs,
            "no badges for its features on docs.rs; write `rustdoc-args = [\"--cfg\", \"docsrs\"]`",
        ),
        (
            root.contains("#![cfg_attr(docsrs, feature(doc_cfg))]"),
            "no badges for its features on docs.rs; write `#![cfg_attr(docsrs, feature(doc_cfg))]` in lib.rs",
        ),
        (
            root.contains("include_str!(\"../README.md\")"),
            "no test of the README's examples; write `#[cfg(doctest)] #[doc = include_str!(\"../README.md\")]` in lib.rs",
        ),
    ];
    let broken = rules.iter().filter(|(holds, _)| !holds);
    broken
        .map(|(_, what)| Finding {
            file: format!("{directory}/Cargo.toml"),
            line: 1,
            key: format!("package {}", package.name),
            message: format!("{} has {what}", package.name),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package() -> Package {
        Package {
            name: "a".to_owned(),
            license: "MIT".to_owned(),
            readme: "README.md".to_owned(),
            documentation: "https://docs.rs/a".to_owned(),
            keywords: vec!["http".to_owned()],
            categories: vec!["asynchronous".to_owned()],
            docs_rs_arguments: vec!["--cfg".to_owned(), "docsrs".to_owned()],
        }
    }

    fn files(licence: &str) -> Vec<File> {
        let root = "#![cfg_attr(docsrs, feature(doc_cfg))]\n#[cfg(doctest)]\n#[doc = include_str!(\"../README.md\")]";
        let files = [
            ("LICENSE", "MIT License"),
            ("crates/a/LICENSE", licence),
            ("crates/a/README.md", "# a"),
            ("crates/a/src/lib.rs", root),
        ];
        let file = |(path, text): (&str, &str)| File {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        files.map(file).into()
    }

    #[test]
    fn a_complete_package_passes() {
        assert_eq!(check(&[package()], &files("MIT License")), []);
    }

    #[test]
    fn each_thing_that_is_missing_is_named() {
        let mut bare = package();
        bare.keywords.clear();
        bare.readme = "../../README.md".to_owned();
        let found = check(&[bare], &files("another"));
        let found: Vec<_> = found
            .iter()
            .map(|it| it.message.split(';').next())
            .collect();
        assert_eq!(
            found,
            [
                Some("a has no copy of the licence"),
                Some("a has no README of its own"),
                Some("a has no keywords or categories")
            ]
        );
    }
}
