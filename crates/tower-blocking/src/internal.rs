//! What `tower-wsgi` uses of this crate. It is not part of the public interface and changes without notice.

#[cfg(feature = "blocking")]
pub use crate::blocking::{
    block_on::block_on,
    pipe::{BodyReader, BodyWriter, SendError},
    reply::{DeferredResponse, EarlyResponse},
    run::RequestFuture,
    thread::is_pool_thread,
    thread_guard::release_while,
};
pub use crate::rejection::application_failed;
#[cfg(feature = "response-middleware")]
pub use crate::response_middleware::list::{
    EditFuture, EditResult, ResponseEdits, ResponseMiddlewareList,
};
#[cfg(any(feature = "blocking", feature = "wait-for-body"))]
pub use crate::spool::{Reading, Spool};
