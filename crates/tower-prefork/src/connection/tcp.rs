use std::sync::Arc;

use tokio::net::TcpStream;

#[cfg(feature = "tls")]
use super::handshake::handshake;
use super::{Connection, Shared, serve};
use crate::HttpService;

/// As [`serve`], with TLS if the server has a certificate.
pub(crate) async fn serve_tcp<S: HttpService>(
    stream: TcpStream,
    connection: Connection,
    service: S,
    shared: Arc<Shared>,
) {
    #[cfg(feature = "tls")]
    if let Some(tls) = &shared.tls {
        // Apart: its state is large, and connections without TLS need not have the room for it.
        let stream = Box::pin(handshake(stream, tls, &shared)).await;
        if let Some(stream) = stream {
            Box::pin(serve(*stream, connection.encrypted(), service, shared)).await;
        }
        return;
    }
    serve(stream, connection, service, shared).await;
}
