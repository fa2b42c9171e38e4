//! The page, and the conversation with one client.

use std::time::Duration;

use axum::{
    Router,
    extract::{
        Query, State,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code},
    },
    response::{Html, Response},
    routing::get,
};
use serde::Deserialize;
use tokio::{sync::broadcast::error::RecvError, time::timeout};

use crate::room::Room;

/// The maximum length of a message of a client, in bytes. A longer one ends its connection.
const MAX_MESSAGE: usize = 4096;

/// The maximum length of a name, in characters. The rest is cut off.
const MAX_NAME: usize = 40;

/// The maximum time that a client may take to receive a message, before its connection is dropped.
const SLOWEST: Duration = Duration::from_secs(10);

#[derive(Clone)]
struct Chat {
    room: Room,
    /// The number of this worker.
    worker: usize,
}

#[derive(Deserialize)]
struct Speaker {
    name: String,
}

pub(crate) fn router(room: Room, worker: usize) -> Router {
    Router::new()
        .route("/", get(|| async { Html(include_str!("page.html")) }))
        .route("/ws", get(enter))
        .with_state(Chat { room, worker })
}

async fn enter(
    State(chat): State<Chat>,
    Query(speaker): Query<Speaker>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let name = speaker.name.chars().take(MAX_NAME).collect();
    upgrade
        .max_message_size(MAX_MESSAGE)
        .on_upgrade(move |socket| async move {
            // An error is the end of the connection, of which there is nothing to log.
            let _ = chat.converse(socket, name).await;
        })
}

impl Chat {
    /// Until the client leaves or the server closes the connection, for which this code needs nothing.
    async fn converse(self, mut socket: WebSocket, name: String) -> Result<(), axum::Error> {
        let (latest, mut following) = self.room.enter();
        let greeting =
            serde_json::json!({ "worker": self.worker, "pid": std::process::id() }).to_string();
        send(&mut socket, greeting).await?;
        for message in latest {
            send(&mut socket, &*message).await?;
        }
        loop {
            tokio::select! {
                message = following.recv() => match message {
                    Ok(message) => send(&mut socket, &*message).await?,
                    Err(RecvError::Lagged(_)) => return dismiss(socket).await,
                    Err(RecvError::Closed) => return Ok(()),
                },
                message = socket.recv() => match message {
                    None => return Ok(()),
                    Some(Ok(Message::Text(text))) => {
                        let message = serde_json::json!({
                            "name": name, "text": text.as_str(), "worker": self.worker,
                        });
                        self.room.say(message.to_string()).await;
                    }
                    // axum has replied to a Ping and to a Close, after which there are no more messages.
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(error),
                },
            }
        }
    }
}

/// The client reads slower than the others speak. Its page connects again, and gets the latest messages.
async fn dismiss(mut socket: WebSocket) -> Result<(), axum::Error> {
    let frame = CloseFrame {
        code: close_code::AGAIN,
        reason: "too slow".into(),
    };
    let closed = timeout(SLOWEST, socket.send(Message::Close(Some(frame)))).await;
    closed.map_err(axum::Error::new)?
}

async fn send(socket: &mut WebSocket, text: impl Into<String>) -> Result<(), axum::Error> {
    let sent = timeout(SLOWEST, socket.send(Message::text(text.into()))).await;
    sent.map_err(axum::Error::new)?
}
