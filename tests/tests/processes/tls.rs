//! HTTPS, and certificates that change while the server runs.

use std::{
    fs,
    io::Read,
    net::{SocketAddr, TcpStream},
};

use tests::{Address, Certificate, Client, Load, PATIENCE, Process, Running, Signal, wait_until};
use tokio_rustls::rustls::version::{TLS12, TLS13};

use crate::{probe, refused};

const REFUSED: &str = "reload refused; nothing has changed";

fn count(running: &Running, text: &str) -> usize {
    let log = running.log();
    log.iter().filter(|line| line.contains(text)).count()
}

/// Reloads, and gives the line of the outcome.
fn reload(running: &Running, outcome: &str) -> String {
    let before = count(running, outcome);
    running.signal(Signal::HUP);
    let mut lines = running.wait_for_count(outcome, before + 1);
    lines.pop().unwrap()
}

fn pids(running: &Running) -> Vec<i32> {
    running.workers().iter().map(Process::pid).collect()
}

/// Whether new connections are served with this certificate.
fn serves(address: SocketAddr, certificate: &Certificate) -> bool {
    let client = Client::connect_tls(address, &certificate.trusted());
    client.is_ok_and(|mut client| client.get("/encrypted").unwrap().text() == "true")
}

#[test]
fn tcp_is_encrypted_and_a_unix_socket_is_not() {
    for workers in [2, 0] {
        let directory = tempfile::tempdir().unwrap();
        let certificate = Certificate::new();
        let socket = directory.path().join("socket");
        let arguments = format!(
            "-w {workers} {} -b 127.0.0.1:0 -b unix:{}",
            certificate.write(directory.path()),
            socket.display()
        );
        let running = probe(&arguments).start();
        let address = running.ready();
        assert!(running.addresses().contains(&format!("https://{address}")));
        for version in [&TLS13, &TLS12] {
            let config = certificate.trusted_with(version);
            let mut client = Client::connect_tls(address, &config).unwrap();
            for _ in 0..2 {
                assert_eq!(client.get("/encrypted").unwrap().text(), "true");
            }
            let peer = client.get("/peer").unwrap().text();
            assert!(peer.contains(&format!("local={address}")), "{peer}");
            let large = client.get("/bytes/4000000").unwrap();
            assert_eq!(large.body.len(), 4_000_000);
            client
                .send("GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")
                .unwrap();
            assert_eq!(client.response().unwrap().status, 200);
            assert_eq!(client.rest().unwrap(), b"", "the end is told");
        }
        let mut client = Client::connect_unix(&socket).unwrap();
        assert_eq!(client.get("/encrypted").unwrap().text(), "false");
        assert!(!serves(address, &Certificate::new()), "it is not trusted");
    }
}

#[test]
fn who_speaks_no_tls_does_no_harm() {
    let directory = tempfile::tempdir().unwrap();
    let certificate = Certificate::new();
    let arguments = certificate.write(directory.path());
    let running = probe(&format!("-w 1 --header-timeout 0.5 {arguments}")).start();
    let address = running.ready();
    let workers = pids(&running);
    let mut silent = TcpStream::connect(address).unwrap();
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    for _ in 0..20 {
        assert_eq!(Client::connect(address).get("/").unwrap().status, 400);
        drop(TcpStream::connect(address).unwrap());
        assert!(serves(address, &certificate));
    }
    // The end, or a reset.
    let _ = silent.read_to_end(&mut Vec::new());
    assert!(serves(address, &certificate));
    assert_eq!(pids(&running), workers);
}

#[test]
fn a_reload_serves_a_new_certificate() {
    let directory = tempfile::tempdir().unwrap();
    let (old, new) = (Certificate::new(), Certificate::new());
    let arguments = old.write(directory.path());
    let running = probe(&format!("-w 2 {arguments}")).start();
    let address = running.ready();
    assert!(serves(address, &old) && !serves(address, &new));
    let mut open = Client::connect_tls(address, &old.trusted()).unwrap();
    assert_eq!(open.get("/").unwrap().status, 200);
    let _ = new.write(directory.path());
    assert_eq!(open.get("/").unwrap().status, 200);
    open.send("GET /sleep/1000 HTTP/1.1\r\nhost: test\r\n\r\n")
        .unwrap();
    let _ = reload(&running, " reloaded ");
    wait_until("the new one everywhere", || {
        (0..8).all(|_| serves(address, &new)) && !serves(address, &old)
    });
    assert_eq!(open.response().unwrap().status, 200);
}

