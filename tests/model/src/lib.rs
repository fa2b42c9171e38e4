//! The hand-made pieces of the blocking pool under a model checker.
//!
//! [shuttle] runs several threads on one system thread, and chooses which one continues at each lock, atomic, notification
//! and park. A test runs the same few threads in thousands of orders, and fails if all of them wait. The code is that of
//! `tower-blocking` itself, compiled here once more. Its files name `std` and `tokio`, which in this package is the package
//! itself, so that they get shuttle's locks and threads, and the small event loop of `runtime.rs`.
//!
//! Time advances only when an event loop has nothing else to do. A timeout ends a wait only on the threads of a pool, which
//! belong to an event loop. So code elsewhere that relies on a timeout in place of a notification is found.
//!
//! A failure prints the order of the threads, and `shuttle::replay` repeats it.

// The unit tests of these files need the real `std`, and run in `tower-blocking`.
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
#[allow(
    dead_code,
    unreachable_pub,
    reason = "only what the pipe needs is used"
)]
#[path = "../../../crates/tower-blocking/src/body/response.rs"]
mod body;
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

pub(crate) use self::{body::Body, runtime::spawn};

type BoxError = Box<dyn error::Error + Send + Sync>;
