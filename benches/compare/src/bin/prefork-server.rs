//! The bare service on `tower-prefork`.
//!
//! usage: `prefork-server WORKERS PORT [--access-log FILE]`

use std::{convert::Infallible, env, process::ExitCode};

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use tower::service_fn;
use tower_prefork::{AccessLog, BoxError, Server, Workers};

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
    if let [option, path] = options
        && option == "--access-log"
    {
        let log = AccessLog::new(path);
        server = server.configure(move |config| config.access_log = Some(log.clone()));
    }
    server
        .service(|_| async {
            Ok::<_, BoxError>(service_fn(async |_| {
                let body = Full::new(Bytes::from_static(b"Hello, world!"));
                Ok::<_, Infallible>(Response::new(body))
            }))
        })
        .run()
}

fn usage() -> ExitCode {
    eprintln!("usage: prefork-server WORKERS PORT [--access-log FILE]");
    ExitCode::FAILURE
}
