//! What `tower-wsgi` uses of this crate, and nobody else may: it changes without notice.

#[cfg(feature = "blocking")]
pub use crate::blocking::{
    block_on::block_on,
    early::Early,
    hold::waiting,
    label::Label,
    pipe::{Reader, SendError, Writer},
    run::{Running, run},
};
pub use crate::rejection::Rejection;
#[cfg(feature = "response-middleware")]
pub use crate::response_middleware::list::{Edited, Edits, List, Waiting};
#[cfg(any(feature = "blocking", feature = "wait-for-body"))]
pub use crate::spool::{Reading, Spool};
