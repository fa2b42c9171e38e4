use std::{io, path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    runtime,
    sync::{mpsc, watch},
    task::JoinSet,
    time::Instant,
};

use super::{
    fleet::Fleet,
    program::Program,
    reload::Reload,
    slot::{Slot, Stop},
};
use crate::{
    config::Config,
    listener::{Bound, Listener, Local},
    signals::{Request, Signals},
};

/// A server to supervise: its name, its settings and its listeners.
#[derive(Debug)]
pub(crate) struct Charge {
    pub(crate) name: String,
    pub(crate) config: Config,
    pub(crate) bound: Bound,
}

/// What a slot tells the supervisor.
#[derive(Debug)]
pub(super) enum Event {
    /// One more worker of this server is ready.
    Ready(usize),
    /// A worker failed before its server was ever complete.
    StartFailed(String),
}

/// Runs the workers of all servers until an operator stops the program. The error is a line for
/// the operator; no worker is left then.
pub(crate) fn run(charges: Vec<Charge>) -> Result<(), String> {
    let start = || -> io::Result<_> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok((Program::current()?, runtime))
    };
    let (program, runtime) = start().map_err(|error| format!("cannot supervise: {error}"))?;
    runtime.block_on(async {
        let signals = Signals::new().map_err(|error| format!("cannot take signals: {error}"))?;
        let changes = watch_files(&charges, &program)?;
        let supervisor = Supervisor::start(charges, &program, changes);
        supervisor.run(signals).await
    })
}

#[derive(Debug)]
struct Supervisor {
    servers: Vec<Supervised>,
    /// One task per slot; each gives the number of requests that were not finished at the stop.
    slots: JoinSet<usize>,
    events: mpsc::Receiver<Event>,
    reload: Reload,
    /// Files that have changed, if they are watched.
    changes: Option<mpsc::Receiver<PathBuf>>,
    stop: watch::Sender<Stop>,
}

/// One server and how far it is.
#[derive(Debug)]
struct Supervised {
    fleet: Arc<Fleet>,
    bound: Arc<Bound>,
    workers: usize,
    ready: usize,
    graceful_timeout: Duration,
}

impl Supervisor {
    /// Starts all workers.
    fn start(
        charges: Vec<Charge>,
        program: &Program,
        changes: Option<mpsc::Receiver<PathBuf>>,
    ) -> Self {
        let (sender, events) = mpsc::channel(16);
        let (stop, stopped) = watch::channel(Stop::No);
        let mut slots = JoinSet::new();
        let mut reload = Reload::default();
        let mut servers = Vec::new();
        for (index, charge) in charges.into_iter().enumerate() {
            let Charge {
                name,
                config,
                bound,
            } = charge;
            let bound = Arc::new(bound);
            let fleet = Fleet::new(index, name, program.clone(), &bound, &config);
            let server = Supervised {
                fleet: Arc::new(fleet),
                bound,
                workers: config.workers.count(),
                ready: 0,
                graceful_timeout: config.graceful_timeout,
            };
            for index in 0..server.workers {
                let orders = reload.add(&server.fleet, index);
                let (fleet, events, stop) = (server.fleet.clone(), sender.clone(), stopped.clone());
                let slot = Slot::new(fleet, index, events, orders, stop);
                slots.spawn(slot.run());
            }
            servers.push(server);
        }
        Self {
            servers,
            slots,
            events,
            reload,
            changes,
            stop,
        }
    }

    async fn run(mut self, mut signals: Signals) -> Result<(), String> {
        let request = loop {
            tokio::select! {
                request = signals.recv() => match request {
                    Request::Reload => self.reload.ask(),
                    request => break request,
                },
                Some(()) = self.reload.over() => {}
                Some(path) = next(&mut self.changes) => {
                    tracing::info!(path = %path.display(), "a file has changed");
                    self.reload.ask();
                }
                Some(event) = self.events.recv() => match event {
                    Event::Ready(server) => {
                        self.servers[server].one_more_ready();
                        self.reload.begin();
                    }
                    Event::StartFailed(error) => {
                        self.stop.send_replace(Stop::Now);
                        self.wait().await;
                        return Err(error);
                    }
                },
            }
        };
        self.reload.give_up();
        if request == Request::Drain {
            self.drain(&mut signals).await;
        } else {
            tracing::info!("stopping at once");
            self.quit().await;
        }
        tracing::info!("stopped");
        Ok(())
    }

    /// Lets the workers finish what they run.
    async fn drain(&mut self, signals: &mut Signals) {
        let longest = self.servers.iter().map(|server| server.graceful_timeout);
        let longest = longest.max().unwrap_or_default();
        log_stopping(longest);
        // Before the workers close theirs, so that a new connection is refused at the end and
        // not left to wait for nobody.
        for server in std::mem::take(&mut self.servers) {
            drop(server.bound);
        }
        self.stop
            .send_replace(Stop::Drain(Instant::now() + longest));
        let cut = tokio::select! {
            cut = self.wait() => cut,
            _ = signals.stop(|| tracing::info!("the server stops; the reload is ignored")) => {
                tracing::warn!("asked again; stopping at once");
                return self.quit().await;
            }
        };
        report(cut);
    }

    /// Ends the workers at once.
    async fn quit(&mut self) {
        self.stop.send_replace(Stop::Now);
        report(self.wait().await);
    }

    /// Waits until all workers have ended.
    async fn wait(&mut self) -> usize {
        // A slot that still wants to tell something must not wait for a reader.
        self.events.close();
        let mut cut = 0;
        while let Some(slot) = self.slots.join_next().await {
            cut += slot.unwrap_or_default();
        }
        cut
    }
}

/// Watches the files that any of the servers wants to be watched.
#[cfg(feature = "watch")]
fn watch_files(
    charges: &[Charge],
    program: &Program,
) -> Result<Option<mpsc::Receiver<PathBuf>>, String> {
    let directories = charges.iter().flat_map(|charge| charge.config.watched());
    let directories: Vec<_> = directories.cloned().collect();
    if directories.is_empty() {
        return Ok(None);
    }
    crate::watch::changes(&directories, program.path()).map(Some)
}

/// Watches nothing: that is another feature.
#[cfg(not(feature = "watch"))]
fn watch_files(_: &[Charge], _: &Program) -> Result<Option<mpsc::Receiver<PathBuf>>, String> {
    Ok(None)
}

/// The next file that has changed.
async fn next(changes: &mut Option<mpsc::Receiver<PathBuf>>) -> Option<PathBuf> {
    changes.as_mut()?.recv().await
}

fn report(cut: usize) {
    if cut > 0 {
        tracing::warn!(requests = cut, "requests were cut before they were done");
    }
}

impl Supervised {
    fn one_more_ready(&mut self) {
        self.ready += 1;
        if self.ready != self.workers {
            return;
        }
        self.fleet.establish();
        let listeners = self.bound.listeners.iter();
        log_ready(
            &self.fleet.name,
            listeners.map(Listener::local),
            self.workers,
        );
    }
}

/// Tells the operator, and scripts that wait for it, where the server listens.
pub(crate) fn log_ready<'a>(
    server: &str,
    addresses: impl IntoIterator<Item = &'a Local>,
    workers: usize,
) {
    for address in addresses {
        tracing::info!(server, %address, "listening");
    }
    tracing::info!(server, workers, "ready");
}

/// Tells the operator that the stop was heard.
pub(crate) fn log_stopping(left: Duration) {
    tracing::info!(
        deadline_s = left.as_secs_f64(),
        "stopping; running requests may finish until the deadline"
    );
}
