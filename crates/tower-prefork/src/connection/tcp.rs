use std::{future::Future, sync::Arc};

#[cfg(feature = "tls")]
use futures_util::future::Either;
use tokio::net::TcpStream;

use super::{Connection, Shared, serve};
#[cfg(feature = "tls")]
use super::{
    handshake::{Shaken, handshake},
    refusal::NO_TLS,
    serve::serve_with,
};
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
            match Box::pin(handshake(stream, &tls, &shared)).await {
                Some(Shaken::Encrypted(stream)) => {
                    Box::pin(serve(*stream, connection.encrypted(), service, shared)).await;
                }
                Some(Shaken::Plain(stream)) => {
                    let served = serve_with(stream, connection, service, shared, Some(NO_TLS));
                    Box::pin(served).await;
                }
                None => {}
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
