//! hyper's server for HTTP/1.1 and HTTP/2, as its documentation shows it, on an event loop.
//!
//! It responds with `Hello, world!`, and to a request with a body with that body. With a certificate and its key it speaks TLS.
//!
//! usage: `auto-server PORT [CERTIFICATE KEY]`

use std::{env, error::Error, sync::Arc};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response,
    body::{Body as _, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    runtime::Builder,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (port, tls) = match &arguments[..] {
        [port] => (port, None),
        [port, certificate, key] => (port, Some(acceptor(certificate, key)?)),
        _ => return Err("usage: auto-server PORT [CERTIFICATE KEY]".into()),
    };
    let port: u16 = port.parse()?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let tls = tls.clone();
            tokio::spawn(async move {
                match tls {
                    None => serve(stream).await,
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            serve(stream).await;
                        }
                    }
                }
            });
        }
    })
}

/// The load generator counts failed connections.
async fn serve<IO: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: IO) {
    let http = auto::Builder::new(TokioExecutor::new());
    let _ = http
        .serve_connection(TokioIo::new(stream), service_fn(respond))
        .await;
}

async fn respond(request: Request<Incoming>) -> hyper::Result<Response<Full<Bytes>>> {
    let body = request.into_body();
    let response = if body.is_end_stream() {
        Bytes::from_static(b"Hello, world!")
    } else {
        body.collect().await?.to_bytes()
    };
    Ok(Response::new(Full::new(response)))
}

fn acceptor(certificate: &str, key: &str) -> Result<TlsAcceptor, Box<dyn Error>> {
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config).into())
}
