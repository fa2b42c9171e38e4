//! An upgrade: how one supervisor takes over from another.
//!
//! ```text
//! the old one                                the new one: the program executed again, as it was found
//!   sends its listeners  ────────────────────>   takes those that its configuration names, binds the rest
//!   keeps serving                                starts its workers
//!                        <────────────────────   all are ready: it serves, and owns the socket files
//!   retires its workers, and exits
//! ```
//!
//! Until the new one is ready the old one gives nothing up: if the new one ends, or is late, the old one keeps serving. If
//! the old one dies, the new one continues without it.

use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    process,
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{process::Child, time::timeout};

use super::{
    event_loop::SupervisorLoop, exit_cause::describe_exit, operations::OperationOutcome,
    program::Program, server_state::ServerState,
};
use crate::{
    config::Config,
    control::{Channel, Socket},
    listener::{Bound, Listener},
    operator::ControlSocket,
    system::PidFile,
};

/// How long a new supervisor may take to become ready, in addition to the start timeout of its workers.
const UPGRADE_GRACE: Duration = Duration::from_secs(10);

/// The environment variable that marks a new supervisor. A program that it starts inherits it, but not the socket.
pub(super) const MARKER: &str = "TOWER_PREFORK_UPGRADE";

/// A message of the old supervisor to the new one.
#[derive(Debug, Serialize, Deserialize)]
enum ToSuccessor {
    /// The addresses of a server as the operator has written them; `None` for a socket that the service manager has passed.
    /// The sockets come with it, in the same order.
    Listeners {
        server: String,
        addresses: Vec<Option<String>>,
        /// The keys of its TLS tickets, with which clients resume their sessions.
        #[serde(default)]
        ticket_keys: Option<serde_json::Value>,
    },
    /// The control socket comes with it.
    ControlSocket { path: PathBuf },
    /// That was the last message.
    Begin,
}

/// A message of the new supervisor to the old one.
#[derive(Debug, Serialize, Deserialize)]
enum ToPredecessor {
    /// It serves. `control_socket`: whether it has taken over the control socket.
    Ready { control_socket: bool },
}

/// The supervisor that this one takes over from.
#[derive(Debug)]
pub(crate) struct Predecessor {
    socket: Socket,
    /// Its listeners, by server.
    bound: HashMap<String, Bound>,
    /// The keys of its TLS tickets, by server.
    ticket_keys: HashMap<String, serde_json::Value>,
    control_socket: Option<(PathBuf, OwnedFd)>,
    has_control_socket: bool,
}

impl Predecessor {
    /// The supervisor that has started this one to take over, if any.
    pub(crate) fn inherited() -> io::Result<Option<Self>> {
        let Some(socket) = Socket::inherited(MARKER)? else {
            return Ok(None);
        };
        let mut this = Self {
            socket,
            bound: HashMap::new(),
            ticket_keys: HashMap::new(),
            control_socket: None,
            has_control_socket: false,
        };
        loop {
            match this.socket.recv()? {
                Some((
                    ToSuccessor::Listeners {
                        server,
                        addresses,
                        ticket_keys,
                    },
                    sockets,
                )) => {
                    let parse = |address: Option<String>| {
                        address.map(|address| address.parse()).transpose()
                    };
                    let addresses: Result<Vec<_>, String> =
                        addresses.into_iter().map(parse).collect();
                    let addresses = addresses.map_err(io::Error::other)?;
                    let sockets = addresses.into_iter().zip(sockets).collect();
                    let keys = ticket_keys.map(|keys| (server.clone(), keys));
                    this.ticket_keys.extend(keys);
                    this.bound.insert(server, Bound::inherited(sockets)?);
                }
                Some((ToSuccessor::ControlSocket { path }, sockets)) => {
                    this.control_socket = sockets.into_iter().next().map(|one| (path, one));
                }
                Some((ToSuccessor::Begin, _)) => return Ok(Some(this)),
                None => return Err(io::Error::other("the previous supervisor has ended")),
            }
        }
    }

    /// Its listeners for this server.
    pub(crate) fn bound(&self, server: &str) -> Option<&Bound> {
        self.bound.get(server)
    }

    /// Lets the server use the keys of its TLS tickets.
    #[cfg(feature = "tls")]
    pub(crate) fn give_ticket_keys(&self, server: &str, config: &mut Config) {
        let keys = self.ticket_keys.get(server).cloned();
        let keys = keys.and_then(|keys| serde_json::from_value(keys).ok());
        if let (Some(tls), Some(keys)) = (&mut config.tls, keys) {
            tls.set_ticket_keys(keys);
        }
    }

    /// Whether its control socket has this path.
    pub(crate) fn has_control_socket(&self, at: &Path) -> bool {
        let socket = self.control_socket.as_ref();
        socket.is_some_and(|(path, _)| path == at)
    }

    /// Takes over its control socket, if that has this path.
    fn control_socket(&mut self, at: &Path) -> Option<ControlSocket> {
        let (path, socket) = self.control_socket.take_if(|(path, _)| path == at)?;
        match ControlSocket::inherited(&path, socket) {
            Ok(socket) => {
                self.has_control_socket = true;
                Some(socket)
            }
            Err(error) => {
                tracing::error!(%error, "cannot take over the control socket");
                None
            }
        }
    }

