//! A client of the chat.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use tests::PATIENCE;
use tokio_tungstenite::tungstenite::{Message, WebSocket, protocol::Role};

/// A client, which the chat has greeted.
pub(crate) struct ChatClient {
    socket: WebSocket<TcpStream>,
    worker: u64,
    pid: i32,
}

impl ChatClient {
    pub(crate) fn connect(address: SocketAddr, name: &str) -> Self {
        let mut stream = TcpStream::connect(address).expect("the chat listens");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!(
            "GET /ws?name={name} HTTP/1.1\r\nhost: {address}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).expect("a whole head");
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let mut client = Self {
            socket: WebSocket::from_raw_socket(stream, Role::Client, None),
            worker: 0,
            pid: 0,
        };
        let greeting = client.message();
        client.worker = greeting["worker"].as_u64().expect("a number");
        client.pid = greeting["pid"].as_i64().unwrap().try_into().unwrap();
        client
    }

    /// The number of its worker.
    pub(crate) fn worker(&self) -> u64 {
        self.worker
    }

    /// The process of its worker.
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    pub(crate) fn say(&mut self, text: &str) {
        self.socket.send(Message::text(text)).unwrap();
    }

    /// The next text, and the number of the worker whose client has sent it.
    pub(crate) fn hear(&mut self) -> (String, u64) {
        let message = self.message();
        let text = message["text"].as_str().expect("a text");
        (text.to_owned(), message["worker"].as_u64().unwrap())
    }

    /// Reads until the server closes, and closes as well: the code.
    pub(crate) fn close_code(mut self) -> u16 {
        let code = loop {
            match self.socket.read().expect("a Close frame before the end") {
                Message::Close(frame) => break frame.expect("a code").code,
                Message::Text(_) | Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        };
        // Sends the reply, and reads the end.
        assert!(self.socket.read().is_err());
        code.into()
    }

    /// Whether the connection ends without a Close frame.
    pub(crate) fn ends_without_close(mut self) -> bool {
        loop {
            match self.socket.read() {
                Err(_) => return true,
                Ok(Message::Close(_)) => return false,
                Ok(_) => {}
            }
        }
    }

    fn message(&mut self) -> serde_json::Value {
        loop {
            if let Message::Text(text) = self.socket.read().expect("a message") {
                return serde_json::from_str(&text).expect("JSON");
            }
        }
    }
}
