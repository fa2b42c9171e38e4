//! The application, and how it responds: now, piece by piece, or later.

use bytes::Bytes;

use super::{Deferred, Environ, StartResponse};
use crate::BoxError;

/// An application as PEP 3333 defines it: it is called with the environ and `start_response`, and returns the body.
///
/// It is called from several threads at once when its service runs on a pool of them. It may block there; on the event
/// loop it must not.
///
/// Functions and closures `Fn(Environ, StartResponse) -> Result<R, E>` implement it, where `R` is
///
/// * anything that can be iterated over with the item `Result<Bytes, BoxError>`: the body;
/// * [`Deferred`]: the body comes later, and no thread waits for it;
/// * [`Reply`]: either of them.
///
/// # Errors
///
/// The client gets a 500 for an error before the first byte of the body. A later error breaks the connection, so that
/// the client does not take a part of the response for the whole. Both are logged.
pub trait Application: Send + Sync + 'static {
    /// The body, in pieces. Empty pieces are skipped. To drop the iterator is PEP 3333's `close()`: it happens once, on
    /// every path, where the application was called.
    type Chunks: Iterator<Item = Result<Bytes, BoxError>>;

    /// Responds to one request, or [defers](StartResponse::defer) the response. `start_response` has to be called before
    /// the first piece that is not empty, or before the end.
    ///
    /// # Errors
    ///
    /// Any error that the application does not handle itself.
    fn call(
        &self,
        environ: Environ,
        start_response: StartResponse,
    ) -> Result<Reply<Self::Chunks>, BoxError>;
}

/// What the call of an [`Application`] returns.
#[derive(Debug)]
pub enum Reply<C> {
    /// The body, in pieces, for which the calling thread waits.
    Chunks(C),
    /// The body comes later.
    Deferred(Deferred),
}

/// What a function that is an [`Application`] returns when it does not fail.
pub trait IntoReply {
    /// The body, if it is not deferred.
    type Chunks: Iterator<Item = Result<Bytes, BoxError>>;

    /// The reply.
    fn into_reply(self) -> Reply<Self::Chunks>;
}

impl<I> IntoReply for I
where
    I: IntoIterator<Item = Result<Bytes, BoxError>>,
{
    type Chunks = I::IntoIter;

    fn into_reply(self) -> Reply<I::IntoIter> {
        Reply::Chunks(self.into_iter())
    }
}

impl IntoReply for Deferred {
    type Chunks = std::iter::Empty<Result<Bytes, BoxError>>;

    fn into_reply(self) -> Reply<Self::Chunks> {
        Reply::Deferred(self)
    }
}

impl<C> IntoReply for Reply<C>
where
    C: Iterator<Item = Result<Bytes, BoxError>>,
{
    type Chunks = C;

    fn into_reply(self) -> Self {
        self
    }
}

impl<F, R, E> Application for F
where
    F: Fn(Environ, StartResponse) -> Result<R, E> + Send + Sync + 'static,
    R: IntoReply,
    E: Into<BoxError>,
{
    type Chunks = R::Chunks;

    fn call(
        &self,
        environ: Environ,
        start_response: StartResponse,
    ) -> Result<Reply<R::Chunks>, BoxError> {
        self(environ, start_response)
            .map(IntoReply::into_reply)
            .map_err(Into::into)
    }
}
