//! The client's side of a WebSocket of which the server sends each message back. `websocket-load` has this file as well.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// The masking key of all messages: a server has to remove it, its bytes do not matter.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A text message in one frame.
const TEXT: u8 = 0x81;

/// Who sends a frame.
#[derive(Clone, Copy)]
pub(crate) enum Sender {
    /// Its frames are masked.
    Client,
    Server,
}

/// A connection that stays open, with no request on it yet.
pub(crate) fn connect(address: SocketAddr, patience: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    Ok(stream)
}

/// Sends the request for a WebSocket.
pub(crate) fn ask(stream: &mut TcpStream) -> io::Result<()> {
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        stream.peer_addr()?
    );
    stream.write_all(request.as_bytes())
}

/// The status of the response to [`ask`]: 101 if there is a WebSocket now.
pub(crate) fn status(stream: &mut TcpStream) -> io::Result<u16> {
    let mut head = Vec::new();
    let mut some = [0; 1024];
    // Before the first message, the server sends nothing after the head of a 101.
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut some)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => head.extend_from_slice(&some[..count]),
        }
    }
    let head = String::from_utf8_lossy(&head);
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    status.ok_or_else(|| io::Error::other("this is no response"))
}

/// One message of at most 65 535 bytes, as it is on the connection.
pub(crate) fn frame(message: &[u8], sender: Sender) -> Vec<u8> {
    let masked = match sender {
        Sender::Client => 0x80,
        Sender::Server => 0,
    };
    let mut frame = vec![TEXT];
    match (u8::try_from(message.len()), u16::try_from(message.len())) {
        (Ok(length @ ..=125), _) => frame.push(masked | length),
        (_, length) => {
            frame.push(masked | 126);
            frame.extend(length.unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    match sender {
        Sender::Client => {
            frame.extend(MASK);
            let mask = MASK.iter().cycle();
            frame.extend(message.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
        }
        Sender::Server => frame.extend(message),
    }
    frame
}
