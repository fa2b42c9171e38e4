//! Several applications: [`Supervisor`].

use std::{future::Future, process::ExitCode};

use tokio::sync::watch;

use crate::{
    Phase, ProgramConfig, Server,
    config::ProgramChanges,
    control::{self, Socket},
    phase::Phases,
    server_log,
    start::{Failure, start},
    stop_request::StopRequest,
    system::open_standard_streams,
    worker,
};

/// Several servers under one supervisor.
///
/// Each has its own addresses, workers and threads. They start and stop together: when one
/// cannot start, none does, and a stop waits for the longest
/// [`graceful_timeout`](crate::Config::graceful_timeout).
#[derive(Debug, Default)]
#[must_use = "a supervisor does nothing until it runs"]
pub struct Supervisor {
    servers: Vec<Server>,
    keeps_name: bool,
    phases: Phases,
    stop_request: StopRequest,
    changes: ProgramChanges,
}

impl Supervisor {
    /// A supervisor without servers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a server. Their names must differ.
    pub fn server(mut self, server: Server) -> Self {
        self.servers.push(server);
        self
    }

    /// Changes the settings of the whole program. The configuration files and the command lines of its servers
    /// override it.
    ///
    /// It is called in the supervisor alone, at the start and again at each [reload](Server#reload), which refuses
    /// wrong settings and changes nothing else of the program.
    ///
    /// ```
    /// # use tower_prefork::Supervisor;
    /// let supervisor = Supervisor::new().configure(|program| {
    ///     program.pid_file = Some("/run/shop.pid".into());
    ///     program.umask = Some(0o027);
    /// });
    /// ```
    pub fn configure(mut self, change: impl Fn(&mut ProgramConfig) + 'static) -> Self {
        self.changes.push(change);
        self
    }

    /// Starts workers under the name that this program was called by: their `argv[0]`. Without it that is
    /// `shop: worker 2`, so that `ps` tells them apart.
    ///
    /// For a program that looks at the name: an interpreter, for example, finds its libraries by it.
    pub fn keep_name(mut self) -> Self {
        self.keeps_name = true;
        self
    }

    /// What the program is doing, from now on, as [`Server::phases`] tells it: all servers are in one phase.
    #[must_use]
    pub fn phases(&self) -> watch::Receiver<Phase> {
        self.phases.subscribe()
    }

    /// Stops this process for a reason that the program itself has: what `reason` gives.
    ///
    /// A supervisor stops as at `SIGTERM`, and so does a program without workers. A worker is replaced: the next one
    /// is ready before it takes its last requests. The log tells the reason. Each process has its own: `reason` is
    /// polled in all of them.
    pub fn stop_when(mut self, reason: impl Future<Output = String> + Send + 'static) -> Self {
        self.stop_request = StopRequest::new(reason);
        self
    }

    /// Serves until an operator stops the program. See [`Server`] for the exit codes.
    #[must_use = "the exit code tells whether the servers could start"]
    pub fn run(mut self) -> ExitCode {
        if let Some(first) = self.servers.first_mut() {
            first.sources.change_program(self.changes);
        }
        open_standard_streams();
        let _serving = server_log::serving();
        match Socket::inherited(control::MARKER) {
            Ok(Some(socket)) => worker::run(self.servers, socket, self.stop_request),
            Ok(None) => {
                let started = start(
                    self.servers,
                    self.keeps_name,
                    self.phases,
                    self.stop_request,
                );
                match started {
                    Ok(()) => ExitCode::SUCCESS,
                    Err(failure) => failure.report(),
                }
            }
            Err(error) => Failure::of_start(format!("a worker cannot start: {error}")).report(),
        }
    }
}
