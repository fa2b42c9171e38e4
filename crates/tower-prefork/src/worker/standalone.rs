//! Serving without a supervisor: a program with 0 workers, and a server on a thread of a program.

use std::{
    cell::Cell,
    future::Future,
    io, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    rc::Rc,
    time::Duration,
};

use futures_util::future::try_join_all;
use tokio::sync::watch;
use tower_serve::{BoxError, internal::threads};

use super::{
    WorkerContext,
    runtime::{self, exit_if_event_loop_panics},
    serve::{Application, ServeParams},
    shutdown::{DrainRequest, ShutdownHandle},
};
use crate::{
    config::Config,
    error::Reason,
    listener::{Bound, Listener},
    phase::{Phase, Phases},
    signals::{Signals, StopRequest, ignore_stray_signals},
    system::{Announcer, log_ready},
};

/// A server that is served in this process.
#[derive(Debug)]
pub(crate) struct Standalone {
    pub(crate) name: String,
    pub(crate) config: Config,
    pub(crate) application: Application,
    pub(crate) bound: Bound,
}

/// Serves all servers in this process until an operator stops it. The error is a sentence for the operator.
pub(crate) fn run_standalone(
    servers: Vec<Standalone>,
    announcer: &Announcer,
    stop_request: StopRequest,
) -> Result<(), String> {
    let longest = |time: fn(&Config) -> Duration| {
        let times = servers.iter().map(|server| time(&server.config));
        times.max().unwrap_or_default()
    };
    let workers = servers.iter().map(|server| {
        let config = server.config.clone();
        WorkerContext::new(&server.name, 0, config)
    });
    let workers: Vec<_> = workers.collect();
    let all = announcer.with(workers.iter().map(WorkerContext::own_phases));
    let shutdown = ShutdownHandle::standalone(
        all.clone(),
        longest(|config| config.graceful_timeout),
        longest(|config| config.shutdown_delay),
    );
    let starting = Rc::new(Cell::new(servers.len()));
    let drain = shutdown.drain_requests();
    let threads = servers.iter().map(|server| server.config.thread_workers);
    let runtime =
        runtime::build(threads.sum()).map_err(|error| format!("cannot start: {error}"))?;

    ignore_stray_signals(&runtime).map_err(|error| format!("cannot handle signals: {error}"))?;

    // Their socket files are removed at the end.
    let mut bounds = Vec::new();
    let mut serving = Vec::new();
    for (server, worker) in servers.into_iter().zip(workers.clone()) {
        let Standalone {
            name,
            config,
            application,
            mut bound,
        } = server;
        let listeners = mem::take(&mut bound.listeners);
        bounds.push(bound);
        let addresses: Vec<_> = {
            let encrypted = config.is_encrypted();
            let listeners = listeners.iter();
            listeners.map(|one| one.url(encrypted)).collect()
        };
        let shutdown = shutdown.clone();
        let serves = Rc::new(Cell::new(false));
        let has_served = serves.clone();
        let ready = {
            let name = name.clone();
            let (all, starting) = (all.clone(), starting.clone());
            move |load| {
                serves.set(true);
                shutdown.begin(load);
                log_ready(&name, addresses, 0);
                starting.set(starting.get() - 1);
                if starting.get() == 0 {
                    all.started();
                    tokio::spawn(async move {
                        loop {
                            all.alive().await;
                        }
                    });
                }
            }
        };
        let params = ServeParams {
            worker,
            listeners,
            supervisor: None,
            ready: Box::new(ready),
            drain: drain.clone(),
            stop_request: StopRequest::default(),
        };
        serving.push(async move {
            let served = application.serve(params).await;
            let what = match has_served.get() {
                true => "cannot continue",
                false => "could not start",
            };
            let prefix = format!("{name}: {what}: ");
            served.map_err(|error| Reason::of(&*error).report(prefix))
        });
    }
    handle_signals(shutdown.clone(), stop_request)
        .map_err(|error| format!("cannot handle signals: {error}"))?;
    exit_if_event_loop_panics(None);
    let serve_all = || runtime.block_on(try_join_all(serving));
    let served = catch_unwind(AssertUnwindSafe(serve_all));
    let served = served.unwrap_or_else(|panic| runtime::exit(None, &*panic));
    runtime::finish(
        runtime,
        drain.borrow().map(|request| request.deadline),
        &workers,
    );
    shutdown.report(served?.into_iter().sum());
    announcer.announce(Phase::Stopped);
    tracing::info!("stopped");
    Ok(())
}

/// Starts a thread for the signals, so that they work while the event loop is stuck.
fn handle_signals(shutdown: ShutdownHandle, stop_request: StopRequest) -> io::Result<()> {
    let runtime = runtime::build(0)?;
    let signals = runtime.block_on(async { Signals::new(stop_request) })?;
    threads::start("signals", move || {
        runtime.block_on(shutdown.handle_signals(signals));
    })
}

/// Serves on this thread until `stop` is ready, and drains. Returns the number of requests that did not finish in time.
pub(crate) fn run_until(
    server: Standalone,
    phases: Phases,
    stop: impl Future<Output = ()>,
    ready: impl FnOnce(Vec<String>) + 'static,
) -> Result<usize, BoxError> {
    let Standalone {
        name,
        config,
        application,
        mut bound,
    } = server;
    let listeners = mem::take(&mut bound.listeners);
    let encrypted = config.is_encrypted();
    let address = |listener: &Listener| listener.url(encrypted);
    let addresses = listeners.iter().map(address).collect();
    let graceful_timeout = config.graceful_timeout;
    let runtime = runtime::build(config.thread_workers)?;
    let (drain, draining) = watch::channel(None);
    let worker = WorkerContext::new(&name, 0, config);
    let phases = phases.with([worker.own_phases()]);
    let started = phases.clone();
    let params = ServeParams {
        worker: worker.clone(),
        listeners,
        supervisor: None,
        ready: Box::new(move |_| {
            started.started();
            ready(addresses);
        }),
        drain: draining,
        stop_request: StopRequest::default(),
    };
    let served = runtime.block_on(async {
        let mut serving = pin!(application.serve(params));
        tokio::select! {
            // In this order, so that a server that stops at once has been ready before.
            biased;
            // It could not start.
            served = &mut serving => return served,
            () = stop => {}
        }
        phases.set(Phase::Draining);
        drain.send_replace(Some(DrainRequest::last(graceful_timeout)));
        serving.await
    });
    runtime::finish(
        runtime,
        drain.borrow().map(|request: DrainRequest| request.deadline),
        [&worker],
    );
    phases.set(Phase::Stopped);
    served
}
