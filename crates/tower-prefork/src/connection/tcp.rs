use std::{future::Future, sync::Arc};

#[cfg(feature = "tls")]
use futures_util::future::Either;
use tokio::net::TcpStream;

#[cfg(feature = "tls")]
use super::handshake::handshake;
use super::{Connection, Shared, serve};
use crate::HttpService;

/// As [`serve`], with TLS if the server has a certificate.
pub(crate) fn serve_tcp<S: HttpService>(
    stream: TcpStream,
    connection: Connection,
    service: S,
    shared: Arc<Shared>,
) -> impl Future<Output = ()> + Send {
    #[cfg(feature = "tls")]
    if let Some(tls) = shared.tls.clone() {
        let served = async move {
            // Each apart: neither needs the room of the other.
            let stream = Box::pin(handshake(stream, &tls, &shared)).await;
            if let Some(stream) = stream {
                Box::pin(serve(*stream, connection.encrypted(), service, shared)).await;
            }
        };
        // Apart: its state is large, and connections without TLS need not have the room for it.
        return Either::Left(Box::pin(served));
    }
    let served = serve(stream, connection, service, shared);
    #[cfg(feature = "tls")]
    let served = Either::Right(served);
    served
}
