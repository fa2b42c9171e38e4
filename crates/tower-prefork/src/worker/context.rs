//! What a service knows of its worker process: [`WorkerContext`].

use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Instant,
};

use bytes::Bytes;
use http::Response;
use tokio::sync::watch;
use tower_serve::{ConnectInfo, ConnectionStep, RequestSummary};
#[cfg(feature = "tls")]
use tower_serve::{Tls, internal::tls::TlsMaterial};
use tower_server_info::{PoolMonitor, PoolStats, ServerResponse};

use super::stats::PoolMonitors;
use crate::{
    Phase, WorkerStep,
    config::{Config, ProgramConfig},
    hooks::WorkerHooks,
    phase::Phases,
};

/// The worker process that a service is built for.
#[derive(Clone, Debug)]
pub struct WorkerContext {
    server: Arc<str>,
    slot: usize,
    config: Arc<Config>,
    monitors: PoolMonitors,
    phases: Phases,
    hooks: Arc<Mutex<WorkerHooks>>,
    deadline: Arc<OnceLock<Instant>>,
    /// The certificates in place of those of the settings.
    #[cfg(feature = "tls")]
    certificates: watch::Sender<Option<Tls>>,
}

impl WorkerContext {
    pub(super) fn new(server: &str, slot: usize, config: Config) -> Self {
        Self {
            server: server.into(),
            slot,
            config: Arc::new(config),
            monitors: PoolMonitors::default(),
            phases: Phases::default(),
            hooks: Arc::default(),
            deadline: Arc::default(),
            #[cfg(feature = "tls")]
            certificates: watch::Sender::new(None),
        }
    }

    /// The server's name, as given to [`Server::new`](crate::Server::new).
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The number of this worker among those of the server, from 0. A worker that replaces another one has the same number,
    /// even while the other one still finishes its requests.
    #[must_use]
    pub fn slot(&self) -> usize {
        self.slot
    }

    /// The settings of the server.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The settings of the whole program, as they were when this worker was started.
    #[must_use]
    pub fn program(&self) -> &ProgramConfig {
        &self.config.program
    }

    /// Monitors a pool of threads of the service. The server asks it for its [`PoolStats`](crate::PoolStats) on the
    /// event loop about once a second. A service with several pools monitors each of them.
    ///
    /// The figures appear in `ctl status`. A job that no client waits for any more is considered stuck when it has run for
    /// longer than the [`request_timeout`](crate::Http::request_timeout): it is logged, and the worker is replaced. The
    /// old worker exits when its other requests are done, or at the [deadline](crate::Config::graceful_timeout). With 0
    /// workers the job is only logged.
    ///
    /// At a stop, the worker waits for all running jobs of its pools, stuck ones included, until its deadline.
    ///
    /// A `BlockingPool` of the crate `tower-blocking` is monitored with `worker.monitor(&pool)`; any other pool by a
    /// closure:
    ///
    /// ```
    /// # #[derive(Clone)]
    /// # struct MyPool;
    /// # impl MyPool {
    /// #     fn queue_length(&self) -> usize { unreachable!() }
    /// # }
    /// use tower_prefork::{PoolStats, WorkerContext};
    ///
    /// fn monitor(worker: &WorkerContext, pool: &MyPool) {
    ///     let pool = pool.clone();
    ///     worker.monitor(move || {
    ///         let mut stats = PoolStats::default();
    ///         stats.queued = pool.queue_length();
    ///         stats
    ///     });
    /// }
    /// ```
    pub fn monitor(&self, pool: impl Into<PoolMonitor>) {
        self.monitors.add(pool.into());
    }

    /// The phase of this worker, for example for a readiness check.
    ///
    /// It is `Starting` while the service is built, then `Ready`; `Stopping` during the
    /// [`shutdown_delay`](crate::Config::shutdown_delay) of the program, and `Draining` after it. A worker that is replaced
    /// by another one stays `Ready`, because the server as a whole is.
    #[must_use]
    pub fn phases(&self) -> watch::Receiver<Phase> {
        self.phases.subscribe()
    }

