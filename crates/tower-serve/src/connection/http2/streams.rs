//! The streams of a connection that run, on the connection's task.

use std::{
    future::Future,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use futures_util::stream::{FuturesUnordered, StreamExt};
use hyper::rt::Executor;

use super::stream::{Stream, StreamProgress};

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The streams of a connection that run, on the connection's task.
pub(super) struct Streams {
    spawner: Spawner,
    running: FuturesUnordered<Running>,
}

/// Takes new streams from hyper.
#[derive(Clone)]
pub(super) struct Spawner {
    new: Arc<Mutex<New>>,
    write_timeout: Duration,
}

#[derive(Default)]
struct New {
    streams: Vec<Running>,
    /// Of the request that has just come, of which hyper makes a stream next.
    progress: Option<Arc<StreamProgress>>,
}

impl Streams {
    /// No streams yet. A client may take nothing of a response for the time `write_timeout`.
    pub(super) fn new(write_timeout: Duration) -> Self {
        Self {
            spawner: Spawner {
                new: Arc::default(),
                write_timeout,
            },
            running: FuturesUnordered::new(),
        }
    }

    pub(super) fn spawner(&self) -> Spawner {
        self.spawner.clone()
    }

    /// Runs the streams that are ready to. Returns whether there may be something to write for hyper.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let new = mem::take(&mut self.spawner.lock().streams);
        let mut has_run = !new.is_empty();
        self.running.extend(new);
        while let Poll::Ready(Some(())) = self.running.poll_next_unpin(cx) {
            has_run = true;
        }
        has_run
    }
}

impl Spawner {
    /// A request has come, of which hyper makes a stream next.
    pub(super) fn announce(&self, progress: Arc<StreamProgress>) {
        self.lock().progress = Some(progress);
    }

    fn lock(&self) -> MutexGuard<'_, New> {
        self.new.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Spawner {
    fn execute(&self, stream: F) {
        let mut new = self.lock();
        // There is none for the task of an upgraded stream.
        let running: Running = match new.progress.take() {
            Some(progress) => Box::pin(Stream::new(stream, progress, self.write_timeout)),
            None => Box::pin(stream),
        };
        new.streams.push(running);
    }
}
