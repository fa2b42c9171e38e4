use std::{io, mem, thread, time::Duration};

use futures_util::future::try_join_all;

use super::{Application, Worker, application::Job, runtime, stop::Stop};
use crate::{
    config::Config, error::Reason, listener::Bound, signals::Signals, supervisor::log_ready,
};

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
pub(crate) fn run(mut servers: Vec<Alone>) -> Result<(), String> {
    let longest = |time: fn(&Config) -> Duration| {
        let times = servers.iter().map(|server| time(&server.config));
        times.max().unwrap_or_default()
    };
    let stop = Stop::new(None, longest(|config| config.graceful_timeout));
    let drain = stop.watch();
    let threads = servers.iter().map(|server| server.config.thread_workers);
    let runtime =
        runtime::build(threads.sum()).map_err(|error| format!("cannot start: {error}"))?;

    // Their socket files are removed at the end.
    let mut bounds = Vec::new();
    let mut jobs = Vec::new();
    for Alone {
        name,
        config,
        application,
        mut bound,
    } in mem::take(&mut servers)
    {
        let listeners = mem::take(&mut bound.listeners);
        bounds.push(bound);
        let addresses: Vec<_> = listeners.iter().map(|one| one.local().clone()).collect();
        let stop = stop.clone();
        let ready = {
            let name = name.clone();
            move |load| {
                stop.begin(load);
                log_ready(&name, &addresses, 0);
            }
        };
        let job = Job {
            worker: Worker::new(&name, 0, config),
            listeners,
            supervisor: None,
            ready: Box::new(ready),
            stop: drain.clone(),
        };
        jobs.push(async move {
            let served = application.serve(job).await;
            let place = format!("{name}: could not start: ");
            served.map_err(|error| Reason::of(&*error).report(place))
        });
    }
    obey_signals(stop.clone()).map_err(|error| format!("cannot take signals: {error}"))?;
    let served = runtime.block_on(try_join_all(jobs));
    runtime::finish(runtime, drain.borrow().map(|drain| drain.deadline));
    stop.report(served?.into_iter().sum());
    tracing::info!("stopped");
    Ok(())
}

/// Starts a thread for the operator's signals, so that they work while the event loop is stuck.
fn obey_signals(stop: Stop) -> io::Result<()> {
    let runtime = runtime::build(0)?;
    let signals = runtime.block_on(async { Signals::new() })?;
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || runtime.block_on(stop.obey(signals)))
        .map(drop)
}
