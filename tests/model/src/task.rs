//! `std::task`, and of `tokio::task` what the files need.

use std::{
    convert::Infallible,
    future::{Ready, ready},
};

pub(crate) use real::task::*;

pub(crate) use crate::runtime::AbortHandle;

/// Does the work at once: to read the file of a response body ends by itself.
pub(crate) fn spawn_blocking<T>(work: impl FnOnce() -> T) -> Ready<Result<T, Infallible>> {
    ready(Ok(work()))
}
