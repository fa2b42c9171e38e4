//! Our server.

use std::{convert::Infallible, error::Error};

use axum::{Router, routing::get};
use tower::service_fn;
use tower_prefork::{AccessLog, BoxError, Server, Workers};

use crate::layers;

type Result = std::result::Result<(), Box<dyn Error + Send + Sync>>;

/// The bare service on so many workers.
pub(crate) fn hello(workers: usize, port: u16, options: &[String]) -> Result {
    let mut server = server(workers, port);
    if let [option, path] = options
        && option == "--access-log"
    {
        let log = AccessLog::new(path);
        server = server.configure(move |config| config.access_log = Some(log.clone()));
    }
    let _ = server
        .service(|_| async {
            Ok::<_, BoxError>(service_fn(async |_| Ok::<_, Infallible>(layers::hello())))
        })
        .run();
    Err("the server has ended".into())
}

/// An axum router on so many workers.
pub(crate) fn router(workers: usize, port: u16) -> Result {
    let _ = server(workers, port)
        .service(|_| async {
            let router = Router::new().route("/", get(async || "Hello, world!"));
            Ok::<_, BoxError>(router)
        })
        .run();
    Err("the server has ended".into())
}

fn server(workers: usize, port: u16) -> Server {
    Server::new("compare")
        .bind(format!("127.0.0.1:{port}"))
        .workers(Workers::Count(workers))
        // For the row with ten thousand idle ones, which one worker holds.
        .configure(|config| config.max_connections = 16_384)
}
