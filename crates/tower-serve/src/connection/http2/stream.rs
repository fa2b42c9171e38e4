//! One stream: hyper's future for it, and the deadline of a client that takes nothing.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

/// How far hyper has come with the response of a stream.
#[derive(Debug, Default)]
pub(super) struct StreamProgress {
    /// Pieces of the body that hyper was given.
    pieces: AtomicU32,
    /// The last of them may not be sent yet: hyper has not asked for the next one.
    is_sending: AtomicBool,
}

impl StreamProgress {
    /// hyper is given a piece of the body.
    pub(super) fn add_piece(&self) {
        self.pieces
            .store(self.pieces.load(Relaxed).wrapping_add(1), Relaxed);
        self.is_sending.store(true, Relaxed);
    }

    /// hyper has asked for a piece, and there is none yet.
    pub(super) fn set_waiting(&self) {
        self.is_sending.store(false, Relaxed);
    }
}

pin_project! {
    /// One stream: hyper's future for it, which ends early if the client takes nothing of the response for the time
    /// `write_timeout`: the stream is reset then, with CANCEL.
    ///
    /// A flow-control window that a client keeps small would otherwise hold the response's body, and with it a thread of a pool,
    /// for as long as the client likes.
    pub(super) struct Stream<F> {
        #[pin]
        hyper: F,
        progress: Arc<StreamProgress>,
        write_timeout: Duration,
        stall: Option<Stall>,
        #[pin]
        sleep: Option<Sleep>,
    }
}

/// hyper cannot send a piece.
#[derive(Debug)]
struct Stall {
    piece: u32,
    deadline: Instant,
}

impl<F> Stream<F> {
    pub(super) fn new(hyper: F, progress: Arc<StreamProgress>, write_timeout: Duration) -> Self {
        Self {
            hyper,
            progress,
            write_timeout,
            stall: None,
            sleep: None,
        }
    }
}

impl<F: Future<Output = ()>> Future for Stream<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if this.hyper.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if !this.progress.is_sending.load(Relaxed) {
            *this.stall = None;
            return Poll::Pending;
        }
        let piece = this.progress.pieces.load(Relaxed);
        let deadline = match this.stall {
            Some(stall) if stall.piece == piece => stall.deadline,
            stall => {
                let deadline = Instant::now() + *this.write_timeout;
                *stall = Some(Stall { piece, deadline });
                deadline
            }
        };
        ready!(poll_until(this.sleep.as_mut(), deadline, cx));
        tracing::debug!("the client takes nothing of a response; its stream is reset");
        Poll::Ready(())
    }
}

/// Waits for a deadline that may have moved since: the timer fires early rather than being moved each time.
pub(super) fn poll_until(
    mut sleep: Pin<&mut Option<Sleep>>,
    deadline: Instant,
    cx: &mut Context<'_>,
) -> Poll<()> {
    if sleep.is_none() {
        sleep.set(Some(sleep_until(deadline)));
    }
    let Some(mut sleep) = sleep.as_pin_mut() else {
        return Poll::Pending;
    };
    if sleep.deadline() > deadline {
        sleep.as_mut().reset(deadline);
    }
    while sleep.as_mut().poll(cx).is_ready() {
        if Instant::now() >= deadline {
            return Poll::Ready(());
        }
        sleep.as_mut().reset(deadline);
    }
    Poll::Pending
}
