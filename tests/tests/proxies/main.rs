//! What stands around a server, with the very files of `deploy`: proxies in front of it, and what starts it.

mod haproxy;
mod kubernetes;
mod nginx;
mod proxy;
mod proxy_protocol;
mod rolling;
mod systemd;

use std::{fs, path::Path, time::Duration};

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

/// The time that follows this name, which is in the file once.
fn seconds(text: &str, name: &str) -> Duration {
    let mut lines = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix(name));
    let time = lines.next().unwrap_or_else(|| panic!("no {name:?}"));
    assert_eq!(lines.next(), None, "{name:?} is there twice");
    let number = time.trim().trim_end_matches([';', 's']);
    Duration::from_secs(number.parse().expect("seconds"))
}

/// A server with the settings of `shop.toml`, which has its files in this directory.
fn shop(directory: &Path, arguments: &str) -> Program {
    let socket = directory.join("control.sock").display().to_string();
    let settings = deployed("shop.toml", &[("/run/shop/control.sock", &socket)]);
    let file = directory.join("shop.toml");
    fs::write(&file, settings).unwrap();
    Program::new(env!("CARGO_BIN_EXE_probe"))
        .arg("--config")
        .arg(file)
        .args(arguments)
}
