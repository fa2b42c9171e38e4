//! Static files: tower-http's `ServeDir`, with what it leaves to its user.
//!
//! | module | what it does |
//! |---|---|
//! | `mounts` | which request is for a file, and what happens if there is none |
//! | `mount` | one directory: the request that `ServeDir` gets, and the response that it gives |
//! | `cache_control` | how long a client may keep a file |
//! | `root` | opens files inside of the directory, also where symbolic links lead out of it |
//! | `backend` | files for `ServeDir`: at once where the kernel has them in memory, otherwise on a thread |

mod backend;
mod cache_control;
mod mount;
mod mounts;
mod root;
#[cfg(test)]
mod tests;

pub(super) use mounts::Mounts;
