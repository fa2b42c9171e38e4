//! The module of this name in `tower-blocking`, as far as it is modelled.

#![allow(
    dead_code,
    unused_imports,
    reason = "of the files of `tower-blocking`, only what the models need is used"
)]

#[path = "../../../../crates/tower-blocking/src/blocking/adaptive_spin.rs"]
mod adaptive_spin;
#[path = "../../../../crates/tower-blocking/src/blocking/block_on.rs"]
mod block_on;
#[path = "../../../../crates/tower-blocking/src/blocking/deferred_wakes.rs"]
mod deferred_wakes;
#[path = "../../../../crates/tower-blocking/src/blocking/entries.rs"]
mod entries;
#[path = "../../../../crates/tower-blocking/src/blocking/job.rs"]
mod job;
#[path = "../../../../crates/tower-blocking/src/blocking/pipe/mod.rs"]
mod pipe;
#[path = "../../../../crates/tower-blocking/src/blocking/pool.rs"]
mod pool;
#[path = "../../../../crates/tower-blocking/src/blocking/queue.rs"]
mod queue;
#[path = "../../../../crates/tower-blocking/src/blocking/queue_timeout.rs"]
mod queue_timeout;
#[path = "../../../../crates/tower-blocking/src/blocking/reply.rs"]
mod reply;
#[path = "../../../../crates/tower-blocking/src/blocking/scaling.rs"]
mod scaling;
#[path = "../../../../crates/tower-blocking/src/blocking/shared.rs"]
mod shared;
#[path = "../../../../crates/tower-blocking/src/blocking/spawner.rs"]
mod spawner;
#[path = "../../../../crates/tower-blocking/src/blocking/thread.rs"]
mod thread;
#[path = "../../../../crates/tower-blocking/src/blocking/thread_guard.rs"]
mod thread_guard;
#[path = "../../../../crates/tower-blocking/src/blocking/wake_batch.rs"]
mod wake_batch;

pub(crate) mod models;

use self::pool::BlockingPool;
