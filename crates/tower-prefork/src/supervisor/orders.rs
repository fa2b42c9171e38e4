//! What an operator orders over the control socket.

use super::{end::End, plans::Plan, reload::Place, run::SupervisorLoop, server::Supervised};
use crate::operator::{Command, CommandOutput, ControlRequest, ControlServer, Status};

impl SupervisorLoop {
    /// Answers at the control socket, if there is one.
    pub(super) fn open_console(&mut self) -> Result<(), String> {
        let console = self
            .control_socket
            .as_ref()
            .map(ControlServer::open)
            .transpose();
        self.console =
            console.map_err(|error| format!("cannot answer at the control socket: {error}"))?;
        Ok(())
    }

    /// Does what an order asks for, and answers it, or sees to it that it is answered.
    pub(super) fn carry_out(
        &mut self,
        ControlRequest {
            command,
            result: answer,
        }: ControlRequest,
    ) -> Option<End> {
        let result = match command {
            Command::Status => Ok(CommandOutput::Status(self.status())),
            Command::Reload => {
                self.plan(Plan::Reload, Some(answer));
                return None;
            }
            Command::Upgrade => {
                self.plan(Plan::Upgrade, Some(answer));
                return None;
            }
            Command::Scale { server, workers } => self
                .server(server.as_deref())
                .and_then(|server| self.scale(server, workers))
                .map(|()| CommandOutput::Done),
            Command::Restart { server, slot } => match self.place(server.as_deref(), slot) {
                Ok(place) => {
                    self.restarts.spawn(async move {
                        let replaced = place.replace().await;
                        // An operator who has gone needs no answer.
                        let _ = answer.send(replaced.map(|()| CommandOutput::Done));
                    });
                    return None;
                }
                Err(error) => Err(error),
            },
            Command::Stop => {
                let _ = answer.send(Ok(CommandOutput::Done));
                return self.stop_asked();
            }
        };
        let _ = answer.send(result);
        None
    }

    /// Answers an order while the program ends. Whether it asks to stop once more.
    pub(super) fn refuse(
        &self,
        ControlRequest {
            command,
            result: answer,
        }: ControlRequest,
    ) -> bool {
        let result = match command {
            Command::Status => Ok(CommandOutput::Status(self.status())),
            Command::Stop => Ok(CommandOutput::Done),
            _ => Err("the server stops; nothing else is done any more".into()),
        };
        // An operator who has gone needs no answer.
        let _ = answer.send(result);
        command == Command::Stop
    }

    fn status(&self) -> Status {
        let phase = match (
            self.is_ending || self.drain_at.is_some(),
            self.is_ready(),
            self.plans.running(),
        ) {
            (true, ..) => "stopping",
            (_, false, _) => "starting",
            (_, true, None) => "ready",
            (_, true, Some(Plan::Reload)) => "reloading",
            (_, true, Some(Plan::Upgrade)) => "upgrading",
        };
        Status {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id().cast_signed(),
            phase: phase.into(),
            uptime_s: self.started.elapsed().as_secs(),
            servers: self.servers.iter().map(Supervised::status).collect(),
        }
    }

    /// The server of this name, or the only one.
    fn server(&self, name: Option<&str>) -> Result<usize, String> {
        let Some(name) = name else {
            return match self.servers.len() {
                1 => Ok(0),
                _ => Err(format!("say which server: {}", self.names())),
            };
        };
        let mut servers = self.servers.iter();
        let found = servers.position(|server| server.fleet.name == name);
        found.ok_or_else(|| format!("there is no server {name:?}; there is {}", self.names()))
    }

    fn names(&self) -> String {
        let names: Vec<_> = self
            .servers
            .iter()
            .map(|server| &*server.fleet.name)
            .collect();
        names.join(", ")
    }

    fn place(&self, server: Option<&str>, slot: usize) -> Result<Place, String> {
        let server = &self.servers[self.server(server)?];
        if !server.fleet.is_established() {
            return Err("the server has not started yet; try again when it is ready".into());
        }
        let place = server.places().nth(slot);
        place.ok_or_else(|| {
            let last = server.workers() - 1;
            format!("there is no slot {slot}; the slots are 0 to {last}")
        })
    }
}
