//! Whether the measurement of a server counts: its response is right, and all connections get one.

use std::{
    io::{self, Read as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use crate::{
    Failure, client,
    client::Response,
    load::{Load, Protocol},
};

/// A connection without a response within this time is not served.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long an application waits after the first block at `/waits`.
const PAUSE: Duration = Duration::from_millis(500);

/// Whether this is the right response, byte by byte.
pub(crate) fn response(response: &Response, load: &Load) -> Result<(), Failure> {
    if load.protocol == Protocol::Handshake {
        // That there is one is enough.
        return Ok(());
    }
    let posted = load.posted();
    let right = if load.body.is_some() {
        &posted
    } else {
        load.response
    };
    if response.status != load.status() {
        return Err(Failure(format!(
            "it responds with status {}",
            response.status
        )));
    }
    if response.body != right {
        return Err(Failure(format!(
            "its body is wrong: {} bytes, not the {} expected",
            response.body.len(),
            right.len()
        )));
    }
    Ok(())
}

/// How many of the load's connections get no response while all of them are open, each with one request on it. A server
/// that gives a thread to each connection serves only as many as it has threads, and the load would not tell.
pub(crate) fn unserved(address: SocketAddr, load: &Load) -> usize {
    if load.protocol.is_curls() {
        // Its connections are few, and those that fail are counted.
        return 0;
    }
    let mut open: Vec<TcpStream> = Vec::with_capacity(load.connections);
    for _ in 0..load.connections {
        let sent = client::connect(address, PATIENCE).and_then(|mut stream| {
            // A large body does not fit until the server reads it: its head will do.
            let small = Load {
                body: load.body.map(|bytes| bytes.min(1024)),
                ..load.clone()
            };
            client::send(&mut stream, &small)?;
            Ok(stream)
        });
        open.extend(sent);
    }
    let end = Instant::now() + PATIENCE;
    let served = open.iter_mut().map(|stream| begins(stream, load, end));
    load.connections - served.filter(|begins| *begins).count()
}

/// Whether it keeps the first block of a response back until the application has made the others. PEP 3333 forbids
/// that ("Buffering and Streaming"): a client would wait for what an application sends as it goes.
pub(crate) fn holds_back(address: SocketAddr, load: &Load) -> io::Result<bool> {
    let mut stream = client::get(address, load, "/waits", PATIENCE)?;
    let length = load.response.len();
    let (first, others) = (length / load.blocks, length - length / load.blocks);
    stream.read_exact(&mut vec![0; first])?;
    let since = Instant::now();
    // The head is before them.
    stream.read_exact(&mut vec![0; others])?;
    Ok(since.elapsed() < PAUSE / 2)
}

fn begins(stream: &mut TcpStream, load: &Load, end: Instant) -> bool {
    // With no time left, connections whose response has already arrived still count.
    let left = end.saturating_duration_since(Instant::now());
    let left = left.max(Duration::from_millis(1));
    if stream.set_read_timeout(Some(left)).is_err() {
        return false;
    }
    if load.protocol == Protocol::WebSocket {
        return client::skip_response(stream, load).is_ok();
    }
    let mut begin = [0; 12];
    stream.read_exact(&mut begin).is_ok() && begin.ends_with(b" 200")
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader, Write as _},
        net::TcpListener,
        thread,
    };

    use super::*;

    #[test]
    fn a_response_is_right_in_its_status_and_its_body() {
        let load = Load::get(1, b"hi");
        let given = |status, body: &[u8]| Response {
            status,
            body: body.to_vec(),
        };
        assert!(response(&given(200, b"hi"), &load).is_ok());
        let Failure(wrong) = response(&given(200, b"ho"), &load).expect_err("it is wrong");
        assert_eq!(wrong, "its body is wrong: 2 bytes, not the 2 expected");
        let Failure(wrong) = response(&given(503, b"hi"), &load).expect_err("it is wrong");
        assert_eq!(wrong, "it responds with status 503");
        assert!(response(&given(200, b"xxx"), &Load::echo(1, 3)).is_ok());
    }

    #[test]
    fn a_server_that_waits_for_all_blocks_is_found_out() {
        for holds in [false, true] {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let address = listener.local_addr().expect("an address");
            thread::spawn(move || {
                let (mut stream, _) = listener.accept().expect("a client");
                // What is not read would reset the connection at its end.
                let lines = BufReader::new(&stream).lines().map_while(Result::ok);
                assert!(lines.take_while(|line| !line.is_empty()).count() > 0);
                let mut send = |bytes: &[u8]| stream.write_all(bytes).expect("it reads");
                if !holds {
                    send(b"ab");
                }
                thread::sleep(PAUSE);
                send(if holds { b"abcd" } else { b"cd" });
            });
            let load = Load::get(1, b"abcd").in_blocks(2);
            assert_eq!(holds_back(address, &load).expect("an response"), holds);
        }
    }

    #[test]
    fn connections_that_nobody_serves_are_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        thread::spawn(move || {
            // A thread a connection, and two threads.
            let served: Vec<_> = listener.incoming().take(2).flatten().collect();
            for mut stream in &served {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            }
            thread::park();
        });
        assert_eq!(unserved(address, &Load::get(3, b"")), 1);
    }
}
