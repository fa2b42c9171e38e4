use std::{
    fs,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    os::unix::{fs::PermissionsExt, net::UnixListener},
};

use tests::{Client, Program, Response, Signal};

use crate::{probe, refused};

fn get(ip: impl Into<std::net::IpAddr>, port: u16) -> std::io::Result<Response> {
    Client::try_connect(SocketAddr::new(ip.into(), port))?.get("/peer")
}

#[test]
fn a_host_and_a_port() {
    let running = probe("-w 1 -b 127.0.0.1:0").start();
    let address = running.ready();
    assert_ne!(address.port(), 0, "the real one");
    let peer = get(address.ip(), address.port()).unwrap().text();
    assert!(
        peer.contains(&format!(" local={address} unix=none")),
        "{peer}"
    );
    assert!(peer.starts_with("peer=127.0.0.1:"), "{peer}");
}

#[test]
fn a_bare_port_is_on_loopback() {
    let running = probe("-w 1 -b 0").start();
    assert_eq!(running.ready().ip(), Ipv4Addr::LOCALHOST);
    assert_eq!(running.client().get("/").unwrap().status, 200);
}

#[test]
fn a_name() {
    let running = probe("-w 1 -b localhost:0").start();
    assert!(running.ready().ip().is_loopback());
    assert_eq!(running.client().get("/").unwrap().status, 200);
}

#[test]
fn ipv6_and_both_families() {
    if std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        eprintln!("this machine has no IPv6: nothing to test");
        return;
    }
    let running = probe("-w 1 -b [::1]:0").start();
    let address = running.ready();
    assert_eq!(address.ip(), Ipv6Addr::LOCALHOST);
    assert_eq!(running.client().get("/").unwrap().status, 200);

    let running = probe("-w 1 -b :0").start();
    let port = running.ready().port();
    let four = get(Ipv4Addr::LOCALHOST, port).unwrap().text();
    assert!(four.starts_with("peer=127.0.0.1:"), "not mapped: {four}");
    assert!(
        four.contains(&format!(" local=127.0.0.1:{port} ")),
        "{four}"
    );
    let six = get(Ipv6Addr::LOCALHOST, port).unwrap().text();
    assert!(six.starts_with("peer=[::1]:"), "{six}");
}

#[test]
fn several_addresses() {
    let running = probe("-w 1 -b 127.0.0.1:0 -b 127.0.0.1:0,localhost:0").start();
    let _ = running.ready();
    let addresses = running.addresses();
    assert!(addresses.len() >= 3, "{addresses:?}");
    for address in addresses {
        let address = address.strip_prefix("http://").unwrap().parse().unwrap();
        assert_eq!(Client::connect(address).get("/").unwrap().status, 200);
    }
}

#[test]
fn a_unix_socket() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.sock");
    // One that a dead program left.
    drop(UnixListener::bind(&path).unwrap());

    let address = format!("unix:{}", path.display());
    let mut running = probe(&format!("-w 2 -b {address}")).start();
    running.wait_for(" ready ");
    assert_eq!(running.addresses(), [address.as_str()]);
    let peer = Client::connect_unix(&path).unwrap().get("/peer").unwrap();
    let expected = format!("peer=none local=none unix={}", path.display());
    assert_eq!(peer.text(), expected);

    // A user of the group may connect, regardless of the umask.
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o660);

    // A second server on the same path leaves the first alone.
    let (code, output) = probe(&format!("-w 2 -b {address}")).run();
    assert_eq!(code, Some(1));
    assert!(output.contains("address in use"), "{output}");
    assert!(Client::connect_unix(&path).unwrap().get("/").is_ok());

    running.signal(Signal::TERM);
    assert_eq!(running.exit().code(), Some(0));
    assert!(!path.exists(), "removed at the end");
}

#[test]
fn a_unix_socket_has_the_mode_that_a_reload_sets() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("shop.toml");
    let bind = "bind = ['127.0.0.1:0', 'unix:app.sock']\nworkers = 1\n";
    fs::write(&file, format!("{bind}socket_mode = '600'\n")).unwrap();
    let running = Program::new(env!("CARGO_BIN_EXE_probe"))
        .directory(directory.path())
        .args("--config shop.toml --umask 077")
        .start();
    let _ = running.ready();
    let mode = || {
        let file = fs::metadata(directory.path().join("app.sock")).unwrap();
        file.permissions().mode() & 0o7777
    };
    assert_eq!(mode(), 0o600);
    fs::write(&file, format!("{bind}socket_mode = '666'\n")).unwrap();
    running.signal(Signal::HUP);
    running.wait_for(" reloaded ");
    assert_eq!(mode(), 0o666);
}

#[test]
fn no_abstract_socket_is_made() {
    for address in ["unix:", "unix:@shop"] {
        let (code, line) = refused(probe("-w 1").arg("-b").arg(address));
        assert_eq!(code, 2);
        assert!(
            line.starts_with("error: cannot listen on \"unix:"),
            "{line}"
        );
    }
    let (code, line) = refused(probe("-w 1 --control-socket @shop"));
    assert_eq!(code, 2);
    assert!(
        line.contains("control_socket is \"@shop\": abstract sockets"),
        "{line}"
    );
}

#[test]
fn an_address_as_in_the_log() {
    let running = probe("-w 1 -b http://127.0.0.1:0 -b tcp://localhost:0/").start();
    let _ = running.ready();
    assert!(running.addresses().len() >= 2);
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.txt");
    fs::write(&path, "keep me").unwrap();
    let (code, output) = probe(&format!("-w 2 -b unix:{}", path.display())).run();
    assert_eq!(code, Some(1));
    assert!(output.contains("choose another path"), "{output}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "keep me");
}
