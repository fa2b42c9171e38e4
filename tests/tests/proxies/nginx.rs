//! The proxy of `deploy/nginx/nginx.conf`.

use std::{fs, path::Path};

use tests::{Address, Port, Program, installed};
use tower_prefork::Config;

use crate::{
    deployed,
    proxy::Proxy,
    rolling::{reloads, restarts},
    seconds,
};

/// What it writes into directories that only root may write to, on Debian.
const TEMPORARY: [&str; 5] = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];

/// With a directory of its own, and the file with these replacements in it.
fn nginx(directory: &Path, replaced: &[(&str, &str)]) -> Option<Program> {
    let path = |name: &str| directory.join(name).display().to_string();
    let temporary = TEMPORARY.map(|what| format!("{what}_temp_path {};\n", path(what)));
    let http = format!("http {{\n{}", temporary.concat());
    let pid = format!("pid {};", path("pid"));
    let mut all = vec![
        // Ignored with a warning unless root starts it, whose sockets the tests use.
        ("user www-data;", "user root;"),
        ("pid /run/nginx.pid;", &pid),
        ("http {", &http),
    ];
    all.extend(replaced);
    fs::write(
        directory.join("nginx.conf"),
        deployed("nginx/nginx.conf", &all),
    )
    .unwrap();
    let program = installed("nginx")?;
    Some(
        program
            .arg("-p")
            .arg(directory)
            .args("-e stderr -c nginx.conf"),
    )
}

fn start(servers: &[Address]) -> Option<Proxy> {
    let port = Port::take();
    let server = |address: Option<&Address>| match address {
        None => String::new(),
        Some(Address::Tcp(address)) => format!("server {address} fail_timeout=1s;"),
        Some(Address::Tls(..)) => unreachable!("no server here speaks TLS"),
        Some(Address::Unix(path)) => format!("server unix:{} fail_timeout=1s;", path.display()),
    };
    let directory = tempfile::tempdir().unwrap();
    let program = nginx(
        directory.path(),
        &[
            ("listen 80;", &format!("listen {};", port.address())),
            (
                "server 127.0.0.1:8001 fail_timeout=1s;",
                &server(servers.first()),
            ),
            (
                "server 127.0.0.1:8002 fail_timeout=1s;",
                &server(servers.get(1)),
            ),
        ],
    )?;
    let running = program.arg("-g").arg("daemon off;").start();
    Some(Proxy::new(running, port, directory))
}

#[test]
fn the_file_is_accepted() {
    let directory = tempfile::tempdir().unwrap();
    let Some(program) = nginx(directory.path(), &[]) else {
        return;
    };
    let (code, output) = program.args("-t").run();
    assert_eq!(code, Some(0), "{output}");
}

#[test]
fn the_times_agree_with_the_servers() {
    let text = deployed("nginx/nginx.conf", &[]);
    let (upstream, server) = text.split_once("server {").unwrap();
    let http = Config::default().http;
    for part in [upstream, server] {
        assert!(seconds(part, "keepalive_timeout ") < http.keep_alive_timeout);
    }
    assert_eq!(
        seconds(&text, "client_header_timeout "),
        http.header_timeout
    );
    assert_eq!(seconds(&text, "client_body_timeout "), http.body_timeout);
    assert_eq!(seconds(&text, "send_timeout "), http.write_timeout);
    assert!(seconds(&text, "proxy_send_timeout ") > http.body_timeout);
    assert!(seconds(&text, "proxy_read_timeout ") > http.request_timeout);
}

#[test]
fn a_rolling_reload_is_not_noticed() {
    let Some(log) = reloads(start) else {
        return;
    };
    // Each connection that the server did not keep to its word would be an error here.
    assert!(!log.contains("[error]"), "{log}");
}

#[test]
fn servers_that_restart_one_after_another_are_not_missed() {
    let _ = restarts(start);
}
