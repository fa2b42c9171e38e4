use std::{
    fs,
    net::{TcpListener, UdpSocket},
    os::{fd::OwnedFd, unix::net::UnixListener},
};

use tests::{Client, PATIENCE, Process, Program, Signal};

/// The probe with a socket that is passed as systemd passes it.
fn activated(socket: impl Into<OwnedFd>, arguments: &str) -> Program {
    Program::new("/bin/sh")
        .arg("-c")
        .arg("LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\" 3<&0 </dev/null")
        .arg(env!("CARGO_BIN_EXE_probe"))
        .args(arguments)
        .stdin(socket.into())
}

#[test]
fn a_passed_socket_takes_the_place_of_the_addresses() {
    for workers in [2, 0] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // No server can bind this one.
        let arguments = format!("-w {workers} -b 192.0.2.1:80");
        let mut running = activated(listener.try_clone().unwrap(), &arguments).start();
        assert_eq!(running.ready(), address);
        assert_eq!(running.addresses(), [format!("http://{address}")]);
        assert_eq!(Client::connect(address).get("/").unwrap().status, 200);
        for worker in running.workers() {
            let environment = fs::read_to_string(format!("/proc/{}/environ", worker.pid()));
            assert!(!environment.unwrap().contains("LISTEN_"));
        }
        if workers > 0 {
            running.signal(Signal::HUP);
            running.wait_for(" reloaded ");
            assert_eq!(Client::connect(address).get("/").unwrap().status, 200);
        }
        running.signal(Signal::TERM);
        assert_eq!(running.exit().code(), Some(0));

        // It waits for the next one.
        let mut client = Client::connect(address);
        client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
        let running = activated(listener, &arguments).start();
        assert_eq!(client.response().unwrap().status, 200);
        drop(running);
    }
}

#[test]
fn an_upgrade_keeps_a_passed_socket_and_nobody_removes_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let mut running = activated(listener, "-w 1 -b 192.0.2.1:80").start();
    running.wait_for(" ready ");
    let get = || Client::connect_unix(&path).unwrap().get("/").unwrap();
    assert_eq!(get().status, 200);
    running.signal(Signal::USR2);
    running.wait_for("upgrading: a new supervisor starts");
    let log = running.wait_for_count("upgrading", 1);
    let pid = crate::field(&log[0], "pid").parse().unwrap();
    let new = Process::open(pid).unwrap();
    assert_eq!(running.exit().code(), Some(0));
    assert_eq!(get().status, 200);
    new.signal(Signal::TERM);
    assert!(new.ends_within(PATIENCE));
    assert!(path.exists());
}

#[test]
fn with_several_servers_the_name_says_whose_it_is() {
    let arguments = "-w 1 -b 127.0.0.1:0 --second 192.0.2.1:80";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let program = activated(listener, arguments).env("LISTEN_FDNAMES", "second");
    let running = program.start();
    let _ = running.wait_for_count(" ready ", 2);
    let mut client = Client::connect(address);
    assert_eq!(client.get("/name").unwrap().text(), "second");

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let program = activated(listener, arguments).env("LISTEN_FDNAMES", "third");
    let (code, line) = program.run();
    assert_eq!(code, Some(1));
    assert_eq!(
        line,
        "error: a socket was passed with the name \"third\", but no server has that name; \
         set FileDescriptorName= to one of: probe, second"
    );
}

#[test]
fn what_cannot_be_listened_on_is_refused() {
    let packets = UdpSocket::bind("127.0.0.1:0").unwrap();
    let file = fs::File::open("/dev/null").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    for socket in [
        OwnedFd::from(packets),
        OwnedFd::from(file),
        OwnedFd::from(client),
    ] {
        let (code, line) = activated(socket, "-w 1").run();
        assert_eq!(code, Some(1));
        assert!(
            line.starts_with("error: socket 1 that was passed is no listening stream socket; "),
            "{line}"
        );
    }
}
