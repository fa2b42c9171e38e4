//! A connection on which a test sends any frames, and sees each frame of the server.

use std::{
    io::{self, BufReader, ErrorKind, Write},
    net::{SocketAddr, TcpStream},
};

use super::{Fields, Frame, code, fields::status, flag, kind, setting};
use crate::PATIENCE;

/// What a client sends first.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A blocking HTTP/2 client that sends the given frames, and nothing else.
#[derive(Debug)]
pub struct RawHttp2 {
    stream: BufReader<TcpStream>,
    /// What the server has sent, in this order, except for what [`outcome`](Self::outcome) has used.
    pub seen: Vec<Frame>,
    /// The settings that the server has begun with.
    settings: Vec<u8>,
}

/// What became of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has a response with this status, and this body.
    Served(u16, Vec<u8>),
    /// The server has reset it, with this error code.
    Reset(u32),
    /// The server has ended the connection, with this error code.
    GoAway(u32),
    /// The connection has ended.
    Closed,
}

impl RawHttp2 {
    /// Connects over TCP, and exchanges settings: the client's are a table for fields of size 0, and those given.
    ///
    /// # Panics
    ///
    /// When no server of HTTP/2 is there.
    #[must_use]
    pub fn connect(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let mut client = Self::connect_tcp(address);
        client.start(settings).expect("a server of HTTP/2");
        client
    }

    /// Connects over TCP only.
    ///
    /// # Panics
    ///
    /// When no server is there.
    #[must_use]
    pub fn connect_tcp(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("a server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream.set_write_timeout(Some(PATIENCE)).expect("a socket");
        stream.set_nodelay(true).expect("a socket");
        Self {
            stream: BufReader::new(stream),
            seen: Vec::new(),
            settings: Vec::new(),
        }
    }

    /// Sends the preface and settings, and waits until both sides know the settings of the other.
    ///
    /// # Errors
    ///
    /// When the server ends the connection.
    pub fn start(&mut self, settings: &[(u16, u32)]) -> io::Result<()> {
        self.send(PREFACE)?;
        let settings = [&[(setting::HEADER_TABLE_SIZE, 0)], settings].concat();
        self.frame(&Frame::settings(&settings))?;
        let server =
            self.wait_for(|frame| frame.kind == kind::SETTINGS && !frame.has(flag::ACK))?;
        self.settings = server.payload;
        self.frame(&Frame::new(kind::SETTINGS, flag::ACK, 0, []))?;
        let _ = self.wait_for(|frame| frame.kind == kind::SETTINGS && frame.has(flag::ACK))?;
        Ok(())
    }

    /// The value of a setting that the server has begun with, if it has named one.
    #[must_use]
    pub fn setting(&self, setting: u16) -> Option<u32> {
        let mut pairs = self.settings.chunks(6);
        let pair = pairs.find(|pair| pair.starts_with(&setting.to_be_bytes()))?;
        pair[2..]
            .first_chunk()
            .map(|value| u32::from_be_bytes(*value))
    }

    /// Sends bytes.
    ///
    /// # Errors
    ///
    /// When the connection is closed.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes.as_ref())
    }

    /// Sends a frame.
    ///
    /// # Errors
    ///
    /// When the connection is closed.
    pub fn frame(&mut self, frame: &Frame) -> io::Result<()> {
        self.send(frame.bytes())
    }

    /// Sends frames in one write.
    ///
    /// # Errors
    ///
    /// When the connection is closed.
    pub fn frames(&mut self, frames: &[Frame]) -> io::Result<()> {
        let bytes: Vec<_> = frames.iter().flat_map(Frame::bytes).collect();
        self.send(bytes)
    }

    /// Sends a GET request on this stream.
    ///
    /// # Errors
    ///
    /// When the connection is closed.
    pub fn get(&mut self, stream: u32, path: &str) -> io::Result<()> {
        self.frame(&Frame::headers(stream, flag::WHOLE, Fields::get(path)))
    }

    /// Reads the next frame.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` when the connection ends, and another error when it is reset.
    pub fn read(&mut self) -> io::Result<Frame> {
        Frame::read(&mut self.stream)
    }

    /// The next frame of this kind. The others before it are in `seen`.
    ///
    /// # Errors
    ///
    /// When the connection ends first.
    pub fn wait_for(&mut self, mut is_it: impl FnMut(&Frame) -> bool) -> io::Result<Frame> {
        if let Some(at) = self.seen.iter().position(&mut is_it) {
            return Ok(self.seen.remove(at));
        }
        loop {
            let frame = self.read()?;
            if is_it(&frame) {
                return Ok(frame);
            }
            self.seen.push(frame);
        }
    }

    /// Waits until it is decided what became of a stream.
    ///
    /// # Panics
    ///
    /// When the response is none, or nothing happens for long.
    pub fn outcome(&mut self, stream: u32) -> Outcome {
        let mut response = None;
        loop {
            let is_about = |frame: &Frame| match frame.kind {
                kind::DATA | kind::HEADERS | kind::RST_STREAM => frame.stream == stream,
                kind::GOAWAY => frame.number(4) != code::NO_ERROR,
                _ => false,
            };
            let frame = match self.wait_for(is_about) {
                Ok(frame) => frame,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    panic!("nothing happens to stream {stream}; seen: {:?}", self.seen)
                }
                Err(_) => return Outcome::Closed,
            };
            match (frame.kind, &mut response) {
                (kind::RST_STREAM, _) => return Outcome::Reset(frame.number(0)),
                (kind::GOAWAY, _) => return Outcome::GoAway(frame.number(4)),
                (kind::HEADERS, None) => {
                    let status = status(&frame.payload);
                    let status = status.unwrap_or_else(|| panic!("no status in {frame:?}"));
                    // Those of 100 and more come before the response.
                    if status >= 200 {
                        response = Some((status, Vec::new()));
                    }
                }
                (kind::DATA, Some((_, body))) => body.extend(&frame.payload),
                // Trailers.
                (_, Some(_)) => {}
                (_, None) => panic!("data before the response: {frame:?}"),
            }
            if frame.has(flag::END_STREAM)
                && let Some((status, body)) = response.take()
            {
                return Outcome::Served(status, body);
            }
        }
    }

    /// Sends a GET request, and gives its outcome.
    pub fn fetch(&mut self, stream: u32, path: &str) -> Outcome {
        // If this fails, reading shows what has happened.
        let _ = self.get(stream, path);
        self.outcome(stream)
    }

    /// Whether the server ends the connection before anything else but frames that it has on the way.
    #[must_use]
    pub fn is_closed(&mut self) -> bool {
        loop {
            match self.read() {
                Ok(frame) => self.seen.push(frame),
                Err(error) => return error.kind() != ErrorKind::WouldBlock,
            }
        }
    }

    /// The socket, for its options.
    #[must_use]
    pub fn socket(&self) -> &TcpStream {
        self.stream.get_ref()
    }
}
