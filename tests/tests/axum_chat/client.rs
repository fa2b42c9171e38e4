//! A client of the chat.

use std::net::SocketAddr;

use tests::{Client, WebSocketClient};

/// A client, which the chat has greeted.
pub(crate) struct ChatClient {
    socket: WebSocketClient,
    worker: u64,
    pid: i32,
}

impl ChatClient {
    pub(crate) fn connect(address: SocketAddr, name: &str) -> Self {
        let path = format!("/ws?name={name}");
        let mut socket = WebSocketClient::open(Client::connect(address), &path);
        let greeting = message(&mut socket);
        Self {
            socket,
            worker: greeting["worker"].as_u64().expect("a number"),
            pid: greeting["pid"].as_i64().unwrap().try_into().unwrap(),
        }
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
        self.socket.send(text);
    }

    /// The next text, and the number of the worker whose client has sent it.
    pub(crate) fn hear(&mut self) -> (String, u64) {
        let message = message(&mut self.socket);
        let text = message["text"].as_str().expect("a text");
        (text.to_owned(), message["worker"].as_u64().unwrap())
    }

    /// The connection itself.
    pub(crate) fn into_socket(self) -> WebSocketClient {
        self.socket
    }
}

fn message(socket: &mut WebSocketClient) -> serde_json::Value {
    let text = socket.text().expect("a message");
    serde_json::from_str(&text).expect("JSON")
}
