//! The hand-made pieces of the blocking pool under a model checker.
//!
//! [shuttle] runs several threads on one, and chooses which goes on at each lock, atomic, notice and park: a test
//! runs the same few threads in thousands of orders, and fails where all of them wait. The code is that of
//! `tower-blocking` itself: its files are compiled here once more. They say `std` and `tokio`, and in this package that
//! means this package, so they have shuttle's locks and threads, and the small event loop of `runtime.rs`.
//!
//! Time goes by only where an event loop has nothing else to do. A time limit of a wait ends it on the threads of a pool
//! alone, which belong to an event loop; elsewhere, who relies on one instead of a notice is found.
//!
//! A failure prints the order of the threads; `shuttle::replay` repeats it.

// The unit tests of these files want the real ones, and run in `tower-blocking`.
#![cfg(not(test))]

extern crate self as std;
extern crate self as tokio;
extern crate std as real;
extern crate tokio as real_tokio;

#[allow(
    unused_imports,
    reason = "what the files of `tower-blocking` take from `std` as it is"
)]
pub(crate) use real::*;

/// As `std`'s, for shuttle's threads.
macro_rules! thread_local {
    ($(#[$attribute:meta])* $vis:vis static $name:ident: $type:ty = const $init:block $(;)?) => {
        $(#[$attribute])*
        $vis static $name: crate::thread::LocalKey<$type> = {
            shuttle::thread_local! { static KEY: $type = $init; }
            crate::thread::LocalKey::new(&KEY)
        };
    };
}

mod runtime;
mod sync;
mod task;
mod thread;
mod time;

#[allow(
    unreachable_pub,
    clippy::useless_conversion,
    reason = "in `tower-blocking` it is public, and there are two kinds of `Instant`"
)]
mod blocking;
#[allow(dead_code, reason = "only what the pipe needs is used")]
#[path = "../../../crates/tower-blocking/src/budget.rs"]
mod budget;
#[allow(
    dead_code,
    unreachable_pub,
    reason = "only what the queue needs is used"
)]
#[path = "../../../crates/tower-blocking/src/rejection.rs"]
mod rejection;
#[allow(
    dead_code,
    unreachable_pub,
    reason = "only what the pipe needs is used"
)]
#[path = "../../../crates/tower-blocking/src/spool.rs"]
mod spool;
#[path = "../../../crates/tower-blocking/src/throttle.rs"]
mod throttle;

pub use self::blocking::models::{pipe, replies, threads};

pub(crate) use self::runtime::spawn;

type BoxError = Box<dyn error::Error + Send + Sync>;

/// Of a response before its job ends, which the models do not send.
type Body = bytes::Bytes;
