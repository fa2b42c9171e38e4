//! The bare service on `tower-prefork`. It responds to a request with a body with that body.
//!
//! usage: `prefork-server WORKERS PORT [--access-log FILE | --tls CERTIFICATE KEY]`

use std::{env, process::ExitCode};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use tower::service_fn;
use tower_prefork::{AccessLog, BoxError, RequestBody, Server, Tls, Workers};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [workers, port, options @ ..] = &arguments[..] else {
        return usage();
    };
    let Ok(workers) = workers.parse() else {
        return usage();
    };
    let mut server = Server::new("compare")
        .bind(format!("127.0.0.1:{port}"))
        .workers(Workers::Count(workers))
        // For the row with ten thousand idle ones, which one worker holds.
        .configure(|config| config.max_connections = 16_384);
    server = match &options.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => server,
        ["--access-log", path] => {
            let log = AccessLog::new(path);
            server.configure(move |config| config.access_log = Some(log.clone()))
        }
        ["--tls", certificate, key] => {
            let tls = Tls::new(certificate, key);
            server.configure(move |config| config.tls = Some(tls.clone()))
        }
        _ => return usage(),
    };
    server
        .service(|_| async { Ok::<_, BoxError>(service_fn(respond)) })
        .run()
}

async fn respond(request: Request<RequestBody>) -> Result<Response<Full<Bytes>>, BoxError> {
    let body = request.into_body();
    let response = if body.is_end_stream() {
        Bytes::from_static(b"Hello, world!")
    } else {
        body.collect().await?.to_bytes()
    };
    Ok(Response::new(Full::new(response)))
}

fn usage() -> ExitCode {
    eprintln!("usage: prefork-server WORKERS PORT [--access-log FILE | --tls CERTIFICATE KEY]");
    ExitCode::FAILURE
}
