use std::{future::Future, io, panic::AssertUnwindSafe, sync::Arc, time::Duration};

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
use tower_serve::{
    BoxError, HttpService,
    access_log::Log,
    connection::{self, Load, Readiness, Shared},
    error::panic_text,
};

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
    let (drain, draining) = watch::channel(None);
    let log = config.access_log.as_ref();
    let log = log.map(|log| Log::start(log, worker.slot())).transpose()?;
    let load = Load::new(max_requests(config));
    let readiness = config.readiness_path.as_deref();
    let readiness = readiness.map(|path| {
        let phases = worker.phases();
        Readiness::new(path, move || {
            matches!(*phases.borrow(), Phase::Ready | Phase::Reloading)
        })
    });
    let (http, hooks) = (config.http.clone(), worker.hooks());
    let shared = Shared::new(
        http,
        draining,
        load.clone(),
        log,
        readiness,
        hooks.of_connections(),
    );
    #[cfg(feature = "tls")]
    let shared = match &config.tls {
        Some(tls) => shared.encrypted(tls.server_config()?),
        None => shared,
    };
    let shared = Arc::new(shared);
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
        if let Err(error) = connect(accepted, service.clone(), shared.clone()) {
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
    drain.send_replace(Some(how.idle));
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
            drain.send_replace(stop.borrow_and_update().map(|how| how.idle));
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
fn connect<S: HttpService>(accepted: Accepted, service: S, shared: Arc<Shared>) -> io::Result<()> {
    let Accepted {
        stream,
        connection,
        permit,
    } = accepted;
    match stream {
        Stream::Tcp(stream) => {
            let stream = TcpStream::from_std(stream)?;
            let served = connection::serve_tcp(stream, connection, service, shared);
            tokio::spawn(permit.held_by(served));
        }
        Stream::Unix(stream) => {
            let stream = UnixStream::from_std(stream)?;
            let served = connection::serve(stream, connection, service, shared);
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
