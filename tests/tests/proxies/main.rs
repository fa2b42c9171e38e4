//! The programs around a server: proxies in front of it, with the very files of `deploy`.

mod haproxy;
mod nginx;
mod proxy;
mod rolling;

use std::{fs, path::Path};

use tests::Program;

/// A file of `deploy`, where each of these texts, which is there once, is replaced by another: addresses, paths and
/// users are not the same in a test.
fn deployed(file: &str, replaced: &[(&str, &str)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../deploy")
        .join(file);
    let mut text = fs::read_to_string(&path).expect("the file is in the repository");
    for (old, new) in replaced {
        assert_eq!(text.matches(old).count(), 1, "{old:?} in {file}");
        text = text.replace(old, new);
    }
    text
}

/// A server as the files of `deploy` expect it.
fn probe(arguments: &str) -> Program {
    Program::new(env!("CARGO_BIN_EXE_probe"))
        .args("--thread-workers 10 --readiness-path /-/ready --shutdown-delay 5")
        .args(arguments)
}
