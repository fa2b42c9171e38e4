//! The module of this name in `tower-wsgi`, as far as it is modelled.

#[allow(dead_code, reason = "the loop of a thread is not modelled")]
#[path = "../../../../crates/tower-wsgi/src/blocking/block_on.rs"]
mod block_on;
#[allow(dead_code, reason = "the loop of a thread is not modelled")]
#[path = "../../../../crates/tower-wsgi/src/blocking/deferred.rs"]
mod deferred;
#[allow(dead_code, reason = "the loop of a thread is not modelled")]
#[path = "../../../../crates/tower-wsgi/src/blocking/hold.rs"]
mod hold;
#[allow(
    dead_code,
    unused_imports,
    reason = "only what the models need is used"
)]
#[path = "../../../../crates/tower-wsgi/src/blocking/pipe/mod.rs"]
mod pipe;
#[allow(dead_code, reason = "only what the models need is used")]
#[path = "../../../../crates/tower-wsgi/src/blocking/reply.rs"]
mod reply;
#[path = "../../../../crates/tower-wsgi/src/blocking/wake_list.rs"]
mod wake_list;

pub(crate) mod models;
