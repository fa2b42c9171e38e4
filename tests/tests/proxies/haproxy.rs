//! The proxy of `deploy/haproxy/haproxy.cfg`.

use std::fs;

use rustix::process::{getgid, getuid};
use tests::{Address, Port, installed};
use tower_prefork::Config;

use crate::{
    deployed,
    proxy::Proxy,
    rolling::{reloads, restarts},
    seconds,
};

fn start(servers: &[Address]) -> Option<Proxy> {
    let program = installed("haproxy")?;
    let port = Port::take();
    let server = |name: &str, address: Option<&Address>| match address {
        None => String::new(),
        Some(Address::Tcp(address)) => format!("server {name} {address}"),
        Some(Address::Tls(..)) => unreachable!("no server here speaks TLS"),
        Some(Address::Unix(path)) => format!("server {name} unix@{}", path.display()),
    };
    let websocket = |name: &str, address: Option<&Address>| match address {
        None => String::new(),
        Some(_) => format!(
            "{} track app/{name}",
            server(&format!("{name}-websocket"), address)
        ),
    };
    let config = deployed(
        "haproxy/haproxy.cfg",
        &[
            // Its standard output is not read.
            ("log stdout", "log stderr"),
            ("user haproxy", &format!("uid {}", getuid().as_raw())),
            ("group haproxy", &format!("gid {}", getgid().as_raw())),
            ("bind :80", &format!("bind {}", port.address())),
            ("server one 127.0.0.1:8001", &server("one", servers.first())),
            ("server two 127.0.0.1:8002", &server("two", servers.get(1))),
            (
                "server one-websocket 127.0.0.1:8001 track app/one",
                &websocket("one", servers.first()),
            ),
            (
                "server two-websocket 127.0.0.1:8002 track app/two",
                &websocket("two", servers.get(1)),
            ),
        ],
    );
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("haproxy.cfg");
    fs::write(&file, config).unwrap();
    let running = program.args("-db -f").arg(&file).start();
    Some(Proxy::new(running, port, directory))
}

#[test]
fn the_file_is_accepted() {
    let Some(program) = installed("haproxy") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("haproxy.cfg");
    fs::write(&file, deployed("haproxy/haproxy.cfg", &[])).unwrap();
    let (code, output) = program.args("-c -f").arg(&file).run();
    assert_eq!(code, Some(0), "{output}");
    assert!(!output.contains("WARNING"), "{output}");
}

#[test]
fn the_times_agree_with_the_servers() {
    let text = deployed("haproxy/haproxy.cfg", &[]);
    let http = Config::default().http;
    assert_eq!(seconds(&text, "timeout http-request "), http.header_timeout);
    assert!(seconds(&text, "timeout http-keep-alive ") < http.keep_alive_timeout);
    assert_eq!(seconds(&text, "timeout client "), http.body_timeout);
    assert_eq!(seconds(&text, "timeout client "), http.write_timeout);
    assert!(seconds(&text, "timeout server ") > http.request_timeout);
    assert!(seconds(&text, "timeout tunnel ") > http.upgrade_idle_timeout);
    let idle = seconds(&text, "default-server pool-purge-delay ");
    assert!(idle < http.keep_alive_timeout);
}

#[test]
fn a_rolling_reload_is_not_noticed() {
    let Some(log) = reloads(start) else {
        return;
    };
    assert!(!log.contains("DOWN"), "{log}");
    // A request is in this log when it was sent again.
    assert!(!log.contains(" web app/"), "{log}");
}

#[test]
fn servers_that_restart_one_after_another_are_not_missed() {
    let Some(log) = restarts(start) else {
        return;
    };
    for server in ["one", "two"] {
        for state in ["DOWN", "UP"] {
            let line = format!("Server app/{server} is {state}");
            assert!(log.contains(&line), "no {line:?} in\n{log}");
        }
    }
    // No request was sent to a closed server.
    assert!(!log.contains(" web app/"), "{log}");
}
