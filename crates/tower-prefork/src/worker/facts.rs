use std::sync::Arc;

use tokio::sync::watch;

use super::work::{Watches, Work};
use crate::{Phase, config::Config, phase::Phases};

/// The worker process that a service is built for.
#[derive(Clone, Debug)]
pub struct Worker {
    server: Arc<str>,
    slot: usize,
    config: Arc<Config>,
    watches: Watches,
    phases: Phases,
}

impl Worker {
    pub(super) fn new(server: &str, slot: usize, config: Config) -> Self {
        Self {
            server: server.into(),
            slot,
            config: Arc::new(config),
            watches: Watches::default(),
            phases: Phases::default(),
        }
    }

    /// The server's name, as given to [`Server::new`](crate::Server::new).
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Which of the server's workers this is, from 0. A worker that replaces another has its
    /// number, also while the other still finishes its requests.
    #[must_use]
    pub fn slot(&self) -> usize {
        self.slot
    }

    /// What is set for the server.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Lets the server know what the threads of the service do: `look` is called on the event loop about
    /// once a second, so it must be quick and wait for nothing. A service with several pools calls this
    /// for each.
    ///
    /// The numbers go to whoever asks the server how it is. And a job that nobody waits for any more is
    /// taken to hang when it has run for longer than the
    /// [`request_timeout`](crate::Http::request_timeout): the log tells of it, and another worker takes the
    /// place of this one, which ends when its other requests are done, or at the
    /// [deadline](crate::Config::graceful_timeout). With 0 workers the log is all.
    ///
    /// With a `BlockingPool` of the crate `tower-wsgi`:
    ///
    /// ```
    /// # use std::time::{Duration, Instant};
    /// # struct Stats { queued: usize, refused: u64, oldest: Option<Duration> }
    /// # struct Job { since: Instant, method: http::Method, path: String, thread: String }
    /// # struct BlockingPool;
    /// # impl BlockingPool {
    /// #     fn stats(&self) -> Stats { unreachable!() }
    /// #     fn abandoned(&self) -> Vec<Job> { unreachable!() }
    /// # }
    /// use tower_prefork::{AbandonedJob, Work, Worker};
    ///
    /// fn watch(worker: &Worker, pool: BlockingPool) {
    ///     worker.watch_work(move || {
    ///         let stats = pool.stats();
    ///         let abandoned = pool.abandoned().into_iter().map(|job| AbandonedJob {
    ///             since: job.since,
    ///             method: job.method,
    ///             path: job.path,
    ///             thread: job.thread,
    ///         });
    ///         Work {
    ///             queued: stats.queued,
    ///             refused: stats.refused,
    ///             oldest: stats.oldest,
    ///             abandoned: abandoned.collect(),
    ///         }
    ///     });
    /// }
    /// ```
    pub fn watch_work(&self, look: impl Fn() -> Work + Send + 'static) {
        self.watches.add(look);
    }

    /// What this worker is doing, for an answer to those who ask whether to send requests here.
    ///
    /// `Starting` while the service is built, then `Ready`; `Stopping` for the
    /// [`shutdown_delay`](crate::Config::shutdown_delay) of the program, and `Draining` when that is over. A worker
    /// that only leaves its place to another stays `Ready`: the server as a whole is.
    #[must_use]
    pub fn phases(&self) -> watch::Receiver<Phase> {
        self.phases.subscribe()
    }

    pub(super) fn own_phases(&self) -> &Phases {
        &self.phases
    }

    pub(super) fn work(&self) -> Work {
        self.watches.look()
    }
}
