//! A TCP connection, which begins with the header of the PROXY protocol if the server wants one, and then with a TLS
//! handshake if it has a certificate.

use std::{future::Future, sync::Arc};

#[cfg(feature = "tls")]
use futures_util::future::Either;
#[cfg(feature = "tls")]
use http::header::STRICT_TRANSPORT_SECURITY;
use tokio::net::TcpStream;
#[cfg(feature = "tls")]
use tower_http::set_header::SetResponseHeader;

use super::{ConnectInfo, Shared, opening::serve_io};
#[cfg(feature = "tls")]
use super::{
    handle::ConnectionGuard,
    handshake::{Shaken, handshake},
    opening::opened,
    refusal::Refusal,
    serve::{Begin, serve_open},
};
use crate::HttpService;
#[cfg(feature = "tls")]
use crate::{http::ALPN_HTTP2, tls::session_info};

/// As [`serve_io`], with TLS if the server has a certificate.
pub(crate) fn serve_tcp<S: HttpService>(
    stream: TcpStream,
    connection: ConnectInfo,
    service: S,
    shared: Arc<Shared>,
) -> impl Future<Output = ()> + Send {
    #[cfg(feature = "tls")]
    if let Some(tls) = &shared.tls {
        let (tls, hsts) = (tls.current(), tls.hsts());
        let served = async move {
            let open = ConnectionGuard::begin(&shared, &connection);
            let mut stream = stream;
            let opened = opened(&mut stream, connection, &shared, open.handle());
            let Some(connection) = Box::pin(opened).await else {
                return;
            };
            // Each apart: neither needs the room of the other.
            let shaken = Box::pin(handshake(stream, &tls, &shared, open.handle())).await;
            match shaken {
                Some(Shaken::Encrypted(stream)) => {
                    let session = stream.get_ref().1;
                    let begin = match session.alpn_protocol() {
                        Some(ALPN_HTTP2) => Begin::Http2,
                        _ => Begin::cleartext(shared.http.versions),
                    };
                    let connection = connection.with_tls(session_info(session));
                    let service =
                        SetResponseHeader::if_not_present(service, STRICT_TRANSPORT_SECURITY, hsts);
                    let served = serve_open(*stream, connection, service, shared, open, begin);
                    Box::pin(served).await;
                }
                Some(Shaken::Plain(stream)) => {
                    let begin = Begin::Refused(Refusal::NoTls);
                    let served = serve_open(stream, connection, service, shared, open, begin);
                    Box::pin(served).await;
                }
                None => {}
            }
        };
        // Apart: its state is large, and connections without TLS need not have the room for it.
        return Either::Left(Box::pin(served));
    }
    let served = serve_io(stream, connection, service, shared);
    #[cfg(feature = "tls")]
    let served = Either::Right(served);
    served
}
