//! The WSGI application: a page that says what there is.

use axum::body::Bytes;
use tower_wsgi::{
    BoxError,
    wsgi::{Environ, StartResponse},
};

const METHODS: &str = "\
worker
math.divide a b
math.primes limit
";

/// Lists the methods, and the address for them.
pub(crate) fn page(
    environ: &Environ,
    start_response: &StartResponse,
) -> Result<[Result<Bytes, BoxError>; 1], BoxError> {
    let (status, text) = match &*environ.path_info() {
        b"/" => {
            let host = environ.get("HTTP_HOST").unwrap_or_default();
            let address = format!(
                "{}://{}/rpc",
                environ.url_scheme(),
                String::from_utf8_lossy(&host)
            );
            (
                "200 OK",
                format!("POST JSON-RPC 2.0 to {address}\n\n{METHODS}"),
            )
        }
        _ => (
            "404 Not Found",
            "There is nothing at this address.\n".to_owned(),
        ),
    };
    start_response.start(status, [("content-type", "text/plain; charset=utf-8")])?;
    Ok([Ok(text.into())])
}
