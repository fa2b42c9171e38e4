//! A WSGI application, and one that looks at its environ.

use std::hint::black_box;

use bytes::Bytes;
use tower_wsgi::{
    BoxError,
    wsgi::{Environ, StartResponse},
};

use crate::HELLO;

/// The pieces of a body, or why there are none.
pub type Chunks = Result<[Result<Bytes, BoxError>; 1], BoxError>;

/// Responds to every request with the same few bytes.
///
/// # Errors
///
/// None, as `start_response` is called once and with a valid head.
#[expect(clippy::needless_pass_by_value, reason = "it is an application")]
pub fn application(_: Environ, start_response: StartResponse) -> Chunks {
    start_response.start("200 OK", [("content-type", "text/plain")])?;
    Ok([Ok(Bytes::from_static(HELLO.as_bytes()))])
}

/// Reads every variable, as a host for another language does.
///
/// # Errors
///
/// None, as of [`application`].
pub fn with_all_variables(environ: Environ, start_response: StartResponse) -> Chunks {
    for (name, value) in environ.variables() {
        black_box((name, value));
    }
    application(environ, start_response)
}
