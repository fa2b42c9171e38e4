//! The example `serve-connection`: `tower-serve` without `tower-prefork`.

use std::io::Read as _;

use tests::{Client, Running, Signal};

fn start() -> (Running, impl Fn() -> Client) {
    let running = tests::program("serve-connection")
        .args("127.0.0.1:0")
        .start();
    running.wait_for(" listening ");
    let address = running.addresses().remove(0);
    let address = address.trim_start_matches("http://").parse().unwrap();
    (running, move || Client::connect(address))
}

#[test]
fn it_serves_checks_and_logs() {
    let (mut running, connect) = start();
    let mut client = connect();
    for _ in 0..2 {
        let response = client.get("/").unwrap();
        assert_eq!(response.text(), "Hello, client at 127.0.0.1!\n");
    }
    client
        .send("GET / HTTP/1.1\r\naccept: application/json\r\n\r\n")
        .unwrap();
    let response = client.response().unwrap();
    assert_eq!(response.status, 400);
    assert_eq!(
        response.text(),
        "{\"status\":400,\"error\":\"Bad Request\",\"message\":\"The Host field is missing.\"}\n"
    );
    let mut stdout = running.stdout();
    running.signal(Signal::TERM);
    assert_eq!(running.exit().code(), Some(0));
    let mut access_log = String::new();
    stdout.read_to_string(&mut access_log).unwrap();
    assert_eq!(access_log.lines().count(), 3, "{access_log}");
}

#[test]
fn ctrl_c_waits_for_running_requests() {
    let (mut running, connect) = start();
    let (mut slow, _idle) = (connect(), connect());
    slow.send("GET /slow HTTP/1.1\r\nhost: test\r\n\r\n")
        .unwrap();
    // Another request after it is served, so this one is running.
    assert_eq!(connect().get("/").unwrap().status, 200);
    running.signal(Signal::INT);
    let response = slow.response().unwrap();
    assert_eq!(response.status, 200);
    assert_eq!(response.header("connection"), Some("close"));
    assert_eq!(running.exit().code(), Some(0));
}
