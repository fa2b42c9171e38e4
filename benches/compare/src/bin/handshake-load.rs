//! The load of TLS handshakes, on one thread: each client connects, shakes hands, closes, and begins anew.
//!
//! usage: `handshake-load ADDRESS CLIENTS SECONDS`
//!
//! It prints what `load.lua` makes `wrk` print. Handshakes are counted as requests. None resumes a session.

#[path = "websocket-load/tally.rs"]
mod tally;

use std::{env, error::Error, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    runtime::Builder,
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, DigitallySignedStruct, SignatureScheme,
        client::{
            Resumption,
            danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        },
        crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
        pki_types::{CertificateDer, ServerName, UnixTime},
    },
};

use crate::tally::{Connection, Fault, Tally};

/// For one handshake.
const PATIENCE: Duration = Duration::from_secs(2);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [address, clients, seconds] = &arguments[..] else {
        return Err("usage: handshake-load ADDRESS CLIENTS SECONDS".into());
    };
    let (address, clients): (_, usize) = (address.parse()?, clients.parse()?);
    let duration = Duration::from_secs(seconds.parse()?);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let tally = runtime.block_on(load(address, clients, duration))?;
    println!("{}", serde_json::to_string(&tally.report())?);
    Ok(())
}

async fn load(
    address: SocketAddr,
    clients: usize,
    duration: Duration,
) -> Result<Tally, Box<dyn Error>> {
    let provider = Arc::new(ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let connector = TlsConnector::from(Arc::new(config));
    let end = Instant::now() + duration;
    let mut tasks: JoinSet<_> = (0..clients)
        .map(|_| client(address, connector.clone(), end))
        .collect();
    let mut tally = Tally::default();
    while let Some(ended) = tasks.join_next().await {
        tally.add(ended.unwrap_or_default());
    }
    tally.took(duration);
    Ok(tally)
}

async fn client(address: SocketAddr, connector: TlsConnector, end: Instant) -> Connection {
    let mut counts = Connection::default();
    while Instant::now() < end {
        let begin = Instant::now();
        let one = timeout(PATIENCE, handshake(address, &connector));
        match timeout_at(end, one).await {
            Ok(Ok(Ok(()))) => counts.round_trip(begin.elapsed(), 0),
            Ok(Ok(Err(fault))) => {
                counts.fault = Some(fault);
                break;
            }
            Ok(Err(_)) => {
                counts.fault = Some(Fault::Timeout);
                break;
            }
            Err(_) => break,
        }
    }
    counts
}

async fn handshake(address: SocketAddr, connector: &TlsConnector) -> Result<(), Fault> {
    let stream = TcpStream::connect(address)
        .await
        .map_err(|error| Fault::connect(&error))?;
    // Thousands of closed connections a second would use all ports up.
    stream.set_zero_linger().map_err(|_| Fault::Connect)?;
    let name = ServerName::try_from("localhost").map_err(|_| Fault::Connect)?;
    let mut stream = connector
        .connect(name, stream)
        .await
        .map_err(|_| Fault::Read)?;
    stream.shutdown().await.map_err(|_| Fault::Write)
}

/// Checks that the server has the key of its certificate, as every client does, and not who has signed that.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, tokio_rustls::rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, tokio_rustls::rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, tokio_rustls::rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
