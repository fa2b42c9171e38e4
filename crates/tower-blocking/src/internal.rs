//! What `tower-wsgi` uses of this crate, and nobody else may: it changes without notice.

#[cfg(feature = "blocking")]
pub use crate::blocking::{
    block_on::block_on,
    pipe::{BodyReader, BodyWriter, SendError},
    reply::EarlyResponse,
    run::RequestFuture,
    thread::is_pool_thread,
    thread_guard::release_while,
};
pub use crate::rejection::application_failed;
#[cfg(feature = "response-middleware")]
pub use crate::response_middleware::list::{Edited, Edits, List, Waiting};
#[cfg(any(feature = "blocking", feature = "wait-for-body"))]
pub use crate::spool::{Reading, Spool};
