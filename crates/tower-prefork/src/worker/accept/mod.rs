//! Accepting connections, on a thread of its own.
//!
//! | module | what it does |
//! |---|---|
//! | `acceptor` | the thread: accepts only while the worker has capacity |
//! | `backoff` | how long a busy worker leaves connections to its siblings |
//! | `listener_set` | the listeners in an epoll, and one `accept` |

mod acceptor;
mod backoff;
mod listener_set;

pub(super) use acceptor::start;
pub(super) use listener_set::{Accepted, Stream};
