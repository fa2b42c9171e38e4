//! The body of a request: when it is read, and what happens to one that is not read.

use tests::Client;

use crate::{PLACES, start};

fn head(fields: &str) -> String {
    format!("POST /count HTTP/1.1\r\nhost: test\r\n{fields}\r\n")
}

/// A request that is the body of another.
const INNER: &str = "GET /squares?to=3 HTTP/1.1\r\nhost: test\r\n\r\n";

#[test]
fn a_client_that_waits_is_told_to_go_on_at_the_first_read_and_not_before() {
    let running = start(2, &[]);
    let expect = "expect: 100-continue\r\ncontent-length: 5\r\n";

    let mut client = running.client();
    client
        .send(head(&format!("x-refuse: yes\r\n{expect}")))
        .unwrap();
    let refused = client.response().unwrap();
    assert_eq!(
        (refused.status, refused.text()),
        (403, "Nothing was read.\n".into())
    );

    let mut client = running.client();
    client.send(head(expect)).unwrap();
    let (status, headers) = client.head().unwrap();
    assert!(status == 100 && headers.is_empty());
    assert!(!client.has_response());
    client.send("hello").unwrap();
    assert_eq!(client.response().unwrap().text(), "5 bytes\n");
    assert_eq!(client.get("/squares?to=1").unwrap().status, 200);
}

#[test]
fn on_the_event_loop_it_is_told_so_by_the_layer_that_waits() {
    let running = start(0, &[]);
    let mut client = running.client();
    client
        .send(head("expect: 100-continue\r\ncontent-length: 5\r\n"))
        .unwrap();
    assert_eq!(client.head().unwrap().0, 100);
    client.send("hello").unwrap();
    assert_eq!(client.response().unwrap().text(), "5 bytes\n");
}

#[test]
fn a_body_is_read_while_it_arrives() {
    for threads in PLACES {
        let running = start(threads, &[]);
        let mut client = running.client();
        client.send(head("transfer-encoding: chunked\r\n")).unwrap();
        for _ in 0..100 {
            client.send("a\r\n0123456789\r\n").unwrap();
        }
        client.send("0\r\n\r\n").unwrap();
        assert_eq!(client.response().unwrap().text(), "1000 bytes\n");
        assert_eq!(client.get("/squares?to=1").unwrap().status, 200);
    }
}

#[test]
fn a_body_that_nobody_reads_is_no_request() {
    let running = start(2, &[]);
    for padding in [0, 1 << 20] {
        for chunked in [false, true] {
            let body = INNER.to_owned() + &"x".repeat(padding);
            let (fields, body) = if chunked {
                let body = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
                ("transfer-encoding: chunked\r\n".to_owned(), body)
            } else {
                (format!("content-length: {}\r\n", body.len()), body)
            };
            let mut client = running.client();
            client
                .send(head(&format!("x-refuse: yes\r\n{fields}")))
                .unwrap();
            // The server may close before it has all of it.
            let _ = client
                .send(body)
                .and_then(|()| client.send("GET /elsewhere HTTP/1.1\r\nhost: test\r\n\r\n"));
            assert_eq!(client.response().unwrap().status, 403);
            if let Ok(next) = client.response() {
                assert_eq!(next.status, 404, "the request in the body was responded");
            }
        }
    }
}

#[test]
fn a_body_that_breaks_off_is_an_error_for_the_application() {
    let running = start(2, &[]);
    let mut client = running.client();
    client.send(head("content-length: 10\r\n")).unwrap();
    client.send("hello").unwrap();
    client.close_write();
    // Never a count of what there was.
    if let Ok(response) = client.response() {
        assert_ne!(response.status, 200);
    }
    running.wait_for("the application failed");

    let mut client = running.client();
    client.send(head("transfer-encoding: chunked\r\n")).unwrap();
    client.send("5\r\nhello\r\nno size\r\n").unwrap();
    if let Ok(response) = client.response() {
        assert_ne!(response.status, 200);
    }
    let _ = running.wait_for_count("the application failed", 2);
    let mut next: Client = running.client();
    assert_eq!(next.get("/squares?to=1").unwrap().status, 200);
}
