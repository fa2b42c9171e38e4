//! All connections are taken.

use std::net::{SocketAddr, TcpStream};

use tests::{Certificate, Client, Program};

use crate::{probe, refused};

const FULL: &str = "max_connections reached; the connections that are idle for longest are closed";

fn served_client(address: SocketAddr) -> Client {
    let mut client = Client::connect(address);
    assert_eq!(client.get("/").unwrap().status, 200);
    client
}

#[test]
fn the_connection_that_is_idle_longest_makes_room() {
    let running = probe("-w 1 --max-connections 3").start();
    let address = running.ready();
    let mut first = served_client(address);
    let mut second = served_client(address);
    let silent = Client::connect(address);
    let third = served_client(address);
    assert_eq!(first.rest().unwrap(), b"", "closed without an error");
    assert!(!silent.has_response(), "one that was served goes first");
    assert_eq!(second.get("/").unwrap().status, 200);
    running.wait_for(FULL);

    // More at once than there are places.
    let more: Vec<_> = (0..6).map(|_| served_client(address)).collect();
    drop((silent, third, more));
    let log = running.log();
    let said = log.iter().filter(|line| line.contains(FULL));
    assert_eq!(said.count(), 1, "once a minute: {log:?}");
}

#[test]
fn silent_connections_make_room() {
    let running = probe("-w 1 --max-connections 8").start();
    let address = running.ready();
    let silent: Vec<_> = (0..8).map(|_| Client::connect(address)).collect();
    served_client(address);
    running.wait_for(FULL);
    let closed = silent.iter().filter(|client| client.has_response());
    assert!(closed.count() < 8, "not all of them");
}

#[test]
fn a_handshake_makes_room() {
    let directory = tempfile::tempdir().unwrap();
    let certificate = Certificate::new();
    let files = certificate.write(directory.path());
    let running = probe(&format!("-w 1 --max-connections 2 {files}")).start();
    let address = running.ready();
    let _silent: Vec<_> = (0..2)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    let mut client = Client::connect_tls(address, &certificate.trusted()).unwrap();
    assert_eq!(client.get("/").unwrap().status, 200);
    running.wait_for(FULL);
}

#[test]
fn a_part_of_a_head_makes_room() {
    let running = probe("-w 1 --max-connections 2 --header-timeout 60").start();
    let address = running.ready();
    let mut slow: Vec<_> = (0..2).map(|_| Client::connect(address)).collect();
    for client in &mut slow {
        client.send("GET / HTTP/1.1\r\n").unwrap();
    }
    served_client(address);
    let told = slow
        .iter_mut()
        .find(|client| client.has_response())
        .unwrap();
    assert_eq!(told.response().unwrap().status, 408);
    // So does one that was served before.
    let mut slow = served_client(address);
    slow.send("GET / HTTP/1.1\r\n").unwrap();
    let _kept: Vec<_> = (0..4).map(|_| served_client(address)).collect();
    assert_eq!(slow.response().unwrap().status, 408);
}

#[test]
fn running_requests_are_finished_and_then_make_room() {
    let running = probe("-w 1 --max-connections 1").start();
    let address = running.ready();
    let mut busy = Client::connect(address);
    let head = "POST /upload HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\n";
    busy.send(head.to_owned() + "x").unwrap();
    let mut waiting = Client::connect(address);
    waiting
        .send("GET / HTTP/1.1\r\nhost: test\r\n\r\n")
        .unwrap();
    running.wait_for("max_connections reached and no connection is idle; new connections wait");
    assert!(!waiting.has_response());
    busy.send("x").unwrap();
    let response = busy.response().unwrap();
    assert_eq!((response.status, response.text().as_str()), (200, "2"));
    assert_eq!(response.header("connection"), Some("close"));
    drop(busy);
    assert_eq!(waiting.response().unwrap().status, 200);
}

#[test]
fn a_sibling_with_room_is_asked_before_anybody_is_sent_away() {
    let running = probe("-w 2 --max-connections 2").start();
    let address = running.ready();
    let mut clients: Vec<_> = (0..4).map(|_| served_client(address)).collect();
    for client in &mut clients {
        assert_eq!(client.get("/").unwrap().status, 200);
    }
    let log = running.log();
    assert!(
        !log.iter().any(|line| line.contains("are taken")),
        "{log:?}"
    );
}

fn with_files(limit: u32, arguments: &str) -> Program {
    let probe = env!("CARGO_BIN_EXE_probe");
    let command = format!("ulimit -n {limit}; exec {probe} -b 127.0.0.1:0 {arguments}");
    Program::new("/bin/sh").arg("-c").arg(command)
}

#[test]
fn a_limit_of_files_that_is_too_low_is_told_at_the_start() {
    for workers in [0, 1] {
        let (code, line) = refused(with_files(90, &format!("-w {workers} --thread-workers 20")));
        assert_eq!(code, 1);
        let expected = "error: probe: the limit of open files is 90, which leaves 6 for connections; \
                        raise it with ulimit -n or LimitNOFILE to at least 100";
        assert_eq!(line, expected);

        let arguments = format!("-w {workers} --thread-workers 20 --max-connections 500");
        let running = with_files(200, &arguments).start();
        served_client(running.ready());
        running.wait_for("max_connections is lowered to what the limit of open files allows");

        // No client waits.
        let arguments = format!("-w {workers} --thread-workers 20 --max-connections 4");
        let running = with_files(90, &arguments).start();
        served_client(running.ready());
        assert!(!running.log().iter().any(|line| line.contains("lowered")));
    }
}
