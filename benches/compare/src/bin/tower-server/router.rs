//! Our server.

use std::error::Error;

use axum::{Router, routing::get};
use tower_prefork::{BoxError, Server, Workers};

/// The first example of axum's documentation.
pub(crate) fn hello() -> Router {
    Router::new().route("/", get(async || "Hello, world!"))
}

/// An axum router on `workers` workers.
pub(crate) fn serve(
    router: fn() -> Router,
    workers: usize,
    port: u16,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let _ = Server::new("compare")
        .bind(format!("127.0.0.1:{port}"))
        .workers(Workers::Count(workers))
        .service(move |_| async move { Ok::<_, BoxError>(router()) })
        .run();
    Err("the server has ended".into())
}
