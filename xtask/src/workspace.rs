//! The packages of the workspace, read from `cargo metadata`.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::command::{Failure, cargo, output};

/// The packages of the workspace.
pub(crate) struct Workspace {
    packages: Vec<Value>,
    target_directory: PathBuf,
}

/// A published library, with the features that it can be built with.
#[derive(Debug, PartialEq)]
pub(crate) struct Library {
    pub(crate) name: String,
    pub(crate) features: Vec<String>,
}

/// The part of the manifest of a published library that crates.io and docs.rs read; a missing value is empty.
#[derive(Debug, PartialEq)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) license: String,
    pub(crate) readme: String,
    pub(crate) documentation: String,
    pub(crate) keywords: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) docs_rs_arguments: Vec<String>,
}

impl Workspace {
    pub(crate) fn read() -> Result<Self, Failure> {
        Self::parse(&output(cargo(
            "metadata --format-version 1 --no-deps --all-features",
        ))?)
    }

    fn parse(metadata: &[u8]) -> Result<Self, Failure> {
        let mut metadata: Value = serde_json::from_slice(metadata)
            .map_err(|error| Failure(format!("`cargo metadata` gave no valid JSON: {error}")))?;
        match (
            metadata["packages"].take(),
            metadata["target_directory"].take(),
        ) {
            (Value::Array(packages), Value::String(target_directory)) => Ok(Self {
                packages,
                target_directory: target_directory.into(),
            }),
            _ => Err(Failure(
                "`cargo metadata` gave no list of packages".to_owned(),
            )),
        }
    }

    /// Cargo's target directory.
    pub(crate) fn target_directory(&self) -> &Path {
        &self.target_directory
    }

    /// The libraries that others can depend on: those not marked `publish = false`.
    pub(crate) fn libraries(&self) -> Vec<Library> {
        let library = |package: &Value| Library {
            name: text(&package["name"]),
            features: package["features"]
                .as_object()
                .into_iter()
                .flat_map(|features| features.keys())
                .filter(|feature| *feature != "default")
                .cloned()
                .collect(),
        };
        self.published().map(library).collect()
    }

    /// The manifests of these libraries.
    pub(crate) fn manifests(&self) -> Vec<Package> {
        let manifest = |package: &Value| Package {
            name: text(&package["name"]),
            license: text(&package["license"]),
            readme: text(&package["readme"]),
            documentation: text(&package["documentation"]),
            keywords: texts(&package["keywords"]),
            categories: texts(&package["categories"]),
            docs_rs_arguments: texts(&package["metadata"]["docs"]["rs"]["rustdoc-args"]),
        };
        self.published().map(manifest).collect()
    }

    fn published(&self) -> impl Iterator<Item = &Value> {
        let packages = self.packages.iter();
        // A library that is a Python module as well is of another kind.
        let is_library =
            |package: &Value| has_target(package, "lib") || has_target(package, "rlib");
        packages.filter(move |package| package["publish"].is_null() && is_library(package))
    }

    /// Which package of the workspace depends on which other, for its code, its tests or its build script.
    pub(crate) fn dependencies(&self) -> Vec<(String, String)> {
        let name = |value: &Value| text(&value["name"]);
        let ours: Vec<String> = self.packages.iter().map(name).collect();
        let of = |package: &Value| -> Vec<(String, String)> {
            let dependencies = package["dependencies"].as_array().into_iter().flatten();
            let pairs = dependencies.map(|dependency| (name(package), name(dependency)));
            pairs.filter(|(_, to)| ours.contains(to)).collect()
        };
        self.packages.iter().flat_map(of).collect()
    }

    /// Whether there is a benchmark to run.
    pub(crate) fn has_benchmarks(&self) -> bool {
        self.packages
            .iter()
            .any(|package| has_target(package, "bench"))
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}

fn has_target(package: &Value, kind: &str) -> bool {
    let targets = package["targets"].as_array().into_iter().flatten();
    targets
        .flat_map(|target| target["kind"].as_array().into_iter().flatten())
        .any(|k| k == kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = r#"{"packages": [
        {"name": "server", "publish": null, "features": {"cli": ["dep:clap"], "default": ["cli"], "tls": []},
         "targets": [{"kind": ["lib"]}, {"kind": ["test"]}]},
        {"name": "command", "publish": null, "features": {}, "targets": [{"kind": ["bin"]}],
         "dependencies": [{"name": "server", "kind": null}, {"name": "tokio", "kind": null}]},
        {"name": "internal", "publish": [], "features": {"slow": []}, "targets": [{"kind": ["lib"]}]}
    ], "target_directory": "/project/target"}"#;

    #[test]
    fn only_published_libraries_are_listed_with_features_but_the_default() {
        let module = METADATA.replace(
            r#"{"kind": ["lib"]}, "#,
            r#"{"kind": ["rlib", "cdylib"]}, "#,
        );
        for metadata in [METADATA, &module] {
            let workspace = Workspace::parse(metadata.as_bytes()).expect("the metadata is valid");
            let features = vec!["cli".to_owned(), "tls".to_owned()];
            let name = "server".to_owned();
            assert_eq!(workspace.libraries(), [Library { name, features }]);
        }
    }

    #[test]
    fn manifests_of_published_libraries_are_read() {
        let metadata = METADATA.replace(
            r#""name": "server","#,
            r#""name": "server", "license": "MIT", "metadata": {"docs": {"rs": {"rustdoc-args": ["--cfg"]}}},"#,
        );
        let workspace = Workspace::parse(metadata.as_bytes()).expect("the metadata is valid");
        let manifests = workspace.manifests();
        assert_eq!(manifests.len(), 1);
        assert_eq!(manifests[0].license, "MIT");
        assert_eq!(manifests[0].docs_rs_arguments, ["--cfg"]);
        assert_eq!(manifests[0].readme, "");
    }

    #[test]
    fn dependencies_between_our_packages_are_listed() {
        let workspace = Workspace::parse(METADATA.as_bytes()).expect("the metadata is valid");
        let expected = [("command".to_owned(), "server".to_owned())];
        assert_eq!(workspace.dependencies(), expected);
    }

    #[test]
    fn a_bench_target_is_found() {
        let without = Workspace::parse(METADATA.as_bytes()).expect("the metadata is valid");
        assert!(!without.has_benchmarks());
        let metadata = METADATA.replace(r#"["test"]"#, r#"["bench"]"#);
        let with = Workspace::parse(metadata.as_bytes()).expect("the metadata is valid");
        assert!(with.has_benchmarks());
    }

    #[test]
    fn the_target_directory_is_cargos() {
        let workspace = Workspace::parse(METADATA.as_bytes()).expect("the metadata is valid");
        assert_eq!(workspace.target_directory(), Path::new("/project/target"));
    }

    #[test]
    fn what_is_no_metadata_is_refused() {
        assert!(Workspace::parse(b"warning: something").is_err());
        assert!(Workspace::parse(b"{}").is_err());
    }
}
