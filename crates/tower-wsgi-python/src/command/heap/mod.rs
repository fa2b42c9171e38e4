//! The C library's heap, which Python's larger objects and ours share.

#[cfg_attr(target_env = "gnu", path = "glibc.rs")]
#[cfg_attr(not(target_env = "gnu"), path = "other.rs")]
mod library;

pub(super) use library::{give_back_by_and_by, keep_for_bodies};
