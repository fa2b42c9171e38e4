//! The units in `deploy/systemd`.

use std::fs;

use tests::installed;
use tower_prefork::Config;

use crate::{deployed, seconds, shop};

#[test]
fn the_units_are_accepted() {
    let Some(program) = installed("systemd-analyze") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let service = deployed(
        "systemd/shop.service",
        &[("/usr/local/bin/shop", env!("CARGO_BIN_EXE_probe"))],
    );
    let paths = ["shop.service", "shop.socket"].map(|name| directory.path().join(name));
    fs::write(&paths[0], service).unwrap();
    fs::write(&paths[1], deployed("systemd/shop.socket", &[])).unwrap();
    let program = program.args("verify --man=no");
    let (code, output) = program.arg(&paths[0]).arg(&paths[1]).run();
    // What it does not understand is a line, and no failure.
    assert_eq!((code, output.as_str()), (Some(0), ""));
}

#[test]
fn the_times_agree_with_the_servers() {
    let service = deployed("systemd/shop.service", &[]);
    let socket = deployed("systemd/shop.socket", &[]);
    let config = Config::default();
    assert!(seconds(&service, "TimeoutStartSec=") > config.start_timeout);
    let delay = seconds(&deployed("shop.toml", &[]), "shutdown_delay = ");
    assert!(seconds(&service, "TimeoutStopSec=") > delay + config.graceful_timeout);
    assert!(socket.contains(&format!("\nBacklog={}\n", config.backlog)));
}

#[test]
fn the_server_understands_its_settings() {
    let directory = tempfile::tempdir().unwrap();
    let running = shop(directory.path(), "-b 127.0.0.1:0").start();
    let _ = running.ready();
    assert_eq!(running.workers().len(), 4);
    assert!(directory.path().join("control.sock").exists());
}
