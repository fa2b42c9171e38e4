//! Certificates that change or expire while the server runs, sessions that outlive a worker, and handshakes that do not end.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    os::unix::fs::symlink,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

use rcgen::date_time_ymd;
use tests::{Certificate, Client, Process, Program, Running, SClient, Signal, wait_until};

use crate::probe;

fn serves(address: SocketAddr, certificate: &Certificate) -> bool {
    let client = Client::connect_tls(address, &certificate.trusted());
    client.is_ok_and(|mut client| client.get("/encrypted").unwrap().text() == "true")
}

fn pids(running: &Running) -> Vec<i32> {
    running.workers().iter().map(Process::pid).collect()
}

/// The files of a certificate in directories of their own, and a link to the current one, as in Kubernetes.
struct Mounted<'a>(&'a Path);

impl Mounted<'_> {
    fn mount(&self, version: &str, certificate: &Certificate) {
        let directory = self.0.join(version);
        fs::create_dir(&directory).unwrap();
        let _ = certificate.write_as(&directory, "tls.crt", "tls.key");
        let next = self.0.join("..next");
        symlink(version, &next).unwrap();
        fs::rename(next, self.0.join("..data")).unwrap();
    }

    fn arguments(&self) -> String {
        for name in ["tls.crt", "tls.key"] {
            symlink(format!("..data/{name}"), self.0.join(name)).unwrap();
        }
        format!("--tls-certificate {}", self.0.display())
    }
}

#[test]
fn changed_files_are_used_without_a_reload_and_without_a_failure() {
    let directory = tempfile::tempdir().unwrap();
    let mounted = Mounted(directory.path());
    let certificates: Vec<_> = (0..3).map(|_| Certificate::new()).collect();
    mounted.mount("..0", &certificates[0]);
    let running = probe(&format!("-w 2 {}", mounted.arguments())).start();
    let address = running.ready();
    let workers = pids(&running);
    let mut open = Client::connect_tls(address, &certificates[0].trusted()).unwrap();

    // Clients that trust each of them, and connect all the time.
    let (stop, served) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let trusted = Certificate::trust_all(&certificates);
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (stop, served, trusted) = (stop.clone(), served.clone(), trusted.clone());
            thread::spawn(move || {
                while !stop.load(Relaxed) {
                    let mut client = Client::connect_tls(address, &trusted).expect("a handshake");
                    assert_eq!(client.get("/").expect("a response").status, 200);
                    served.fetch_add(1, Relaxed);
                }
            })
        })
        .collect();
    for (number, certificate) in certificates.iter().enumerate().skip(1) {
        mounted.mount(&format!("..{number}"), certificate);
        let _ = running.wait_for_count("certificates changed", number);
        wait_until("all workers have it", || {
            (0..8).all(|_| serves(address, certificate))
        });
        let before = served.load(Relaxed);
        wait_until("clients are served", || served.load(Relaxed) > before + 20);
    }
    stop.store(true, Relaxed);
    for client in clients {
        client.join().expect("nothing has failed");
    }
    assert_eq!(open.get("/").unwrap().status, 200);
    assert_eq!(pids(&running), workers, "no worker was replaced");
    // A worker that starts later has the new one.
    running.workers()[0].signal(Signal::KILL);
    running.wait_for("worker replaced");
    assert!((0..8).all(|_| serves(address, &certificates[2])));
}

#[test]
fn changed_files_that_cannot_be_used_change_nothing() {
    for workers in [1, 0] {
        let directory = tempfile::tempdir().unwrap();
        let (old, new) = (Certificate::new(), Certificate::new());
        let arguments = old.write(directory.path());
        let running = probe(&format!("-w {workers} {arguments}")).start();
        let address = running.ready();
        fs::write(directory.path().join("cert.pem"), new.pem()).unwrap();
        let lines = running.wait_for_count("changed certificates cannot be used", 1);
        let problem = "is not that of the first certificate";
        assert!(
            lines[0].contains("ERROR") && lines[0].contains(problem),
            "{lines:?}"
        );
        assert!(serves(address, &old) && !serves(address, &new));
        fs::write(directory.path().join("key.pem"), new.key_pem()).unwrap();
        wait_until("the new one", || serves(address, &new));
        assert!(!serves(address, &old));
        let log = running.log();
        let said = log.iter().filter(|line| line.contains("cannot be used"));
        assert_eq!(said.count(), 1, "{log:?}");
    }
}

/// What one connection of `s_client` says: whether its session was resumed, and by which worker.
fn resumed(seen: &str) -> (bool, String) {
    let lines: Vec<_> = seen.lines().collect();
    // The response: a head, an empty line, the process id.
    let head = lines
        .iter()
        .position(|line| line.starts_with("HTTP/1.1 200"));
    let body = &lines[head.unwrap_or_else(|| panic!("no response: {seen}"))..];
    let end = body
        .iter()
        .position(|line| line.is_empty())
        .expect("the end of the head");
    let digits = body[end + 1].chars().take_while(char::is_ascii_digit);
    let reused = seen.contains("Reused, TLSv1");
    assert!(reused || seen.contains("New, TLSv1"), "{seen}");
    (reused, digits.collect())
}