    /// The deadline at which this worker is ended, once it drains.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline.get().copied()
    }

    /// Uses these certificates in place of those of the settings.
    #[cfg(feature = "tls")]
    pub(super) fn change_certificates(&self, material: TlsMaterial) {
        if let Some(mut tls) = self.config.tls.clone() {
            tls.set_material(material);
            self.certificates.send_replace(Some(tls));
        }
    }

    /// The certificates in place of those of the settings, once there are any.
    #[cfg(feature = "tls")]
    pub(super) fn certificates(&self) -> watch::Receiver<Option<Tls>> {
        self.certificates.subscribe()
    }

    pub(super) fn ends_at(&self, deadline: Instant) {
        // The first deadline holds.
        let _ = self.deadline.set(deadline);
    }

    /// Drops the monitors, which may hold their pools.
    pub(super) fn clear_monitors(&self) {
        self.monitors.clear();
    }

    pub(super) fn own_phases(&self) -> &Phases {
        &self.phases
    }

    /// Calls `hook` when a connection is opened, and when it has ended. It must be set while the service is built. It is
    /// called on the event loop, so it must return quickly. A panic in it is logged.
    ///
    /// ```
    /// # use std::{io::{Read, Write}, net::TcpStream, sync::mpsc};
    /// # use axum::{Router, routing::get};
    /// # use tower_prefork::{BoxError, Server};
    /// use tower_prefork::{ConnectionStep, WorkerStep};
    ///
    /// let (sender, receiver) = mpsc::sync_channel(10);
    /// let server = Server::new("hello").bind("127.0.0.1:0").service(|worker| async move {
    ///     let steps = sender.clone();
    ///     worker.on_step(move |step| steps.send(format!("{step:?}")).unwrap());
    ///     worker.on_connection(move |connection, step| {
    ///         assert!(connection.peer().is_some());
    ///         sender.send(format!("{step:?}")).unwrap();
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
    /// // A client sends one request, then the server stops.
    /// let mut steps: Vec<String> = receiver.try_iter().collect();
    /// assert_eq!(steps.remove(0), "Ready");
    /// assert_eq!(steps.pop().unwrap(), "Exiting");
    /// assert!(steps.contains(&"Opened".into()) && steps.contains(&"Closed { requests: 1 }".into()));
    /// ```
    pub fn on_connection(
        &self,
        hook: impl Fn(&ConnectInfo, ConnectionStep) + Send + Sync + 'static,
    ) {
        self.with_hooks(|hooks| hooks.add_on_connection(hook));
    }

    /// Calls `render` for the responses that the server makes itself, such as 400, 408, 431, 500 and 504. It must be set
    /// while the service is built. Without it they are text, HTML or JSON, as the request accepts. The request is `None` if
    /// it could not be parsed.
    ///
    /// ```
    /// use axum::{Router, routing::get};
    /// use tower_prefork::{BoxError, Server};
    ///
    /// let server = Server::new("shop").service(|worker| async move {
    ///     worker.on_server_response(|response, request| match request {
    ///         Some(request) if !request.path().starts_with("/api/") => response.render(request.accept()),
    ///         _ => http::Response::builder()
    ///             .status(response.status())
    ///             .header("content-type", "application/problem+json")
    ///             .body(format!("{{\"status\":{}}}", response.status().as_u16()).into())
    ///             .expect("the parts are valid"),
    ///     });
    ///     Ok::<_, BoxError>(Router::new().route("/", get(|| async { "hello" })))
    /// });
    /// # drop(server);
    /// ```
    pub fn on_server_response(
        &self,
        render: impl Fn(&ServerResponse, Option<&RequestSummary>) -> Response<Bytes>
        + Send
        + Sync
        + 'static,
    ) {
        self.with_hooks(|hooks| hooks.of_connections_mut().on_server_response(render));
    }

    /// Calls `hook` at each step of this worker from now on. It must be set while the service is built. It is called on the
    /// event loop, and the step waits for it. A panic in it is logged. The phase of the program as a whole is
    /// [`phases`](Self::phases).
    pub fn on_step(&self, hook: impl Fn(WorkerStep) + Send + Sync + 'static) {
        self.with_hooks(|hooks| hooks.add_on_step(Arc::new(hook)));
    }

    /// The hooks that were set until now.
    pub(super) fn hooks(&self) -> WorkerHooks {
        self.with_hooks(|hooks| hooks.clone())
    }

    fn with_hooks<T>(&self, change: impl FnOnce(&mut WorkerHooks) -> T) -> T {
        change(&mut self.hooks.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn pool_stats(&self) -> PoolStats {
        self.monitors.stats()
    }
}
