use std::{io, mem, path::PathBuf, sync::Arc};

use tokio::{runtime, sync::mpsc, task::JoinSet, time::Instant};

use super::{
    delay::reached,
    end::End,
    handover::Predecessor,
    out_of_memory::OomKills,
    plans::{Plan, Plans},
    program::Program,
    reaper::reap_orphans,
    server::Supervised,
};
use crate::{
    config::{Config, ConfigSources, ProgramConfig},
    hooks::ProcessHooks,
    listener::Bound,
    operator::{ControlRequest, ControlServer, ControlSocket},
    signals::Signals,
    stop_request::StopRequest,
    stray_signals::StraySignals,
    system::{Announcer, Credentials, PidFile},
};

/// A server to supervise: its name, its settings, what they have come to, and its listeners.
#[derive(Debug)]
pub(crate) struct Charge {
    pub(crate) name: String,
    pub(crate) sources: ConfigSources,
    pub(crate) config: Config,
    pub(crate) hooks: ProcessHooks,
    pub(crate) bound: Bound,
}

/// What the supervisor begins with.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) charges: Vec<Charge>,
    pub(crate) config: Arc<ProgramConfig>,
    /// Who the workers run as, if not as this process.
    pub(crate) credentials: Option<Credentials>,
    /// Workers are called as this process was, and not by their title.
    pub(crate) keeps_name: bool,
    /// Held until the end.
    pub(crate) pid_file: Option<PidFile>,
    /// `None` as well while it is that of the supervisor that this one takes over from.
    pub(crate) control_socket: Option<ControlSocket>,
    pub(crate) announcer: Announcer,
    /// The supervisor that this one takes over from.
    pub(crate) predecessor: Option<Predecessor>,
    /// What the program asks of itself.
    pub(crate) stop_request: StopRequest,
}

/// What a slot tells the supervisor.
#[derive(Debug)]
pub(super) enum Event {
    /// A worker is ready in this slot of this server.
    Ready { server: usize, slot: usize },
    /// A worker failed before its server was ever complete.
    StartFailed(String),
}

/// Runs the workers of all servers until an operator stops the program, or another supervisor has taken
/// over. The error is a line for the operator; no worker is left then.
pub(crate) fn run(mut setup: Setup) -> Result<(), String> {
    let start = || -> io::Result<_> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let program = Program::current()?.run_as(setup.credentials, setup.keeps_name);
        Ok((program, runtime))
    };
    let (program, runtime) = start().map_err(|error| format!("cannot supervise: {error}"))?;
    runtime.block_on(async {
        let signals = Signals::new(mem::take(&mut setup.stop_request))
            .map_err(|error| format!("cannot take signals: {error}"))?;
        let stray = StraySignals::catch();
        let stray = stray.map_err(|error| format!("cannot take signals: {error}"))?;
        tokio::spawn(stray.warn());
        tokio::spawn(reap_orphans(program.own_children()));
        let changes = watch_files(&setup.charges, &program)?;
        let mut supervisor = SupervisorLoop::start(setup, program, changes);
        supervisor.open_console()?;
        supervisor.run(signals).await
    })
}

/// The supervisor's state; what it does with it is in `change` and `end`.
#[derive(Debug)]
pub(super) struct SupervisorLoop {
    pub(super) program: Program,
    pub(super) servers: Vec<Supervised>,
    /// One task per slot; each gives the number of requests that were not finished at the stop.
    pub(super) slots: JoinSet<usize>,
    pub(super) events: mpsc::Receiver<Event>,
    /// For the slots.
    pub(super) events_sender: mpsc::Sender<Event>,
    pub(super) plans: Plans,
    /// Workers that an operator has replaced one by one.
    pub(super) restarts: JoinSet<()>,
    /// Where operators order something.
    pub(super) control_socket: Option<ControlSocket>,
    pub(super) console: Option<ControlServer>,
    /// Files that have changed, if they are watched.
    changes: Option<mpsc::Receiver<PathBuf>>,
    pub(super) config: Arc<ProgramConfig>,
    pub(super) credentials: Option<Credentials>,
    pub(super) pid_file: Option<PidFile>,
    /// The supervisor to relieve, as soon as this one serves.
    pub(super) predecessor: Option<Predecessor>,
    pub(super) started: Instant,
    /// When a stop that was asked for begins.
    pub(super) drain_at: Option<Instant>,
    pub(super) is_ending: bool,
    pub(super) announcer: Announcer,
}

impl SupervisorLoop {
    /// Starts all workers.
    fn start(setup: Setup, program: Program, changes: Option<mpsc::Receiver<PathBuf>>) -> Self {
        let (events_sender, events) = mpsc::channel(16);
        let mut slots = JoinSet::new();
        let mut servers = Vec::new();
        let oom_kills = Arc::new(OomKills::of_this_program());
        for (index, charge) in setup.charges.into_iter().enumerate() {
            let workers = charge.config.workers.count();
            let mut server = Supervised::new(index, charge, &program, &oom_kills);
            server.scale(workers, &mut slots, &events_sender);
            servers.push(server);
        }
        Self {
            program,
            servers,
            slots,
            events,
            events_sender,
            plans: Plans::default(),
            restarts: JoinSet::new(),
            control_socket: setup.control_socket,
            console: None,
            changes,
            config: setup.config,
            credentials: setup.credentials,
            pid_file: setup.pid_file,
            predecessor: setup.predecessor,
            started: Instant::now(),
            drain_at: None,
            is_ending: false,
            announcer: setup.announcer,
        }
    }

    async fn run(mut self, mut signals: Signals) -> Result<(), String> {
        let end = loop {
            let end = tokio::select! {
                request = signals.recv() => self.obey(request),
                Some(outcome) = self.plans.over() => match outcome {
                    Ok(outcome) => self.over(outcome),
                    Err(error) => {
                        if !error.is_cancelled() {
                            tracing::error!(%error, "operation aborted");
                        }
                        self.plans.answer(&Err("the operation was aborted".into()));
                        None
                    }
                },
                Some(path) = next(&mut self.changes) => {
                    tracing::info!(path = %path.display(), "a file has changed");
                    self.plan(Plan::Reload, None);
                    None
                }
                Some(event) = self.events.recv() => match event {
                    Event::Ready { server, slot } => {
                        self.one_more_ready(server, slot);
                        None
                    }
                    Event::StartFailed(error) => Some(End::StartFailed(error)),
                },
                Some(order) = next_order(&mut self.console) => self.carry_out(order),
                () = reached(self.drain_at) => Some(End::Drain),
                () = self.announcer.alive() => None,
                Some(_) = self.restarts.join_next() => None,
                // A slot that was taken away.
                Some(_) = self.slots.join_next() => None,
            };
            if let Some(end) = end {
                break end;
            }
            self.begin_plan();
        };
        // Before anything else ends: a new supervisor that is not ready yet must not remain.
        self.plans.give_up().await;
        self.end(end, &mut signals).await
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

/// The next order of an operator.
pub(super) async fn next_order(console: &mut Option<ControlServer>) -> Option<ControlRequest> {
    console.as_mut()?.recv().await
}

/// The next file that has changed.
async fn next(changes: &mut Option<mpsc::Receiver<PathBuf>>) -> Option<PathBuf> {
    changes.as_mut()?.recv().await
}

/// Tells the operator, and scripts that wait for it, where the server listens.
pub(crate) fn log_ready(server: &str, addresses: impl IntoIterator<Item = String>, workers: usize) {
    for address in addresses {
        tracing::info!(server, %address, "listening");
    }
    tracing::info!(server, workers, "ready");
}