#[test]
fn sessions_are_resumed_by_another_worker_after_a_reload_and_an_upgrade() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = Certificate::new().write(directory.path());
    let mut running = probe(&format!("-w 2 {arguments}")).start();
    let address = running.ready();
    let path = |version: &str| directory.path().join(version).display().to_string();
    let mut first = Vec::new();
    for version in ["-tls1_2", "-tls1_3"] {
        let arguments = format!("{version} -sess_out {}", path(version));
        let Some(client) = SClient::new(address, &arguments) else {
            return;
        };
        let (reused, pid) = resumed(&client.get("/sleep/0"));
        assert!(!reused);
        first.push((version, pid));
    }
    let again = |version: &str| {
        let arguments = format!("{version} -sess_in {}", path(version));
        let client = SClient::new(address, &arguments).expect("it is installed");
        resumed(&client.get("/sleep/0"))
    };
    for (version, pid) in &first {
        wait_until("the other worker", || {
            let (reused, other) = again(version);
            assert!(reused, "{version}");
            other != *pid
        });
    }
    running.signal(Signal::HUP);
    running.wait_for(" reloaded ");
    let workers = |running: &Running| pids(running).iter().map(i32::to_string).collect::<Vec<_>>();
    for (version, _) in &first {
        wait_until("a new worker", || {
            let (reused, pid) = again(version);
            assert!(reused, "{version} after a reload");
            workers(&running).contains(&pid) && !first.iter().any(|(_, old)| *old == pid)
        });
    }
    running.signal(Signal::USR2);
    running.upgraded(1);
    for (version, _) in &first {
        let (reused, _) = again(version);
        assert!(reused, "{version} after an upgrade");
    }
}

#[test]
fn a_certificate_that_has_expired_is_used_and_reported() {
    let directory = tempfile::tempdir().unwrap();
    let expired = Certificate::of(&["old.example", "localhost"], |params| {
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 31);
    });
    let early = Certificate::of(&["early.example"], |params| {
        params.not_before = date_time_ymd(2999, 1, 1);
        params.not_after = date_time_ymd(2999, 12, 31);
    });
    let socket = directory.path().join("control");
    let arguments = format!(
        "-w 1 {} {} --control-socket {}",
        expired.write_as(directory.path(), "old.pem", "old.key"),
        early.write_as(directory.path(), "early.pem", "early.key"),
        socket.display(),
    );
    let running = probe(&arguments).start();
    let _ = running.ready();
    let line = running
        .wait_for_count("a certificate has expired", 1)
        .remove(0);
    assert!(
        line.contains("ERROR") && line.contains("last_day=\"2020-01-31\""),
        "{line}"
    );
    assert!(
        line.contains("old.pem") && line.contains("old.example, localhost"),
        "{line}"
    );
    let line = running
        .wait_for_count("a certificate is not valid yet", 1)
        .remove(0);
    assert!(line.contains("early.pem"), "{line}");

    let program = Program::new(env!("CARGO_BIN_EXE_probe"));
    let program = program
        .args("ctl status")
        .arg("--control-socket")
        .arg(&socket);
    let (code, table) = program.run();
    assert_eq!(code, Some(0), "{table}");
    assert!(
        table.contains("certificate old.example, localhost: EXPIRED 2020-01-31\n"),
        "{table}"
    );
    assert!(
        table.contains("certificate early.example: expires 2999-12-31, in 3"),
        "{table}"
    );
}

/// More of them than a worker has connections, and a client that means well.
#[test]
fn half_handshakes_keep_nobody_out() {
    let directory = tempfile::tempdir().unwrap();
    let certificate = Certificate::new();
    let arguments = certificate.write(directory.path());
    let running = probe(&format!("-w 1 --max-connections 500 {arguments}")).start();
    let address = running.ready();
    let workers = pids(&running);
    let mut open = Client::connect_tls(address, &certificate.trusted()).unwrap();
    assert_eq!(open.get("/").unwrap().status, 200);
    // A handshake begins with the header of a record.
    let halves: Vec<_> = (0..2000)
        .map(|_| {
            let mut half = TcpStream::connect(address).expect("the queue has room");
            std::io::Write::write_all(&mut half, b"\x16\x03\x01\x02\x00\x01").unwrap();
            half
        })
        .collect();
    for _ in 0..5 {
        assert!(serves(address, &certificate));
    }
    drop(halves);
    assert!(serves(address, &certificate));
    assert_eq!(pids(&running), workers);
}
