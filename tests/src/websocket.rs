//! A WebSocket client over a [`Client`].

use std::io::{self, Read, Write};

use tokio_tungstenite::tungstenite::{Error, Message, WebSocket, protocol::Role};

use crate::{Client, Response};

/// The request for an upgrade.
const HANDSHAKE: &str = "HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A blocking WebSocket client.
#[derive(Debug)]
pub struct WebSocketClient(WebSocket<Client>);

impl WebSocketClient {
    /// Upgrades the connection at this path. The error is the response if the server does not.
    ///
    /// # Errors
    ///
    /// When the response is not 101.
    ///
    /// # Panics
    ///
    /// When the connection is broken.
    pub fn try_open(mut client: Client, path: &str) -> Result<Self, Response> {
        let sent = client.send(format!("GET {path} {HANDSHAKE}"));
        sent.expect("the connection is open");
        let (status, headers) = client.head().expect("a response");
        if status == 101 {
            let socket = WebSocket::from_raw_socket(client, Role::Client, None);
            return Ok(Self(socket));
        }
        Err(Response {
            status,
            headers,
            body: Vec::new(),
        })
    }

    /// The same for a server that has to.
    ///
    /// # Panics
    ///
    /// When it does not.
    #[must_use]
    pub fn open(client: Client, path: &str) -> Self {
        Self::try_open(client, path).expect("the response is 101")
    }

    /// Sends a text.
    ///
    /// # Panics
    ///
    /// When the connection is closed.
    pub fn send(&mut self, text: &str) {
        self.0.send(Message::text(text)).expect("it is open");
    }

    /// The next text. The error is the code of a close frame in its place.
    ///
    /// # Errors
    ///
    /// When the server closes the WebSocket.
    ///
    /// # Panics
    ///
    /// When the connection is broken.
    pub fn text(&mut self) -> Result<String, u16> {
        loop {
            match self.0.read().expect("the connection is whole") {
                Message::Text(text) => return Ok(text.to_string()),
                Message::Close(frame) => {
                    return Err(frame.map_or(1005, |frame| frame.code.into()));
                }
                _ => {}
            }
        }
    }

    /// Sends a text, and waits for the next one.
    ///
    /// # Errors
    ///
    /// As [`text`](Self::text).
    pub fn ask(&mut self, text: &str) -> Result<String, u16> {
        // One that was closed already is read below.
        let _ = self.0.send(Message::text(text));
        self.text()
    }

    /// Waits for a close frame, replies to it, and waits for the end of the connection. Returns the code.
    ///
    /// # Panics
    ///
    /// When there is none, or the connection is reset.
    pub fn closed(mut self) -> u16 {
        let code = loop {
            if let Err(code) = self.text() {
                break code;
            }
        };
        self.ended();
        code
    }

    /// Closes the WebSocket with code 1000, and waits for the reply and for the end of the connection.
    ///
    /// # Panics
    ///
    /// When these do not come.
    pub fn close(mut self) {
        self.0.close(None).expect("it is open");
        while !matches!(self.0.read().expect("a close frame"), Message::Close(_)) {}
        self.ended();
    }

    fn ended(&mut self) {
        loop {
            match self.0.read() {
                Err(Error::ConnectionClosed) => return,
                Ok(_) => {}
                Err(error) => panic!("it does not end well: {error}"),
            }
        }
    }

    /// Whether the connection has ended without a close frame.
    #[must_use]
    pub fn is_cut(&mut self) -> bool {
        self.0.read().is_err()
    }

    /// The connection itself.
    #[must_use]
    pub fn client(&mut self) -> &mut Client {
        self.0.get_mut()
    }
}

impl Read for Client {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl Write for Client {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.get_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.get_mut().flush()
    }
}
