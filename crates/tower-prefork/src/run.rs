//! Runs one server or several: [`Supervisor`], and `run` of a [`Server`].

use std::{future::Future, process::ExitCode};

use tokio::sync::watch;

use crate::{
    config::{ProgramChanges, ProgramConfig},
    control::{self, Socket},
    error::Error,
    phase::{Phase, Phases},
    server::Server,
    server_log,
    signals::StopRequest,
    start::start,
    system::open_standard_streams,
    worker,
};

/// Several servers under one supervisor.
///
/// Each has its own addresses, workers and threads. They start and stop together: if one cannot start, none does, and a stop
/// waits for the longest [`graceful_timeout`](crate::Config::graceful_timeout).
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
    /// invalid settings and changes nothing else of the program.
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

    /// Starts workers with the `argv[0]` of this program. By default it is `shop: worker 2`, for example, which `ps` shows.
    ///
    /// This is for a program that depends on the name, for example an interpreter that finds its libraries by it.
    pub fn keep_name(mut self) -> Self {
        self.keeps_name = true;
        self
    }

    /// The phase of the program, as from [`Server::phases`]: all servers are in the same phase.
    #[must_use]
    pub fn phases(&self) -> watch::Receiver<Phase> {
        self.phases.subscribe()
    }

    /// Stops this process when the future is ready. It returns the reason, which is logged.
    ///
    /// A supervisor stops as at `SIGTERM`, and so does a program without workers. A worker is replaced, and serves until its
    /// replacement is ready. Each process polls a future of its own.
    pub fn stop_when(mut self, reason: impl Future<Output = String> + Send + 'static) -> Self {
        self.stop_request = StopRequest::new(reason);
        self
    }

    /// Serves until an operator stops the program. See [`Server`] for the exit codes.
    ///
    /// An error is written to the log, and to standard error.
    #[must_use = "the exit code tells whether the servers could start"]
    pub fn run(self) -> ExitCode {
        match self.try_run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                if !error.is_in_worker() {
                    server_log::write_final(&format!("error: {error}"));
                }
                error.exit_code()
            }
        }
    }

    /// Serves until an operator stops the program, and returns the error instead of printing it.
    ///
    /// It returns in every process of the program, with `Ok` when the process was stopped. A program that prints errors
    /// should not print those of its workers, which the supervisor logs:
    ///
    /// ```no_run
    /// # use std::process::ExitCode;
    /// # use tower_prefork::Supervisor;
    /// fn run(supervisor: Supervisor) -> ExitCode {
    ///     match supervisor.try_run() {
    ///         Ok(()) => ExitCode::SUCCESS,
    ///         Err(error) => {
    ///             if !error.is_in_worker() {
    ///                 tracing::error!(%error, "cannot serve");
    ///             }
    ///             error.exit_code()
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// If the settings are invalid, or a server cannot start.
    pub fn try_run(mut self) -> Result<(), Error> {
        if let Some(first) = self.servers.first_mut() {
            first.sources.change_program(self.changes);
        }
        open_standard_streams();
        let _serving = server_log::serving();
        let socket = Socket::inherited(control::MARKER)
            .map_err(|error| Error::start(format!("a worker cannot start: {error}")))?;
        let Some(socket) = socket else {
            return start(
                self.servers,
                self.keeps_name,
                self.phases,
                self.stop_request,
            );
        };
        let applications = self.servers.into_iter();
        let applications =
            applications.filter_map(|server| Some((server.name, server.application?)));
        worker::run(applications.collect(), socket, self.stop_request).map_err(Error::worker)
    }
}

impl Server {
    /// Serves until an operator stops the program. See [`Server`] for the exit codes.
    ///
    /// An error is written to the log, and to standard error.
    #[must_use = "the exit code tells whether the server could start"]
    pub fn run(self) -> ExitCode {
        Supervisor::new().server(self).run()
    }

    /// Serves until an operator stops the program, and returns the error instead of printing it: see
    /// [`Supervisor::try_run`].
    ///
    /// # Errors
    ///
    /// If the settings are invalid, or the server cannot start.
    pub fn try_run(self) -> Result<(), Error> {
        Supervisor::new().server(self).try_run()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn invalid_settings_are_an_error_that_is_returned() {
        let error = Supervisor::new().try_run().unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no server; add one with Supervisor::server"
        );
        assert!(error.is_config() && !error.is_in_worker());

        let server = Server::new("shop").bind("nowhere");
        let server = server.service(|_| async { Ok::<_, Infallible>(axum::Router::new()) });
        let error = server.try_run().unwrap_err();
        assert!(error.is_config(), "{error}");
        assert!(error.to_string().contains("nowhere"), "{error}");
    }
}
