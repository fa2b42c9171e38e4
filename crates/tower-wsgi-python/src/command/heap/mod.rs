//! The C library's heap, which Python's larger objects and ours share.

#[cfg_attr(target_env = "gnu", path = "glibc.rs")]
#[cfg_attr(not(target_env = "gnu"), path = "other.rs")]
mod library;
mod looks;

pub(super) use library::keep_for_bodies;
pub(super) use looks::give_back_by_and_by;
