//! A client for what the load generator does not check: one request, and its whole response.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::{
    curl,
    load::{Load, Protocol},
    places::Places,
    websocket::{self, Sender},
};

pub(crate) use crate::websocket::connect;

/// The parts of a response that are checked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// The request of the load, written out, or that for a WebSocket.
pub(crate) fn send(stream: &mut TcpStream, load: &Load) -> io::Result<()> {
    match load.protocol {
        Protocol::WebSocket => websocket::ask(stream),
        _ => write(stream, load, load.path, ""),
    }
}

/// The same for another path, on a connection of its own.
pub(crate) fn get(
    address: SocketAddr,
    load: &Load,
    path: &str,
    patience: Duration,
) -> io::Result<TcpStream> {
    let mut stream = connect(address, patience)?;
    write(&mut stream, load, path, "Connection: close\r\n")?;
    Ok(stream)
}

/// Reads the response to [`send`] up to the right body. A WebSocket sends its first message, which has to come back.
pub(crate) fn skip_response(stream: &mut TcpStream, load: &Load) -> io::Result<()> {
    if load.protocol == Protocol::WebSocket {
        let response = echo(stream, load)?;
        let is_right = response.status == load.status() && response.body == load.posted();
        return if is_right {
            Ok(())
        } else {
            Err(io::Error::other("the message does not come back"))
        };
    }
    let mut bytes = Vec::new();
    let mut some = [0; 4096];
    while !bytes.ends_with(load.response) {
        match stream.read(&mut some)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => bytes.extend_from_slice(&some[..count]),
        }
    }
    Ok(())
}

/// Asks once, on a connection of its own.
pub(crate) fn ask(
    address: SocketAddr,
    load: &Load,
    patience: Duration,
    places: &Places,
) -> io::Result<Response> {
    if load.protocol.is_curls() {
        return curl::ask(address, load, patience, places);
    }
    if load.protocol == Protocol::WebSocket {
        let mut stream = connect(address, patience)?;
        send(&mut stream, load)?;
        return echo(&mut stream, load);
    }
    let mut stream = get(address, load, load.path, patience)?;
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        // Some servers reset connections that they close; the received bytes are checked.
        Err(error) if bytes.is_empty() => return Err(error),
        _ => {}
    }
    parse(&bytes).ok_or_else(|| {
        let begin = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
        io::Error::other(format!("this is no whole response: {begin:?}"))
    })
}

/// The response to [`send`] and, on a WebSocket, the first message that comes back.
fn echo(stream: &mut TcpStream, load: &Load) -> io::Result<Response> {
    let status = websocket::status(stream)?;
    let mut body = Vec::new();
    if status == load.status() {
        let message = load.posted();
        stream.write_all(&websocket::frame(&message, Sender::Client))?;
        let right = websocket::frame(&message, Sender::Server);
        body.resize(right.len(), 0);
        stream.read_exact(&mut body)?;
        if body == right {
            body = message;
        }
    }
    Ok(Response { status, body })
}

fn write(stream: &mut TcpStream, load: &Load, path: &str, more: &str) -> io::Result<()> {
    let method = if load.body.is_some() { "POST" } else { "GET" };
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {}\r\n",
        stream.peer_addr()?
    );
    for (name, value) in load.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(bytes) = load.body {
        head.push_str(&format!("Content-Length: {bytes}\r\n"));
    }
    head.push_str(more);
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(&load.posted())
}

fn parse(bytes: &[u8]) -> Option<Response> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?.to_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let field = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(':'));
        lines
            .find(|(field, _)| *field == name)
            .map(|(_, value)| value.trim())
    };
    let rest = &bytes[end + 4..];
    let body = match (field("content-length"), field("transfer-encoding")) {
        (_, Some("chunked")) => unchunk(rest)?,
        (Some(length), _) => rest.get(..length.parse().ok()?)?.to_vec(),
        _ => rest.to_vec(),
    };
    Some(Response { status, body })
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end]).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(end + 2..end + 2 + size)?);
        rest = rest.get(end + 2 + size + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_of_a_length() {
        let response =
            parse(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").expect("a response");
        assert_eq!((response.status, &response.body[..]), (200, &b"hi"[..]));
        assert_eq!(
            parse(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi"),
            None
        );
    }

    #[test]
    fn a_body_in_chunks() {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let whole = format!("{head}2\r\nhi\r\n1;x\r\n!\r\n0\r\n\r\n");
        assert_eq!(parse(whole.as_bytes()).expect("a response").body, b"hi!");
        assert_eq!(parse(format!("{head}2\r\nhi\r\n").as_bytes()), None);
    }
}
