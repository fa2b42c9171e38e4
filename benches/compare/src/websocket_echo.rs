//! The service of the row with WebSocket connections, as axum's example has it. `axum-server` and `tower-server` have this file.

use axum::{
    Router,
    extract::ws::{Message, WebSocket, WebSocketUpgrade},
    routing::get,
};

/// Sends each text message back.
pub(crate) fn router() -> Router {
    Router::new().route(
        "/",
        get(async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(echo)),
    )
}

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if let Message::Text(_) = message
            && socket.send(message).await.is_err()
        {
            break;
        }
    }
}