    /// This supervisor serves: the previous one may retire.
    fn relieve(self) {
        for bound in self.bound.values() {
            bound.own_files();
        }
        let ready = ToPredecessor::Ready {
            control_socket: self.has_control_socket,
        };
        if let Err(error) = self.socket.send(&ready, &[]) {
            tracing::warn!(%error, "the previous supervisor has already ended");
        }
    }
}

/// The supervisor that is to take over from this one. Until it has, it is killed on drop.
#[derive(Debug)]
pub(super) struct Successor {
    child: Child,
    channel: Channel<ToPredecessor>,
    has_taken_over: bool,
    has_control_socket: bool,
}

impl Successor {
    /// Starts a new supervisor, and sends it the listeners of all servers.
    fn start(
        program: &Program,
        servers: &[(Arc<ServerState>, Arc<Bound>)],
        control_socket: Option<&ControlSocket>,
    ) -> io::Result<Self> {
        let (socket, theirs) = Socket::pair()?;
        for (server, bound) in servers {
            let address = |listener: &Listener| listener.address().map(ToString::to_string);
            let listeners = ToSuccessor::Listeners {
                server: server.name.clone(),
                addresses: bound.listeners.iter().map(address).collect(),
                ticket_keys: ticket_keys(&server.config()),
            };
            let sockets: Vec<_> = bound.listeners.iter().map(AsFd::as_fd).collect();
            socket.send(&listeners, &sockets)?;
        }
        if let Some(control_socket) = control_socket {
            let path = control_socket.path().to_owned();
            let message = ToSuccessor::ControlSocket { path };
            socket.send(&message, &[control_socket.as_fd()])?;
        }
        socket.send(&ToSuccessor::Begin, &[])?;
        Ok(Self {
            channel: Channel::new(socket)?,
            child: program.start_again(MARKER, theirs)?,
            has_taken_over: false,
            has_control_socket: false,
        })
    }

    /// Waits until it serves. With an error it has ended.
    pub(super) async fn ready(mut self, limit: Duration) -> Result<Self, String> {
        let outcome = timeout(limit, async {
            tokio::select! {
                biased;
                ToPredecessor::Ready { control_socket } = self.channel.recv() => Ok(control_socket),
                status = self.child.wait() => Err(match status {
                    Ok(status) => format!("the new supervisor {}", describe_exit(status, || false)),
                    Err(error) => format!("cannot determine how the new supervisor ended: {error}"),
                }),
            }
        });
        let outcome = outcome.await.unwrap_or_else(|_| {
            let limit = limit.as_secs_f64();
            Err(format!(
                "the new supervisor was not ready within {limit} seconds"
            ))
        });
        match outcome {
            Ok(has_control_socket) => {
                self.has_taken_over = true;
                self.has_control_socket = has_control_socket;
                Ok(self)
            }
            Err(reason) => {
                // It may still be alive, and only one may serve.
                let _ = self.child.kill().await;
                Err(reason)
            }
        }
    }

    /// Whether it has taken over the control socket as well.
    pub(super) fn has_control_socket(&self) -> bool {
        self.has_control_socket
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }
}

/// The keys of the TLS tickets, if there are any.
fn ticket_keys(config: &Config) -> Option<serde_json::Value> {
    #[cfg(feature = "tls")]
    {
        let material = config.tls.as_ref()?.material()?;
        serde_json::to_value(material.ticket_keys()?).ok()
    }
    #[cfg(not(feature = "tls"))]
    {
        let Config { .. } = config;
        None
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        if !self.has_taken_over {
            // It may have ended already.
            let _ = self.child.start_kill();
        }
    }
}

impl SupervisorLoop {
    /// Starts a new supervisor.
    pub(super) fn begin_upgrade(&mut self) -> Result<(), String> {
        if process::id() == 1 {
            return Err(
                "this is process 1, and the container would end with it; start a new container instead"
                    .into(),
            );
        }
        let servers = self.servers.iter();
        let bound = servers.map(|server| (server.state.clone(), server.bound.clone()));
        let bound: Vec<_> = bound.collect();
        let successor = Successor::start(&self.program, &bound, self.control_socket.as_ref())
            .map_err(|error| format!("cannot start a new supervisor: {error}"))?;
        tracing::info!(
            pid = successor.pid(),
            "upgrading: a new supervisor starts and takes over when it is ready"
        );
        let limits = self
            .servers
            .iter()
            .map(|server| server.state.config().start_timeout);
        let limit = limits.max().unwrap_or_default() + UPGRADE_GRACE;
        self.operations.run(async move {
            OperationOutcome::Upgraded(successor.ready(limit).await.map(Box::new))
        });
        Ok(())
    }

    /// This supervisor serves: takes over what belongs to the whole program.
    pub(super) fn take_over(&mut self, mut predecessor: Predecessor) {
        let pid_file = self.config.pid_file.as_deref();
        match pid_file.map(PidFile::take_over).transpose() {
            Ok(pid_file) => self.pid_file = pid_file,
            Err(error) => tracing::error!(error, "cannot take over the pid file"),
        }
        if let Some(path) = &self.config.control_socket
            && let Some(socket) = predecessor.control_socket(path)
        {
            self.control_socket = Some(socket);
            if let Err(error) = self.open_control_server() {
                tracing::error!(error, "cannot take over the control socket");
            }
        }
        predecessor.relieve();
    }
}
