//! Replies of threads to an event loop: the reply slot, the wake batch, and deferred wakes.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll, thread, time::Duration};

use shuttle::rand::{Rng as _, thread_rng};

use crate::{
    blocking::{
        block_on::block_on,
        deferred_wakes,
        pipe::PipeBudget,
        reply::{ReplyReceiver, ReplySender, reply},
        wake_batch::WakeBatch,
    },
    runtime::run,
};

/// An event loop waits for the replies of two threads, which leave out some, and flush their wakes at once, later, or not
/// at all. Every reply arrives, and every dropped sender is noticed.
pub fn arrive() {
    run(async {
        known().await;
        let mut jobs = Vec::new();
        for _ in 0..2 {
            let (senders, receivers): (Vec<_>, Vec<_>) = (0..2).map(|_| reply(&budget())).unzip();
            jobs.push((thread::spawn(|| run_jobs(senders)), receivers));
        }
        for (thread, receivers) in jobs {
            let mut replies = Vec::new();
            for receiver in receivers {
                replies.push(receive(&receiver).await);
            }
            assert_eq!(thread.join().unwrap(), replies);
        }
    });
}

/// As a thread of the pool does. Returns what it has sent.
fn run_jobs(senders: Vec<ReplySender<usize>>) -> Vec<Option<usize>> {
    let jobs = senders.into_iter().enumerate();
    let run = jobs.map(|(job, sender)| {
        if thread_rng().gen_bool(0.5) {
            deferred_wakes::job_started(Duration::from_secs(1), Duration::ZERO);
        } else {
            deferred_wakes::last_job_started();
        }
        thread_rng().gen_bool(0.8).then(|| {
            assert!(sender.send(job));
            job
        })
    });
    let sent = run.collect();
    // A thread whose next job takes long flushes nothing.
    if thread_rng().gen_bool(0.5) {
        deferred_wakes::flush();
    }
    sent
}

/// The reply is waited for in a task, and then by code that blocks the event loop itself.
pub fn a_task_blocks() {
    run(async {
        known().await;
        let (receiver, thread) = one();
        let first = poll_fn(|cx| Poll::Ready(receiver.poll(cx))).await;
        let reply = match first {
            Poll::Ready(reply) => reply,
            Poll::Pending => block_on(pin!(receive(&receiver))),
        };
        assert_eq!(reply, Some(1));
        thread.join().unwrap();
    });
}

/// The reply is waited for in a task of an event loop that ends, and then in one of another.
pub fn an_event_loop_ends() {
    let (first, receiver, thread) = run(async {
        known().await;
        let (receiver, thread) = one();
        let first = poll_fn(|cx| Poll::Ready(receiver.poll(cx))).await;
        (first, receiver, thread)
    });
    let reply = match first {
        Poll::Ready(reply) => reply,
        Poll::Pending => run(async {
            known().await;
            receive(&receiver).await
        }),
    };
    assert_eq!(reply, Some(1));
    thread.join().unwrap();
}

fn one() -> (ReplyReceiver<usize>, thread::JoinHandle<()>) {
    let (sender, receiver) = reply(&budget());
    let thread = thread::spawn(move || {
        if thread_rng().gen_bool(0.5) {
            deferred_wakes::job_started(Duration::from_secs(1), Duration::ZERO);
        }
        assert!(sender.send(1));
        deferred_wakes::flush();
    });
    (receiver, thread)
}

async fn receive<T>(receiver: &ReplyReceiver<T>) -> Option<T> {
    poll_fn(|cx| receiver.poll(cx)).await
}

/// Until the wakers of the event loop's tasks are known.
async fn known() {
    poll_fn(|cx| match WakeBatch::of(cx.waker()) {
        Some(_) => Poll::Ready(()),
        None => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}

fn budget() -> Arc<PipeBudget> {
    PipeBudget::new(0, 0, 0)
}
