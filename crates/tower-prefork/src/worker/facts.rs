use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Instant,
};

use tokio::sync::watch;

use super::work::{Watches, Work};
use crate::{
    ConnectInfo, ConnectionStep, Phase, WorkerStep, config::Config, hooks::Hooks, phase::Phases,
};

/// The worker process that a service is built for.
#[derive(Clone, Debug)]
pub struct Worker {
    server: Arc<str>,
    slot: usize,
    config: Arc<Config>,
    watches: Watches,
    phases: Phases,
    hooks: Arc<Mutex<Hooks>>,
    deadline: Arc<OnceLock<Instant>>,
}

impl Worker {
    pub(super) fn new(server: &str, slot: usize, config: Config) -> Self {
        Self {
            server: server.into(),
            slot,
            config: Arc::new(config),
            watches: Watches::default(),
            phases: Phases::default(),
            hooks: Arc::default(),
            deadline: Arc::default(),
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
    /// A stop waits until none of these jobs runs any more, also those that nobody waits for, until its deadline.
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

    /// When this worker has to be done, once it has been told to stop or another has taken over. Afterwards it is
    /// ended.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline.get().copied()
    }

    pub(super) fn ends_at(&self, deadline: Instant) {
        // It is told once.
        let _ = self.deadline.set(deadline);
    }

    /// Nobody looks at the threads any more.
    pub(super) fn end_watches(&self) {
        self.watches.end();
    }

    pub(super) fn own_phases(&self) -> &Phases {
        &self.phases
    }

    /// Has `hook` called when a connection is opened, and when it has ended. It is to be set while the service
    /// is built. It is called on the event loop, so it must be quick; a panic in it is logged.
    ///
    /// ```
    /// # use std::{io::{Read, Write}, net::TcpStream, sync::mpsc};
    /// # use axum::{Router, routing::get};
    /// # use tower_prefork::{BoxError, Server};
    /// use tower_prefork::{ConnectionStep, WorkerStep};
    ///
    /// let (told, hears) = mpsc::sync_channel(10);
    /// let server = Server::new("hello").bind("127.0.0.1:0").service(|worker| async move {
    ///     let told_too = told.clone();
    ///     worker.on_step(move |step| told_too.send(format!("{step:?}")).unwrap());
    ///     worker.on_connection(move |connection, step| {
    ///         assert!(connection.peer().is_some());
    ///         told.send(format!("{step:?}")).unwrap();
    ///     });
    ///     Ok::<_, BoxError>(Router::new().route("/", get(|| async { "hello" })))
    /// });
    /// # let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    /// # let (ready, address) = mpsc::sync_channel(1);
    /// # let client = std::thread::spawn(move || {
    /// #     let addresses: Vec<String> = address.recv().unwrap();
    /// #     let mut client = TcpStream::connect(addresses[0].trim_start_matches("http://")).unwrap();
    /// #     client.write_all(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
    /// #     client.read_to_end(&mut Vec::new()).unwrap();
    /// #     drop(stop);
    /// # });
    /// # server.run_until(async { drop(stopped.await) }, move |addresses| drop(ready.send(addresses))).unwrap();
    /// # client.join().unwrap();
    ///
    /// // A client asks for one page, then the server stops.
    /// let mut told: Vec<String> = hears.try_iter().collect();
    /// assert_eq!(told.remove(0), "Ready");
    /// assert_eq!(told.pop().unwrap(), "Exiting");
    /// assert!(told.contains(&"Opened".into()) && told.contains(&"Closed { requests: 1 }".into()));
    /// ```
    pub fn on_connection(
        &self,
        hook: impl Fn(&ConnectInfo, ConnectionStep) + Send + Sync + 'static,
    ) {
        self.with_hooks(|hooks| hooks.add_on_connection(Arc::new(hook)));
    }

    /// Has `hook` called at each step of this worker's life from now on. It is to be set while the service is
    /// built. It is called on the event loop, and the step waits for it; a panic in it is logged. What the
    /// program as a whole does is told by [`phases`](Self::phases).
    pub fn on_step(&self, hook: impl Fn(WorkerStep) + Send + Sync + 'static) {
        self.with_hooks(|hooks| hooks.add_on_step(Arc::new(hook)));
    }

    /// Those that were set until now.
    pub(super) fn hooks(&self) -> Hooks {
        self.with_hooks(|hooks| hooks.clone())
    }

    fn with_hooks<T>(&self, change: impl FnOnce(&mut Hooks) -> T) -> T {
        change(&mut self.hooks.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn work(&self) -> Work {
        self.watches.look()
    }
}
