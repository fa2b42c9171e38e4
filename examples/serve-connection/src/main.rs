//! A server of one process, with its own TCP listener, on `tower-serve`.
//!
//! The program accepts the connections; `HttpServer` serves each of them, with the strict checks, the deadlines and the
//! access log that a server of `tower-prefork` has. Any IO would do in place of a TCP connection.
//!
//! Start it:
//!
//! ```text
//! cargo run -p serve-connection -- 127.0.0.1:3000
//! ```
//!
//! Try it:
//!
//! ```text
//! curl http://127.0.0.1:3000/
//! curl http://127.0.0.1:3000/slow                                        # press Ctrl-C meanwhile
//! printf 'GET / HTTP/1.1\r\n\r\n' | nc -q1 127.0.0.1 3000               # 400: the Host field is missing
//! ```
//!
//! Ctrl-C or `kill` ends it gracefully: running requests get their responses, within 10 seconds.

use std::{
    convert::Infallible,
    env,
    io::{self, IsTerminal as _},
    pin::pin,
    process::ExitCode,
    time::Duration,
};

use http::{Request, Response};
use tokio::{
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
    time::{sleep, timeout},
};
use tower::service_fn;
use tower_serve::{AccessLog, BoxError, ConnectInfo, HttpServer, HttpService, RequestBody};

/// How long an idle connection stays open after the signal, for a request that is on its way.
const IDLE: Duration = Duration::from_secs(1);

/// How long running requests have to finish.
const GRACE: Duration = Duration::from_secs(10);

/// How long to wait after an error of the system, which may be out of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    let address = env::args().nth(1);
    match run(address.as_deref().unwrap_or("127.0.0.1:3000")).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error, "the server cannot start");
            ExitCode::FAILURE
        }
    }
}

async fn run(address: &str) -> Result<(), BoxError> {
    let listener = TcpListener::bind(address).await?;
    let server = HttpServer::builder()
        .access_log(AccessLog::new("-"))
        .build()?;
    let address = format!("http://{}", listener.local_addr()?);
    tracing::info!(%address, "listening");

    let mut stop = pin!(stop_signal()?);
    loop {
        tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => connect(stream, &server, service_fn(hello)),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    drop(listener);
    server.shutdown(IDLE);
    if timeout(GRACE, server.closed()).await.is_err() {
        let connections = server.load().connections();
        tracing::warn!(
            connections,
            "the deadline is over; open connections are cut"
        );
    }
    Ok(())
}

/// Serves a connection on a task of its own.
fn connect(stream: TcpStream, server: &HttpServer, service: impl HttpService) {
    let (Ok(local), Ok(peer)) = (stream.local_addr(), stream.peer_addr()) else {
        return; // The client has gone.
    };
    // Responses are written as a whole; only slowness would come of waiting for more.
    let _ = stream.set_nodelay(true);
    tokio::spawn(server.serve_tcp(stream, ConnectInfo::tcp(local, peer), service));
}

/// Any tower service would do, an axum `Router` for example.
async fn hello(request: Request<RequestBody>) -> Result<Response<String>, Infallible> {
    if request.uri().path() == "/slow" {
        sleep(Duration::from_secs(1)).await;
    }
    let connect_info = request.extensions().get::<ConnectInfo>();
    let peer = connect_info.and_then(ConnectInfo::peer);
    let peer = peer.map_or_else(|| "somewhere".to_owned(), |peer| peer.ip().to_string());
    Ok(Response::new(format!("Hello, client at {peer}!\n")))
}

/// Resolves at SIGINT, which Ctrl-C sends, and at SIGTERM.
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
