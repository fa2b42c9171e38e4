//! Serving in one process: builds the service, takes the accepted connections, and drains.

use std::{fmt, future::Future, io, panic::AssertUnwindSafe, pin::Pin, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::{
    net::{TcpStream, UnixStream},
    sync::watch,
    task::JoinSet,
    time::{interval, timeout_at},
};
use tower_serve::{
    BoxError, ConnectionHooks, HttpServer, HttpService, Load, RedirectToHttps, TrustedProxies,
    internal::panic_text,
};

#[cfg(feature = "tls")]
use super::certificates;
#[cfg(feature = "layers")]
use super::layers::Layers;
use super::{
    WorkerContext,
    accept::{self, Accepted, Stream},
    connection_limit::{ConnectionLimit, make_room},
    recycle::{self, StuckJobs},
    shutdown::DrainRequest,
};
use crate::{
    config::{Config, max_connections},
    control::{RecycleReason, Socket, ToSupervisor},
    hooks::WorkerStep,
    listener::{Listener, LocalAddress, passed_bits},
    phase::Phase,
    signals::StopRequest,
};

/// How often to check that the accept thread can be woken.
const CHECK: Duration = Duration::from_secs(1);

/// Builds a service and serves it, without the type of the service.
pub(crate) struct Application(Box<dyn FnOnce(ServeParams) -> Served>);

type Served = Pin<Box<dyn Future<Output = Result<usize, BoxError>>>>;

/// What an application needs to serve in this process.
pub(super) struct ServeParams {
    pub(super) worker: WorkerContext,
    pub(super) listeners: Vec<Listener>,
    /// The socket of the supervisor, if there is one.
    pub(super) supervisor: Option<Arc<Socket>>,
    /// Called when the service is built, before the first connection is accepted.
    pub(super) ready: Box<dyn FnOnce(Load)>,
    /// Set when it is to drain.
    pub(super) drain: watch::Receiver<Option<DrainRequest>>,
    /// The program's own request to be replaced.
    pub(super) stop_request: StopRequest,
}

impl Application {
    pub(crate) fn new<M, F, S, E>(make: M) -> Self
    where
        M: FnOnce(WorkerContext) -> F + 'static,
        F: Future<Output = Result<S, E>> + 'static,
        E: Into<BoxError> + 'static,
        S: HttpService,
    {
        Self(Box::new(|params| Box::pin(serve(make, params))))
    }

    /// Serves until it has drained. Returns the number of requests that did not finish in time.
    pub(super) async fn serve(self, params: ServeParams) -> Result<usize, BoxError> {
        (self.0)(params).await
    }
}

impl fmt::Debug for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Application").finish_non_exhaustive()
    }
}

/// Builds the service and serves it until it has drained. Returns the number of requests that did not finish in time.
async fn serve<M, F, S, E>(make: M, params: ServeParams) -> Result<usize, BoxError>
where
    M: FnOnce(WorkerContext) -> F,
    F: Future<Output = Result<S, E>>,
    E: Into<BoxError>,
    S: HttpService,
{
    let ServeParams {
        worker,
        listeners,
        supervisor,
        ready,
        mut drain,
        stop_request,
    } = params;
    let service = AssertUnwindSafe(async { make(worker.clone()).await })
        .catch_unwind()
        .await
        .map_err(|panic| format!("panicked: {}", panic_text(&*panic)))?
        .map_err(Into::into)?;

    let config = worker.config();
    let limit = ConnectionLimit::new(max_connections(config))?;
    let hooks = worker.hooks();
    let server = http_server(&worker, hooks.of_connections())?;
    let load = server.load().clone();
    let own = !passed_bits(&listeners);
    let redirect = redirect_to(&listeners);
    // If the system refuses the thread, the start has failed.
    let (mut accepted, begin) = accept::start(
        listeners,
        limit.clone(),
        load.clone(),
        config.thread_workers,
    )?;
    worker.own_phases().started();
    tokio::spawn(shed_before_stop(worker.phases(), load.clone()));
    ready(load.clone());
    hooks.step(WorkerStep::Ready);
    let _ = begin.send(());
    let stuck_jobs = StuckJobs::new(worker.clone(), load.clone(), limit.clone());
    tokio::spawn(recycle::watch(
        stuck_jobs,
        load.clone(),
        stop_request,
        supervisor.clone(),
    ));
    tokio::spawn(make_room(worker.clone(), limit.clone(), load.clone()));
    #[cfg(feature = "tls")]
    certificates::follow(&worker, server.clone(), supervisor.is_none());

    let connect = connector(&worker, service, redirect, server.clone());
    let spawn = |accepted: Accepted| {
        if let Err(error) = connect(accepted) {
            tracing::warn!(%error, "cannot serve a connection");
        }
    };
    // A task of its own, so that the loop below polls little whenever a connection arrives.
    let mut failing = JoinSet::new();
    failing.spawn(failure(limit.clone()));
    let request = loop {
        tokio::select! {
            request = drain.wait_for(Option::is_some) => break request.ok().and_then(|request| *request),
            one = accepted.recv(), if !limit.has_failed() => match one {
                Some(one) => spawn(one),
                None => limit.fail("the accept thread has ended".into()),
            },
            Some(reason) = failing.join_next() => {
                let reason = reason.unwrap_or_else(|error| error.to_string());
                tracing::error!(
                    server = worker.server(),
                    slot = worker.slot(),
                    reason,
                    "this worker cannot accept connections any more and is to be replaced"
                );
                let recycle = RecycleReason { text: reason.clone(), stuck: true };
                let recycle = ToSupervisor::Recycle(recycle);
                let sent = supervisor.as_ref().map(|socket| socket.send(&recycle, &[]));
                if !matches!(sent, Some(Ok(()))) {
                    return Err(reason.into());
                }
            }
        }
    };
    // The sender lives as long as the process.
    let request = request.ok_or("the shutdown handle is gone")?;
    worker.ends_at(request.deadline);

    hooks.step(WorkerStep::Draining);
    server.shutdown(request.idle);
    limit.close(request.queues, if request.is_final { own } else { 0 });
    let finish = async {
        // An accept thread that cannot be woken does not end.
        while !limit.has_failed()
            && let Some(one) = accepted.recv().await
        {
            spawn(one);
        }
        drop(accepted);
        limit.all_released().await;
    };
    let hurry = async {
        while drain.changed().await.is_ok() {
            if let Some(request) = &*drain.borrow_and_update() {
                server.shutdown(request.idle);
            }
        }
        std::future::pending::<()>().await;
    };
    let finish = async {
        tokio::select! {
            () = finish => {}
            () = hurry => {}
        }
    };
    let finished = timeout_at(request.deadline.into(), finish).await;
    if finished.is_ok() {
        hooks.step(WorkerStep::Exiting);
        return Ok(0);
    }
    let (connections, requests) = (load.connections(), load.requests());
    let upgraded = load.upgraded();
    tracing::warn!(
        server = worker.server(),
        slot = worker.slot(),
        connections,
        upgraded,
        requests,
        "deadline reached; running requests are cut"
    );
    hooks.step(WorkerStep::Exiting);
    Ok(requests)
}

