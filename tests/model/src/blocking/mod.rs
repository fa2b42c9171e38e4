//! The module of this name in `tower-blocking`, as far as it is modelled.

#![allow(
    dead_code,
    unused_imports,
    reason = "of the files of `tower-blocking`, only what the models need is used"
)]

#[path = "../../../../crates/tower-blocking/src/blocking/block_on.rs"]
mod block_on;
#[path = "../../../../crates/tower-blocking/src/blocking/deferred.rs"]
mod deferred;
#[path = "../../../../crates/tower-blocking/src/blocking/hold.rs"]
mod hold;
#[path = "../../../../crates/tower-blocking/src/blocking/job.rs"]
mod job;
#[path = "../../../../crates/tower-blocking/src/blocking/label.rs"]
mod label;
#[path = "../../../../crates/tower-blocking/src/blocking/pace.rs"]
mod pace;
#[path = "../../../../crates/tower-blocking/src/blocking/pipe/mod.rs"]
mod pipe;
#[path = "../../../../crates/tower-blocking/src/blocking/pool.rs"]
mod pool;
#[path = "../../../../crates/tower-blocking/src/blocking/queue.rs"]
mod queue;
#[path = "../../../../crates/tower-blocking/src/blocking/refusals.rs"]
mod refusals;
#[path = "../../../../crates/tower-blocking/src/blocking/reply.rs"]
mod reply;
#[path = "../../../../crates/tower-blocking/src/blocking/runs.rs"]
mod runs;
#[path = "../../../../crates/tower-blocking/src/blocking/second_look.rs"]
mod second_look;
#[path = "../../../../crates/tower-blocking/src/blocking/sentinel.rs"]
mod sentinel;
#[path = "../../../../crates/tower-blocking/src/blocking/shared.rs"]
mod shared;
#[path = "../../../../crates/tower-blocking/src/blocking/spawner.rs"]
mod spawner;
#[path = "../../../../crates/tower-blocking/src/blocking/thread_counts.rs"]
mod thread_counts;
#[path = "../../../../crates/tower-blocking/src/blocking/threads.rs"]
mod threads;
#[path = "../../../../crates/tower-blocking/src/blocking/ticket.rs"]
mod ticket;
#[path = "../../../../crates/tower-blocking/src/blocking/time_limit.rs"]
mod time_limit;
#[path = "../../../../crates/tower-blocking/src/blocking/turn.rs"]
mod turn;
#[path = "../../../../crates/tower-blocking/src/blocking/waiting.rs"]
mod waiting;
#[path = "../../../../crates/tower-blocking/src/blocking/wake_list.rs"]
mod wake_list;

pub(crate) mod models;

use self::pool::BlockingPool;
