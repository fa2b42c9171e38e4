use std::{
    cell::Cell,
    io, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    time::Duration,
};

use futures_util::future::try_join_all;

use super::{
    Application, WorkerContext,
    application::Job,
    broken::{end, end_when_broken},
    runtime,
    stop::Stop,
};
use crate::{
    Phase, config::Config, error::Reason, listener::Bound, signals::Signals,
    stop_request::StopRequest, stray_signals::ignore_stray_signals, supervisor::log_ready,
    system::Announcer,
};
use tower_serve::internal::threads;

/// A server that runs without workers.
#[derive(Debug)]
pub(crate) struct Alone {
    pub(crate) name: String,
    pub(crate) config: Config,
    pub(crate) application: Application,
    pub(crate) bound: Bound,
}

/// Serves all of them in this process until an operator stops it. The error is a line for the
/// operator.
pub(crate) fn run(
    servers: Vec<Alone>,
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
    let stop = Stop::alone(
        all.clone(),
        longest(|config| config.graceful_timeout),
        longest(|config| config.shutdown_delay),
    );
    let starting = Rc::new(Cell::new(servers.len()));
    let drain = stop.watch();
    let threads = servers.iter().map(|server| server.config.thread_workers);
    let runtime =
        runtime::build(threads.sum()).map_err(|error| format!("cannot start: {error}"))?;

    ignore_stray_signals(&runtime).map_err(|error| format!("cannot take signals: {error}"))?;

    // Their socket files are removed at the end.
    let mut bounds = Vec::new();
    let mut jobs = Vec::new();
    for (server, worker) in servers.into_iter().zip(workers.clone()) {
        let Alone {
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
            listeners.map(|one| one.local().url(encrypted)).collect()
        };
        let stop = stop.clone();
        let serves = Rc::new(Cell::new(false));
        let served_before = serves.clone();
        let ready = {
            let name = name.clone();
            let (all, starting) = (all.clone(), starting.clone());
            move |load| {
                serves.set(true);
                stop.begin(load);
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
        let job = Job {
            worker,
            listeners,
            supervisor: None,
            ready: Box::new(ready),
            stop: drain.clone(),
            stop_request: StopRequest::default(),
        };
        jobs.push(async move {
            let served = application.serve(job).await;
            let what = match served_before.get() {
                true => "cannot go on",
                false => "could not start",
            };
            let place = format!("{name}: {what}: ");
            served.map_err(|error| Reason::of(&*error).report(place))
        });
    }
    obey_signals(stop.clone(), stop_request)
        .map_err(|error| format!("cannot take signals: {error}"))?;
    end_when_broken(None);
    let serving = || runtime.block_on(try_join_all(jobs));
    let served = catch_unwind(AssertUnwindSafe(serving));
    let served = served.unwrap_or_else(|panic| end(None, &*panic));
    runtime::finish(
        runtime,
        drain.borrow().map(|drain| drain.deadline),
        &workers,
    );
    stop.report(served?.into_iter().sum());
    announcer.announce(Phase::Stopped);
    tracing::info!("stopped");
    Ok(())
}

/// Starts a thread for the operator's signals, so that they work while the event loop is stuck.
fn obey_signals(stop: Stop, stop_request: StopRequest) -> io::Result<()> {
    let runtime = runtime::build(0)?;
    let signals = runtime.block_on(async { Signals::new(stop_request) })?;
    threads::start("signals", move || runtime.block_on(stop.obey(signals)))
}
