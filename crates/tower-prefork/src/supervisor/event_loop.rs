//! The event loop of the supervisor.

use std::{io, mem, path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    runtime,
    sync::mpsc,
    task::JoinSet,
    time::{Instant, Interval, interval, sleep_until},
};

use super::{
    exit_cause::OomKills,
    handover::Predecessor,
    operations::{Operation, Operations},
    program::Program,
    reaper::reap_orphans,
    server::SupervisedServer,
    shutdown::End,
};
use crate::{
    config::{Config, ConfigSources, ProgramConfig},
    hooks::ProcessHooks,
    listener::Bound,
    operator::{ControlRequest, ControlServer, ControlSocket},
    signals::{Signals, StopRequest, StraySignals},
    system::{Announcer, Credentials, PidFile},
};

/// The interval at which certificates are checked, if there can be any.
#[cfg(feature = "tls")]
const CERTIFICATE_CHECK: Duration = crate::certificates::CHECK;
#[cfg(not(feature = "tls"))]
const CERTIFICATE_CHECK: Duration = Duration::from_secs(24 * 60 * 60);

/// A server to supervise.
#[derive(Debug)]
pub(crate) struct ServerSetup {
    pub(crate) name: String,
    /// A reload reads them again.
    pub(crate) sources: ConfigSources,
    pub(crate) config: Config,
    pub(crate) hooks: ProcessHooks,
    pub(crate) bound: Bound,
}

/// What the supervisor starts with.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) servers: Vec<ServerSetup>,
    pub(crate) config: Arc<ProgramConfig>,
    /// The user and group of the workers, if not those of this process.
    pub(crate) credentials: Option<Credentials>,
    /// Workers have the `argv[0]` of this process, and not their title.
    pub(crate) keeps_name: bool,
    /// Kept until the end.
    pub(crate) pid_file: Option<PidFile>,
    /// Also `None` while it belongs to the supervisor that this one takes over from.
    pub(crate) control_socket: Option<ControlSocket>,
    pub(crate) announcer: Announcer,
    /// The supervisor that this one takes over from.
    pub(crate) predecessor: Option<Predecessor>,
    /// The program's own request to stop.
    pub(crate) stop_request: StopRequest,
}

/// What a slot reports to the supervisor.
#[derive(Debug)]
pub(super) enum SlotEvent {
    /// A worker is ready in this slot of this server.
    Ready { server: usize, slot: usize },
    /// A worker failed before its server was ready.
    StartFailed(String),
}

/// Runs the workers of all servers until an operator stops the program, or another supervisor has taken over. The error is a
/// sentence for the operator; no worker is left then.
pub(crate) fn run(mut setup: Setup) -> Result<(), String> {
    let start = || -> io::Result<_> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let program = Program::current()?.run_as(setup.credentials, setup.keeps_name);
        Ok((program, runtime))
    };
    let (program, runtime) =
        start().map_err(|error| format!("cannot start the supervisor: {error}"))?;
    runtime.block_on(async {
        let signals = Signals::new(mem::take(&mut setup.stop_request))
            .map_err(|error| format!("cannot handle signals: {error}"))?;
        let stray = StraySignals::catch();
        let stray = stray.map_err(|error| format!("cannot handle signals: {error}"))?;
        tokio::spawn(stray.warn());
        tokio::spawn(reap_orphans(program.own_children()));
        let changes = watch_files(&setup.servers, &program)?;
        let mut supervisor = SupervisorLoop::start(setup, program, changes);
        supervisor.open_control_server()?;
        supervisor.run(signals).await
    })
}

/// The state of the supervisor. What it does is in `commands`, `operations`, `reload`, `handover` and `shutdown`.
#[derive(Debug)]
pub(super) struct SupervisorLoop {
    pub(super) program: Program,
    pub(super) servers: Vec<SupervisedServer>,
    /// One task per slot; each returns the number of requests that a stop has cut.
    pub(super) slots: JoinSet<usize>,
    pub(super) events: mpsc::Receiver<SlotEvent>,
    /// For the slots.
    pub(super) events_sender: mpsc::Sender<SlotEvent>,
    pub(super) operations: Operations,
    /// Commands that replace a single worker.
    pub(super) restarts: JoinSet<()>,
    pub(super) control_socket: Option<ControlSocket>,
    pub(super) control_server: Option<ControlServer>,
    /// Changed files, if any are watched.
    changes: Option<mpsc::Receiver<PathBuf>>,
    pub(super) config: Arc<ProgramConfig>,
    pub(super) credentials: Option<Credentials>,
    pub(super) pid_file: Option<PidFile>,
    /// The supervisor that this one takes over from, until this one serves.
    pub(super) predecessor: Option<Predecessor>,
    pub(super) started: Instant,
    /// When a stop that is delayed begins.
    pub(super) drain_at: Option<Instant>,
    pub(super) is_ending: bool,
    pub(super) announcer: Announcer,
    /// When to check the certificates.
    certificate_checks: Interval,
}