/// The HTTP server of this worker's connections.
fn http_server(worker: &WorkerContext, hooks: ConnectionHooks) -> Result<HttpServer, BoxError> {
    let config = worker.config();
    let mut server = HttpServer::builder()
        .http(config.http.clone())
        .hooks(hooks)
        .slot(worker.slot())
        .max_requests(max_requests(config));
    let proxies = TrustedProxies::new(config.forwarded_allow_ips.clone());
    server = server.trusted_proxies(proxies.fields(config.forwarded_headers));
    if config.proxy_protocol {
        server = server.proxy_protocol(config.proxy_allow_ips.clone());
    }
    if config.request_id {
        server = server.request_id();
    }
    if let Some(path) = &config.readiness_path {
        let phases = worker.phases();
        server = server.readiness(path, move || {
            matches!(*phases.borrow(), Phase::Ready | Phase::Reloading)
        });
    }
    if let Some(access_log) = &config.access_log {
        server = server.access_log(access_log.clone());
    }
    #[cfg(feature = "tls")]
    if let Some(tls) = &config.tls {
        server = server.tls(tls.clone());
    }
    server.build()
}

/// Waits until the worker cannot accept connections any more. Returns the reason.
async fn failure(limit: ConnectionLimit) -> String {
    let mut check = interval(CHECK);
    loop {
        tokio::select! {
            reason = limit.failed() => return reason,
            _ = check.tick() => limit.check(),
        }
    }
}

/// Closes connections with their next response as soon as the program is going to stop. So at the stop hardly any connection
/// is left that a proxy keeps for its next request, which could arrive just when the connection closes.
async fn shed_before_stop(mut phases: watch::Receiver<Phase>, load: Load) {
    let stopping = phases.wait_for(|phase| *phase == Phase::Stopping);
    if stopping.await.is_ok() {
        load.shed_all();
    }
}

/// Begins to serve a connection.
type Connector = Box<dyn Fn(Accepted) -> io::Result<()>>;

/// What serves the connections: the service, with the layers that the settings ask for.
fn connector<S: HttpService>(
    worker: &WorkerContext,
    service: S,
    redirect: RedirectToHttps,
    server: HttpServer,
) -> Connector {
    #[cfg(feature = "layers")]
    if let Some(layers) = Layers::of(worker.config()) {
        let service = layers.around(service);
        return Box::new(move |accepted| connect(accepted, service.clone(), redirect, &server));
    }
    #[cfg(not(feature = "layers"))]
    let _ = worker;
    Box::new(move |accepted| connect(accepted, service.clone(), redirect, &server))
}

/// Starts to serve one connection, which keeps its permit until its end.
fn connect<S: HttpService>(
    accepted: Accepted,
    service: S,
    redirect: RedirectToHttps,
    server: &HttpServer,
) -> io::Result<()> {
    let Accepted {
        stream,
        connection,
        permit,
        redirects,
    } = accepted;
    match stream {
        Stream::Tcp(stream) if redirects => {
            let stream = TcpStream::from_std(stream)?;
            let served = server.serve_connection(stream, connection, redirect);
            tokio::spawn(permit.held_by(served));
        }
        Stream::Tcp(stream) => {
            let stream = TcpStream::from_std(stream)?;
            let served = server.serve_tcp(stream, connection, service);
            tokio::spawn(permit.held_by(served));
        }
        Stream::Unix(stream) => {
            let stream = UnixStream::from_std(stream)?;
            let served = server.serve_connection(stream, connection, service);
            tokio::spawn(permit.held_by(served));
        }
    }
    Ok(())
}

/// Redirects to the first of these listeners that speaks HTTPS.
fn redirect_to(listeners: &[Listener]) -> RedirectToHttps {
    let mut ports = listeners
        .iter()
        .filter_map(|listener| match listener.local() {
            LocalAddress::Tcp(local) if !listener.redirects() => Some(local.port()),
            _ => None,
        });
    RedirectToHttps::new(ports.next().unwrap_or(443))
}

/// `max_requests`, less up to a tenth by chance, so that workers that started together are not replaced together.
fn max_requests(config: &Config) -> u64 {
    let most = config.max_requests;
    most - fastrand::u64(0..=most / 10)
}
