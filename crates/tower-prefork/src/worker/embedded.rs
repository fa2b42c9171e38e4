use std::{future::Future, mem, pin::pin};

use tokio::sync::watch;

use super::{Alone, WorkerContext, application::Job, runtime, stop::Drain};
use crate::{Phase, listener::Listener, phase::Phases, stop_request::StopRequest};
use tower_serve::BoxError;

/// Serves on this thread until `stop` is ready, and drains. Gives the number of requests that did not
/// finish in time.
pub(crate) fn run_until(
    server: Alone,
    phases: Phases,
    stop: impl Future<Output = ()>,
    ready: impl FnOnce(Vec<String>) + 'static,
) -> Result<usize, BoxError> {
    let Alone {
        name,
        config,
        application,
        mut bound,
    } = server;
    let listeners = mem::take(&mut bound.listeners);
    let encrypted = config.is_encrypted();
    let address = |listener: &Listener| listener.local().url(encrypted);
    let addresses = listeners.iter().map(address).collect();
    let graceful_timeout = config.graceful_timeout;
    let runtime = runtime::build(config.thread_workers)?;
    let (drain, watching) = watch::channel(None);
    let worker = WorkerContext::new(&name, 0, config);
    let phases = phases.with([worker.own_phases()]);
    let started = phases.clone();
    let job = Job {
        worker: worker.clone(),
        listeners,
        supervisor: None,
        ready: Box::new(move |_| {
            started.started();
            ready(addresses);
        }),
        stop: watching,
        stop_request: StopRequest::default(),
    };
    let served = runtime.block_on(async {
        let mut serving = pin!(application.serve(job));
        tokio::select! {
            // In this order: who is told to stop at once has been ready before.
            biased;
            // It could not start.
            served = &mut serving => return served,
            () = stop => {}
        }
        phases.set(Phase::Draining);
        drain.send_replace(Some(Drain::for_good(graceful_timeout)));
        serving.await
    });
    runtime::finish(
        runtime,
        drain.borrow().map(|drain: Drain| drain.deadline),
        [&worker],
    );
    phases.set(Phase::Stopped);
    served
}
