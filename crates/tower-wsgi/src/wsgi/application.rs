use bytes::Bytes;

use super::{Environ, StartResponse};
use crate::BoxError;

/// What PEP 3333 calls an application: it gets the environ and `start_response`, and gives the body.
///
/// It is called from many threads at once where its service runs on a pool of them. It may block
/// there. On the event loop it must not.
///
/// A function or a closure `Fn(Environ, StartResponse) -> Result<I, E>` is one, where `I` can be
/// iterated over `Result<Bytes, BoxError>`.
///
/// # Errors
///
/// An error before the first byte is answered with 500; one after it breaks the connection, so that
/// the client does not take half a response for a whole one. Both are logged.
pub trait Application: Send + Sync + 'static {
    /// The body, piece by piece. An empty piece is skipped. Dropping it is PEP 3333's `close()`: it
    /// happens once, on every path, where the application was called.
    type Chunks: Iterator<Item = Result<Bytes, BoxError>>;

    /// Answers one request. `start_response` must have been called when the first piece that is not
    /// empty comes, or the last.
    ///
    /// # Errors
    ///
    /// Whatever the application cannot cope with.
    fn call(
        &self,
        environ: Environ,
        start_response: StartResponse,
    ) -> Result<Self::Chunks, BoxError>;
}

impl<F, I, E> Application for F
where
    F: Fn(Environ, StartResponse) -> Result<I, E> + Send + Sync + 'static,
    I: IntoIterator<Item = Result<Bytes, BoxError>>,
    E: Into<BoxError>,
{
    type Chunks = I::IntoIter;

    fn call(
        &self,
        environ: Environ,
        start_response: StartResponse,
    ) -> Result<Self::Chunks, BoxError> {
        self(environ, start_response)
            .map(IntoIterator::into_iter)
            .map_err(Into::into)
    }
}