impl SupervisorLoop {
    /// Starts all workers.
    fn start(setup: Setup, program: Program, changes: Option<mpsc::Receiver<PathBuf>>) -> Self {
        let (events_sender, events) = mpsc::channel(16);
        let mut slots = JoinSet::new();
        let mut servers = Vec::new();
        let oom_kills = Arc::new(OomKills::of_this_program());
        for (index, server) in setup.servers.into_iter().enumerate() {
            let workers = server.config.workers.count();
            let mut server = SupervisedServer::new(index, server, &program, &oom_kills);
            server.scale(workers, &mut slots, &events_sender);
            servers.push(server);
        }
        Self {
            program,
            servers,
            slots,
            events,
            events_sender,
            operations: Operations::default(),
            restarts: JoinSet::new(),
            control_socket: setup.control_socket,
            control_server: None,
            changes,
            config: setup.config,
            credentials: setup.credentials,
            pid_file: setup.pid_file,
            predecessor: setup.predecessor,
            started: Instant::now(),
            drain_at: None,
            is_ending: false,
            announcer: setup.announcer,
            certificate_checks: interval(CERTIFICATE_CHECK),
        }
    }

    async fn run(mut self, mut signals: Signals) -> Result<(), String> {
        let end = loop {
            let end = tokio::select! {
                request = signals.recv() => self.handle_signal(request),
                Some(outcome) = self.operations.join() => match outcome {
                    Ok(outcome) => self.operation_ended(outcome),
                    Err(error) => {
                        if !error.is_cancelled() {
                            tracing::error!(%error, "operation aborted");
                        }
                        self.operations.respond(&Err("the operation was aborted".into()));
                        None
                    }
                },
                Some(path) = next(&mut self.changes) => {
                    tracing::info!(path = %path.display(), "file changed");
                    self.request(Operation::Reload, None);
                    None
                }
                Some(event) = self.events.recv() => match event {
                    SlotEvent::Ready { server, slot } => {
                        self.worker_ready(server, slot);
                        None
                    }
                    SlotEvent::StartFailed(error) => Some(End::StartFailed(error)),
                },
                Some(request) = next_request(&mut self.control_server) => self.execute(request),
                () = reached(self.drain_at) => Some(End::Drain),
                () = self.announcer.alive() => None,
                _ = self.certificate_checks.tick() => {
                    self.check_certificates();
                    None
                }
                Some(_) = self.restarts.join_next() => None,
                // The slot was removed.
                Some(_) = self.slots.join_next() => None,
            };
            if let Some(end) = end {
                break end;
            }
            self.begin_operation();
        };
        // Before anything else ends: a new supervisor that is not ready yet must not survive.
        self.operations.abort_all().await;
        self.end(end, &mut signals).await
    }

    /// Looks for certificates that have changed or expire soon, unless a reload may change everything.
    fn check_certificates(&mut self) {
        #[cfg(feature = "tls")]
        if self.operations.running().is_none() {
            self.servers
                .iter_mut()
                .for_each(SupervisedServer::check_certificates);
        }
        #[cfg(not(feature = "tls"))]
        let Self { .. } = self;
    }

    /// Whether all servers have become ready.
    pub(super) fn is_ready(&self) -> bool {
        self.servers
            .iter()
            .all(|server| server.state.is_established())
    }

    /// A worker is ready in this slot of this server.
    fn worker_ready(&mut self, server: usize, slot: usize) {
        self.servers[server].worker_ready(slot);
        if self.is_ready() {
            if self.predecessor.is_some() {
                self.announcer.take_over();
            }
            self.announcer.started();
        }
        if self.is_ready()
            && let Some(predecessor) = self.predecessor.take()
        {
            self.take_over(predecessor);
        }
    }
}

/// Watches the files that are configured for any of the servers.
#[cfg(feature = "watch")]
fn watch_files(
    servers: &[ServerSetup],
    program: &Program,
) -> Result<Option<mpsc::Receiver<PathBuf>>, String> {
    let directories = servers.iter().flat_map(|server| server.config.watched());
    let directories: Vec<_> = directories.cloned().collect();
    if directories.is_empty() {
        return Ok(None);
    }
    crate::watch::changes(&directories, program.path()).map(Some)
}

/// Watches nothing without the feature.
#[cfg(not(feature = "watch"))]
fn watch_files(_: &[ServerSetup], _: &Program) -> Result<Option<mpsc::Receiver<PathBuf>>, String> {
    Ok(None)
}

/// The next request at the control socket.
pub(super) async fn next_request(server: &mut Option<ControlServer>) -> Option<ControlRequest> {
    server.as_mut()?.recv().await
}

/// The next changed file.
async fn next(changes: &mut Option<mpsc::Receiver<PathBuf>>) -> Option<PathBuf> {
    changes.as_mut()?.recv().await
}

/// Waits until this time, or for ever.
async fn reached(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
