//! The threads of a pool: they come for the jobs that wait, some are refused, and they end with the pool.

use std::{future::poll_fn, thread, time::Duration};

use http::Request;
use shuttle::rand::{Rng as _, thread_rng};

use crate::{
    blocking::{
        job::{Job, RequestInfo},
        models::lock,
        pool::BlockingPool,
        reply::{ReplyReceiver, reply},
        thread_guard::release_while,
    },
    rejection::Rejection,
    runtime::run,
    time::sleep,
};

/// No time limit is to hide that a job is forgotten.
const NEVER: Duration = Duration::from_secs(1 << 30);

/// More than a thread stays without work.
const LONG: Duration = Duration::from_secs(2);

/// Each job runs.
pub fn run_jobs() {
    let pool = BlockingPool::new(2);
    assert_eq!(model(pool), 0);
}

/// Each job runs, and one at a time but for those that wait for something.
pub fn hold_a_lock() {
    let pool = BlockingPool::new(2).thread_guard(lock());
    assert_eq!(model(pool), 0);
}

/// Each job runs, or is given up because there is no thread at all.
pub fn are_refused() {
    let pool = BlockingPool::new(2).thread_stack_size(0);
    model(pool);
}

/// Gives jobs to the pool, some of them when others are done and the threads without work may have left. Says how many
/// were given up.
fn model(pool: BlockingPool) -> usize {
    let pool = pool.queue_timeout(NEVER);
    // Its handle may be the last one.
    let asks = thread::spawn({
        let pool = pool.clone();
        move || assert!(pool.stats().busy <= 2)
    });
    let lost = run(async {
        let mut lost = 0;
        for _ in 0..3 {
            let jobs: Vec<_> = (0..2).map(|_| submit(&pool)).collect();
            for job in jobs {
                let reply = poll_fn(|cx| job.poll(cx)).await;
                lost += usize::from(reply.is_none());
            }
            if thread_rng().gen_bool(0.5) {
                sleep(LONG).await;
            }
        }
        assert_eq!(pool.stats().refused, lost as u64);
        drop(pool);
        lost
    });
    asks.join().unwrap();
    lost
}

fn submit(pool: &BlockingPool) -> ReplyReceiver<()> {
    let (sender, receiver) = reply(pool.pipe_budget());
    let waits = thread_rng().gen_bool(0.5);
    let job = Job {
        request: RequestInfo::of(&Request::new(())),
        work: Box::new(move |admission: Result<(), Rejection>| {
            if admission.is_err() {
                return;
            }
            if waits {
                release_while(thread::yield_now);
            }
            sender.send(());
        }),
    };
    if let Ok(mut ticket) = pool.submit(job) {
        // Its response stays awaited.
        ticket.done();
    }
    receiver
}
