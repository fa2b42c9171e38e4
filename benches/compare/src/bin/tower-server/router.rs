//! Our server.

use std::error::Error;

use axum::{Router, routing::get};
use tower_prefork::{BoxError, Server, Workers};

/// An axum router on `workers` workers.
pub(crate) fn router(workers: usize, port: u16) -> Result<(), Box<dyn Error + Send + Sync>> {
    let _ = Server::new("compare")
        .bind(format!("127.0.0.1:{port}"))
        .workers(Workers::Count(workers))
        .service(|_| async {
            let router = Router::new().route("/", get(async || "Hello, world!"));
            Ok::<_, BoxError>(router)
        })
        .run();
    Err("the server has ended".into())
}
