//! The module of this name in `tower-wsgi`, as far as it is modelled.

#![allow(
    dead_code,
    unused_imports,
    reason = "of the files of `tower-wsgi`, only what the models need is used"
)]

#[path = "../../../../crates/tower-wsgi/src/blocking/block_on.rs"]
mod block_on;
#[path = "../../../../crates/tower-wsgi/src/blocking/deferred.rs"]
mod deferred;
#[path = "../../../../crates/tower-wsgi/src/blocking/hold.rs"]
mod hold;
#[path = "../../../../crates/tower-wsgi/src/blocking/job.rs"]
mod job;
#[path = "../../../../crates/tower-wsgi/src/blocking/label.rs"]
mod label;
#[path = "../../../../crates/tower-wsgi/src/blocking/pace.rs"]
mod pace;
#[path = "../../../../crates/tower-wsgi/src/blocking/pipe/mod.rs"]
mod pipe;
#[path = "../../../../crates/tower-wsgi/src/blocking/pool.rs"]
mod pool;
#[path = "../../../../crates/tower-wsgi/src/blocking/queue.rs"]
mod queue;
#[path = "../../../../crates/tower-wsgi/src/blocking/refusals.rs"]
mod refusals;
#[path = "../../../../crates/tower-wsgi/src/blocking/reply.rs"]
mod reply;
#[path = "../../../../crates/tower-wsgi/src/blocking/runs.rs"]
mod runs;
#[path = "../../../../crates/tower-wsgi/src/blocking/second_look.rs"]
mod second_look;
#[path = "../../../../crates/tower-wsgi/src/blocking/sentinel.rs"]
mod sentinel;
#[path = "../../../../crates/tower-wsgi/src/blocking/shared.rs"]
mod shared;
#[path = "../../../../crates/tower-wsgi/src/blocking/spawner.rs"]
mod spawner;
#[path = "../../../../crates/tower-wsgi/src/blocking/thread_counts.rs"]
mod thread_counts;
#[path = "../../../../crates/tower-wsgi/src/blocking/threads.rs"]
mod threads;
#[path = "../../../../crates/tower-wsgi/src/blocking/ticket.rs"]
mod ticket;
#[path = "../../../../crates/tower-wsgi/src/blocking/time_limit.rs"]
mod time_limit;
#[path = "../../../../crates/tower-wsgi/src/blocking/turn.rs"]
mod turn;
#[path = "../../../../crates/tower-wsgi/src/blocking/waiting.rs"]
mod waiting;
#[path = "../../../../crates/tower-wsgi/src/blocking/wake_list.rs"]
mod wake_list;

pub(crate) mod models;

use self::pool::BlockingPool;
