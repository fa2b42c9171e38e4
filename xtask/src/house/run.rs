//! Runs the checks over the project, and prints what they find.

use super::files::{self, Crate, File};
use super::finding::{Exceptions, Finding, counts};
use super::{arrows, documents, graph, heads, package, types, words as phrases};
use crate::command::Failure;
use crate::workspace::Workspace;

/// Texts that are not read as prose: the lists themselves with the code that tests them, and reports of measurements.
const NOT_PROSE: [&str; 5] = [
    "xtask/words.txt",
    "xtask/exceptions.txt",
    "xtask/src/house/",
    "benches/results/",
    "LICENSE",
];

/// The step `words`: no phrase of `xtask/words.txt`.
pub(crate) fn words() -> Result<(), Failure> {
    let list = phrases::read()?;
    let is_prose = |file: &&File| {
        let path = file.path.as_str();
        !NOT_PROSE.iter().any(|it| path.starts_with(it)) && has_prose(path)
    };
    let files = files::read()?;
    let findings = files.iter().filter(is_prose);
    let findings = findings.flat_map(|file| phrases::check(&file.path, &file.text, &list));
    let findings = Exceptions::read()?.apply(findings.collect(), &["word"]);
    report(&findings)
}

fn has_prose(path: &str) -> bool {
    const EXTENSIONS: [&str; 11] = [
        "rs", "py", "pyi", "md", "toml", "yaml", "conf", "cfg", "service", "socket", "txt",
    ];
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    EXTENSIONS.contains(&extension)
}

/// The step `house`: the order of crates and modules, names of types, what each file is for, what a package brings, and
/// the files that documents name.
pub(crate) fn house() -> Result<(), Failure> {
    let files = files::read()?;
    let crates = files::crates(&files);
    let document = files.iter().find(|file| file.path == arrows::DOCUMENT);
    let orders = document.map_or_else(Vec::new, |file| arrows::orders(&file.text));
    let published = |krate: &&Crate| {
        let path = krate.files.first().map_or("", |file| &file.path);
        path.starts_with("crates/")
    };
    let mut findings: Vec<Finding> = crates.iter().flat_map(types::check).collect();
    findings.extend(
        files
            .iter()
            .filter(says_what_it_is_for)
            .filter_map(heads::check),
    );
    findings.extend(
        crates
            .iter()
            .filter(published)
            .flat_map(|krate| arrows::check(krate, &orders)),
    );
    let workspace = Workspace::read()?;
    findings.extend(graph::check(&workspace.dependencies()));
    findings.extend(package::check(&workspace.manifests(), &files));
    findings.extend(
        files
            .iter()
            .filter(is_document)
            .flat_map(|file| documents::check(file, &files)),
    );
    let kinds = [
        "name", "head", "arrow", "modules", "crate", "package", "path",
    ];
    report(&Exceptions::read()?.apply(findings, &kinds))
}

/// Whether the file is source: of a crate, or of the Python package.
fn says_what_it_is_for(file: &&File) -> bool {
    file.path.ends_with(".rs") && file.path.contains("/src/")
        || file.path.contains("/python/tower_wsgi/")
}

/// Whether the file is a document of now: the changelog names what was, results what was measured.
fn is_document(file: &&File) -> bool {
    let path = file.path.as_str();
    path.ends_with(".md") && path != "CHANGELOG.md" && !path.starts_with("benches/results/")
}

/// Prints the findings and their counts. Any is a failure.
fn report(findings: &[Finding]) -> Result<(), Failure> {
    if findings.is_empty() {
        return Ok(());
    }
    for finding in findings {
        println!("{finding}");
    }
    print!("{}", counts(findings));
    Err(Failure(format!(
        "{} to correct; an exception needs a reason in xtask/exceptions.txt",
        plural(findings.len())
    )))
}

fn plural(count: usize) -> String {
    if count == 1 {
        "1 finding".to_owned()
    } else {
        format!("{count} findings")
    }
}
