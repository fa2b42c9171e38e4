//! The PROXY protocol, from the proxy of `deploy/haproxy/tcp.cfg`, in both versions.

use std::fs;

use rustix::process::{getgid, getuid};
use tests::{Certificate, Client, Port, Program, installed, wait_until};

use crate::deployed;

/// The file with these addresses of the proxy and of the one server, which speaks TLS or not.
fn config(port: &Port, server: &str, version: &str, tls: bool) -> String {
    let check = if tls {
        "check check-ssl verify none"
    } else {
        "check"
    };
    deployed(
        "haproxy/tcp.cfg",
        &[
            // Its standard output is not read.
            ("log stdout", "log stderr"),
            ("user haproxy", &format!("uid {}", getuid().as_raw())),
            ("group haproxy", &format!("gid {}", getgid().as_raw())),
            ("bind :443", &format!("bind {}", port.address())),
            ("check check-ssl verify none", check),
            (
                "default-server send-proxy-v2",
                &format!("default-server {version}"),
            ),
            ("server one 127.0.0.1:8443", &format!("server one {server}")),
            ("server two 127.0.0.1:8444", ""),
        ],
    )
}

#[test]
fn the_file_is_accepted() {
    let Some(program) = installed("haproxy") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tcp.cfg");
    fs::write(&file, deployed("haproxy/tcp.cfg", &[])).unwrap();
    let (code, output) = program.args("-c -f").arg(&file).run();
    assert_eq!(code, Some(0), "{output}");
    assert!(!output.contains("WARNING"), "{output}");
}

#[test]
fn the_server_sees_the_client_behind_haproxy() {
    let directory = tempfile::tempdir().unwrap();
    let certificate = Certificate::new();
    let tls = certificate.write(directory.path());
    let log = directory.path().join("access.log");
    for (version, encrypted) in [
        ("send-proxy", false),
        ("send-proxy-v2", false),
        ("send-proxy", true),
        ("send-proxy-v2", true),
    ] {
        let server = Program::new(env!("CARGO_BIN_EXE_probe"))
            .args("-w 1 -b 127.0.0.1:0 --http 1 --proxy-protocol --readiness-path /-/ready --access-log")
            .arg(&log)
            .args(if encrypted { &tls } else { "" })
            .start();
        let address = server.ready();
        let Some(haproxy) = installed("haproxy") else {
            return;
        };
        let port = Port::take();
        let file = directory.path().join("tcp.cfg");
        let text = config(&port, &address.to_string(), version, encrypted);
        fs::write(&file, text).unwrap();
        let proxy = haproxy.args("-db -f").arg(&file).start();

        let peer = || {
            let mut client = match encrypted {
                true => Client::connect_tls(port.address(), &certificate.trusted())?,
                false => Client::try_connect(port.address())?,
            };
            client.get("/peer")
        };
        wait_until("a response through the proxy", || {
            peer().is_ok_and(|response| response.status == 200)
        });
        // The address that the client has connected to, and not the server's.
        let text = peer().unwrap().text();
        let expected = format!(" local={} ", port.address());
        assert!(text.contains(&expected), "{version}: {text}");
        // Checks are requests of the proxy's own.
        wait_until("a health check", || {
            let lines = fs::read_to_string(&log).unwrap();
            lines.contains("GET /-/ready HTTP/1.1\" 200")
        });
        assert!(!proxy.log().join("\n").contains("DOWN"), "{version}");
        fs::remove_file(&log).unwrap();
    }
}