#[test]
fn reloads_lose_no_request() {
    let directory = tempfile::tempdir().unwrap();
    let certificate = Certificate::new();
    let arguments = certificate.write(directory.path());
    let running = probe(&format!("-w 2 {arguments}")).start();
    let load = Load::start(9, &[Address::Tls(running.ready(), certificate.trusted())]);
    for _ in 0..5 {
        let _ = reload(&running, " reloaded ");
    }
    load.stop().assert_nothing_failed();
}

#[test]
fn a_bad_certificate_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (old, other) = (Certificate::new(), Certificate::new());
    let arguments = old.write(directory.path());
    let running = probe(&format!("-w 2 {arguments}")).start();
    let address = running.ready();
    let workers = pids(&running);
    let (certificate, key) = (
        directory.path().join("cert.pem"),
        directory.path().join("key.pem"),
    );
    let good = fs::read(&certificate).unwrap();

    fs::write(&certificate, "nothing").unwrap();
    let line = reload(&running, REFUSED);
    let named = certificate.display();
    assert!(
        line.contains(&format!("no certificate in PEM in {named}")),
        "{line}"
    );
    fs::write(&key, other.key_pem()).unwrap();
    fs::write(&certificate, good).unwrap();
    let line = reload(&running, REFUSED);
    assert!(
        line.contains("is not that of the first certificate"),
        "{line}"
    );
    fs::remove_file(&key).unwrap();
    let line = reload(&running, REFUSED);
    assert!(line.contains("cannot read the key "), "{line}");

    assert_eq!(pids(&running), workers);
    assert!((0..8).all(|_| serves(address, &old)));
    // A worker that dies is started with what was accepted.
    running.workers()[0].signal(Signal::KILL);
    running.wait_for("worker replaced");
    assert!((0..8).all(|_| serves(address, &old)));
    let _ = other.write(directory.path());
    let _ = reload(&running, " reloaded ");
    wait_until("the new one everywhere", || {
        (0..8).all(|_| serves(address, &other))
    });
}

#[test]
fn a_start_with_a_bad_certificate_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = Certificate::new().write(directory.path());
    let key = directory.path().join("key.pem");
    fs::write(&key, "nothing").unwrap();
    for workers in [1, 0] {
        let (code, line) = refused(probe(&format!("-w {workers} {arguments}")));
        assert_eq!(code, 1, "{line}");
        let named = format!("there is no private key in PEM in {}", key.display());
        assert!(
            line.starts_with("error: probe: ") && line.ends_with(&named),
            "{line}"
        );
    }
    let (code, line) = refused(probe("-w 1 --tls-key key.pem"));
    let problem = "error: probe: tls_key is given and tls_certificate is not; give both, or none";
    assert_eq!((code, &*line), (2, problem));

    let file = directory.path().join("shop.toml");
    fs::write(&file, "workers = 1\ntls_key = \"none\"\n").unwrap();
    let program = || probe("").arg("--config").arg(&file);
    let (_, line) = refused(program());
    assert!(line.contains("shop.toml:2: tls_key is given"), "{line}");
    let (_, line) = refused(program().env("TOWER_PREFORK_TLS_CERTIFICATE", "none"));
    assert!(
        line.contains("error: probe: cannot read the certificate none: "),
        "{line}"
    );
}

#[test]
fn it_says_whether_it_is_ready() {
    let directory = tempfile::tempdir().unwrap();
    let certificate = Certificate::new();
    let arguments = certificate.write(directory.path());
    let arguments = format!("-w 1 --readiness-path /ready --shutdown-delay 1000 {arguments}");
    let running = probe(&arguments).start();
    let mut client = Client::connect_tls(running.ready(), &certificate.trusted()).unwrap();
    assert_eq!(client.get("/ready").unwrap().status, 200);
    running.signal(Signal::TERM);
    wait_until("it is not ready", || {
        client.get("/ready").unwrap().status == 503
    });
}

#[test]
fn a_stop_finishes_what_runs() {
    let directory = tempfile::tempdir().unwrap();
    let certificate = Certificate::new();
    let arguments = certificate.write(directory.path());
    let mut running = probe(&format!("-w 1 {arguments}")).start();
    let address = running.ready();
    let connect = || Client::connect_tls(address, &certificate.trusted()).unwrap();
    let (mut busy, mut idle) = (connect(), connect());
    assert_eq!(idle.get("/").unwrap().status, 200);
    busy.send("GET /sleep/1000 HTTP/1.1\r\nhost: test\r\n\r\n")
        .unwrap();
    running.signal(Signal::TERM);
    assert_eq!(idle.rest().unwrap(), b"", "the end is told");
    assert_eq!(busy.response().unwrap().status, 200);
    assert_eq!(running.exit().code(), Some(0));
}
