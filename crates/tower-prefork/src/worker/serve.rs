use std::{future::Future, io, panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt;
use tokio::{
    net::{TcpStream, UnixStream},
    sync::watch,
    task::JoinSet,
    time::{interval, timeout_at},
};

use super::{
    WorkerContext, accept,
    accepted::{Accepted, Stream},
    application::Job,
    gate::Gate,
    room, spent,
    stuck::StuckJobs,
};
use crate::{
    Phase, WorkerStep,
    config::{Config, max_connections},
    control::ToSupervisor,
    listener::passed_bits,
};
use tower_serve::{BoxError, ConnectionHooks, HttpServer, HttpService, Load, internal::panic_text};

/// How often it is looked whether the accept thread can be reached.
const CHECK: Duration = Duration::from_secs(1);

/// Builds the service and serves it until it has drained. Gives the number of requests that did
/// not finish in time.
pub(super) async fn serve<M, F, S, E>(make: M, job: Job) -> Result<usize, BoxError>
where
    M: FnOnce(WorkerContext) -> F,
    F: Future<Output = Result<S, E>>,
    E: Into<BoxError>,
    S: HttpService,
{
    let Job {
        worker,
        listeners,
        supervisor,
        ready,
        mut stop,
        stop_request,
    } = job;
    let service = AssertUnwindSafe(async { make(worker.clone()).await })
        .catch_unwind()
        .await
        .map_err(|panic| format!("panicked: {}", panic_text(&*panic)))?
        .map_err(Into::into)?;

    let config = worker.config();
    let gate = Gate::new(max_connections(config))?;
    let hooks = worker.hooks();
    let server = http_server(&worker, hooks.of_connections())?;
    let load = server.load().clone();
    // A thread that the system refuses is an error of the start.
    let own = !passed_bits(&listeners);
    let (mut accepted, go) =
        accept::start(listeners, gate.clone(), load.clone(), config.thread_workers)?;
    worker.own_phases().started();
    tokio::spawn(shed_before_stop(worker.phases(), load.clone()));
    ready(load.clone());
    hooks.step(WorkerStep::Ready);
    let _ = go.send(());
    let stuck_jobs = StuckJobs::new(worker.clone(), load.clone(), gate.clone());
    tokio::spawn(spent::watch(
        stuck_jobs,
        load.clone(),
        stop_request,
        supervisor.clone(),
    ));
    tokio::spawn(room::make_room(worker.clone(), gate.clone(), load.clone()));

    let spawn = |accepted: Accepted| {
        if let Err(error) = connect(accepted, service.clone(), &server) {
            tracing::warn!(%error, "cannot serve a connection");
        }
    };
    // A task of its own, so that this one has little to look at whenever it is woken.
    let mut failing = JoinSet::new();
    failing.spawn(failure(gate.clone()));
    let how = loop {
        tokio::select! {
            how = stop.wait_for(Option::is_some) => break how.ok().and_then(|how| *how),
            one = accepted.recv(), if !gate.has_failed() => match one {
                Some(one) => spawn(one),
                None => gate.fail("the accept thread has ended".into()),
            },
            Some(reason) = failing.join_next() => {
                let reason = reason.unwrap_or_else(|error| error.to_string());
                tracing::error!(
                    server = worker.server(),
                    slot = worker.slot(),
                    reason,
                    "this worker takes no connections any more; another one is to take its place"
                );
                let spent = ToSupervisor::Spent { reason: reason.clone(), stuck: true };
                let told = supervisor.as_ref().map(|socket| socket.send(&spent, &[]));
                if !matches!(told, Some(Ok(()))) {
                    return Err(reason.into());
                }
            }
        }
    };
    let how = how.ok_or("nobody is left to stop it")?;
    worker.ends_at(how.deadline);

    hooks.step(WorkerStep::Draining);
    server.shutdown(how.idle);
    gate.close(how.queues, if how.for_good { own } else { 0 });
    let finish = async {
        // A thread that does not hear of the end does not end.
        while !gate.has_failed()
            && let Some(one) = accepted.recv().await
        {
            spawn(one);
        }
        drop(accepted);
        gate.empty().await;
    };
    let hurry = async {
        while stop.changed().await.is_ok() {
            if let Some(how) = &*stop.borrow_and_update() {
                server.shutdown(how.idle);
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
    let finished = timeout_at(how.deadline.into(), finish).await;
    if finished.is_ok() {
        hooks.step(WorkerStep::Exiting);
        return Ok(0);
    }
    let (connections, requests) = (load.connections(), load.requests());
    tracing::warn!(
        server = worker.server(),
        slot = worker.slot(),
        connections,
        requests,
        "the deadline of the stop is over; what still runs is cut"
    );
    hooks.step(WorkerStep::Exiting);
    Ok(requests)
}

/// What serves the connections of this worker.
fn http_server(worker: &WorkerContext, hooks: ConnectionHooks) -> Result<HttpServer, BoxError> {
    let config = worker.config();
    let mut server = HttpServer::builder()
        .http(config.http.clone())
        .hooks(hooks)
        .slot(worker.slot())
        .max_requests(max_requests(config));
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

/// Waits until the worker cannot accept any more. Gives the reason.
async fn failure(gate: Gate) -> String {
    let mut check = interval(CHECK);
    loop {
        tokio::select! {
            reason = gate.failed() => return reason,
            _ = check.tick() => gate.check(),
        }
    }
}

/// Has connections close with their next response as soon as the program is to stop. So at the stop hardly any is
/// left that a proxy holds open for its next request, which might be on its way just when the connection closes.
async fn shed_before_stop(mut phases: watch::Receiver<Phase>, load: Load) {
    let stopping = phases.wait_for(|phase| *phase == Phase::Stopping);
    if stopping.await.is_ok() {
        load.shed_all();
    }
}

/// Starts to serve one connection; its place is free again afterwards.
fn connect<S: HttpService>(accepted: Accepted, service: S, server: &HttpServer) -> io::Result<()> {
    let Accepted {
        stream,
        connection,
        permit,
    } = accepted;
    match stream {
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

/// Up to a tenth less than what is set, so that workers that started together are not replaced together.
fn max_requests(config: &Config) -> u64 {
    let most = config.max_requests;
    most - fastrand::u64(0..=most / 10)
}
