//! What signals and the commands at the control socket do.

use super::{
    event_loop::SupervisorLoop,
    operations::Operation,
    server::SlotHandle,
    server::SupervisedServer,
    shutdown::{End, reopen_logs},
};
use crate::{
    config::MAX_WORKERS,
    operator::{Command, CommandOutput, CommandResult, ControlRequest, ControlServer, Status},
    signals::SignalRequest,
};

/// Why a change is refused before the server is ready.
const STARTING: &str = "the server is still starting; try again when it is ready";

impl SupervisorLoop {
    /// Does what a signal asks for.
    pub(super) fn handle_signal(&mut self, request: SignalRequest) -> Option<End> {
        match request {
            SignalRequest::Reload => self.request(Operation::Reload, None),
            SignalRequest::Upgrade => self.request(Operation::Upgrade, None),
            SignalRequest::ReopenLogs => {
                let servers = self.servers.iter().map(|server| &*server.state);
                reopen_logs(servers, self.credentials.as_ref());
            }
            SignalRequest::More => self.scale_by(1),
            SignalRequest::Fewer => self.scale_by(-1),
            SignalRequest::Drain => return self.request_stop(),
            SignalRequest::Quit => return Some(End::Quit),
        }
        None
    }

    /// Serves the control socket, if there is one.
    pub(super) fn open_control_server(&mut self) -> Result<(), String> {
        let socket = self.control_socket.as_ref();
        let server = socket.map(ControlServer::open).transpose();
        self.control_server =
            server.map_err(|error| format!("cannot serve the control socket: {error}"))?;
        Ok(())
    }

    /// Carries out a command. The response is sent at once or when the operation is complete.
    pub(super) fn execute(&mut self, request: ControlRequest) -> Option<End> {
        let ControlRequest {
            command,
            result: sender,
        } = request;
        let result = match command {
            Command::Status => Ok(CommandOutput::Status(self.status())),
            Command::Reload => {
                self.request(Operation::Reload, Some(sender));
                return None;
            }
            Command::Upgrade => {
                self.request(Operation::Upgrade, Some(sender));
                return None;
            }
            Command::Scale { server, workers } => self.scale_server(server.as_deref(), workers),
            Command::Restart { server, slot } => match self.slot(server.as_deref(), slot) {
                Ok(slot) => {
                    self.restarts.spawn(async move {
                        let replaced = slot.replace().await;
                        // The client may have gone.
                        let _ = sender.send(replaced.map(|()| CommandOutput::Done));
                    });
                    return None;
                }
                Err(error) => Err(error),
            },
            Command::Stop => {
                let _ = sender.send(Ok(CommandOutput::Done));
                return self.request_stop();
            }
        };
        let _ = sender.send(result);
        None
    }

    /// Responds to a command while the program stops. Whether it is another request to stop.
    pub(super) fn execute_while_stopping(&self, request: ControlRequest) -> bool {
        let result = match request.command {
            Command::Status => Ok(CommandOutput::Status(self.status())),
            Command::Stop => Ok(CommandOutput::Done),
            _ => Err("the server is stopping".into()),
        };
        // The client may have gone.
        let _ = request.result.send(result);
        request.command == Command::Stop
    }

    fn status(&self) -> Status {
        let phase = match (
            self.is_ending || self.drain_at.is_some(),
            self.is_ready(),
            self.operations.running(),
        ) {
            (true, ..) => "stopping",
            (_, false, _) => "starting",
            (_, true, None) => "ready",
            (_, true, Some(Operation::Reload)) => "reloading",
            (_, true, Some(Operation::Upgrade)) => "upgrading",
        };
        Status {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id().cast_signed(),
            phase: phase.into(),
            uptime_s: self.started.elapsed().as_secs(),
            servers: self.servers.iter().map(SupervisedServer::status).collect(),
        }
    }

    /// Adds or removes one worker of each server.
    fn scale_by(&mut self, change: isize) {
        for index in 0..self.servers.len() {
            let workers = self.servers[index].workers().saturating_add_signed(change);
            if let Err(reason) = self.scale(index, workers) {
                tracing::warn!(reason, "the number of workers is not changed");
            }
        }
    }

    fn scale_server(&mut self, server: Option<&str>, workers: usize) -> CommandResult {
        let server = self.server(server)?;
        self.scale(server, workers)?;
        Ok(CommandOutput::Done)
    }

    pub(super) fn scale(&mut self, server: usize, workers: usize) -> Result<(), String> {
        let server = &mut self.servers[server];
        if !server.state.is_established() {
            return Err(STARTING.into());
        }
        if !(1..=MAX_WORKERS).contains(&workers) {
            return Err(format!(
                "cannot scale to {workers} workers; choose a number from 1 to {MAX_WORKERS}"
            ));
        }
        let before = server.workers();
        server.scale(workers, &mut self.slots, &self.events_sender);
        tracing::info!(server = server.state.name, before, workers, "scaled");
        Ok(())
    }

    /// The index of the server with this name, or of the only one.
    fn server(&self, name: Option<&str>) -> Result<usize, String> {
        let names: Vec<_> = self.servers.iter().map(|one| &*one.state.name).collect();
        match (name, &*names) {
            (None, [_]) => Ok(0),
            (None, _) => Err(format!(
                "the program has several servers; choose one of {}",
                names.join(", ")
            )),
            (Some(name), _) => names
                .iter()
                .position(|other| *other == name)
                .ok_or_else(|| {
                    format!(
                        "unknown server {name:?}; choose one of {}",
                        names.join(", ")
                    )
                }),
        }
    }

    fn slot(&self, server: Option<&str>, slot: usize) -> Result<SlotHandle, String> {
        let server = &self.servers[self.server(server)?];
        if !server.state.is_established() {
            return Err(STARTING.into());
        }
        server.slots().nth(slot).ok_or_else(|| {
            let last = server.workers() - 1;
            format!("unknown slot {slot}; choose a number from 0 to {last}")
        })
    }
}
