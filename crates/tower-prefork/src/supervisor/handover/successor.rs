use std::{io, os::fd::AsFd, sync::Arc, time::Duration};

use tokio::{process::Child, time::timeout};

use super::message::{MARKER, ToPredecessor, ToSuccessor};
use crate::{
    control::Socket,
    listener::{Bound, Listener},
    operator::ControlSocket,
    supervisor::{cause, channel::Channel, program::Program},
};

/// The supervisor that is to take over from this one. Until it has, it ends with this value.
#[derive(Debug)]
pub(in crate::supervisor) struct Successor {
    child: Child,
    channel: Channel<ToPredecessor>,
    has_taken_over: bool,
    has_control_socket: bool,
}

/// Starts a new supervisor, and hands it the listeners of all servers.
pub(in crate::supervisor) fn start(
    program: &Program,
    servers: &[(String, Arc<Bound>)],
    control_socket: Option<&ControlSocket>,
) -> io::Result<Successor> {
    let (socket, theirs) = Socket::pair()?;
    for (server, bound) in servers {
        let address = |listener: &Listener| listener.address().map(ToString::to_string);
        let listeners = ToSuccessor::Listeners {
            server: server.clone(),
            addresses: bound.listeners.iter().map(address).collect(),
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
    Ok(Successor {
        channel: Channel::new(socket)?,
        child: program.start_again(MARKER, theirs)?,
        has_taken_over: false,
        has_control_socket: false,
    })
}

impl Successor {
    /// Waits until it serves. The error is the reason why it does not, and it has ended then.
    pub(in crate::supervisor) async fn ready(mut self, limit: Duration) -> Result<Self, String> {
        let outcome = timeout(limit, async {
            tokio::select! {
                biased;
                ToPredecessor::Ready { control_socket } = self.channel.recv() => Ok(control_socket),
                status = self.child.wait() => Err(match status {
                    Ok(status) => format!("the new supervisor {}", cause::describe(status, || false)),
                    Err(error) => format!("cannot learn how the new supervisor ended: {error}"),
                }),
            }
        });
        let outcome = outcome.await.unwrap_or_else(|_| {
            let limit = limit.as_secs_f64();
            Err(format!(
                "the new supervisor is not ready within {limit} seconds"
            ))
        });
        match outcome {
            Ok(has_control_socket) => {
                self.has_taken_over = true;
                self.has_control_socket = has_control_socket;
                Ok(self)
            }
            Err(reason) => {
                // It may be there still, and two must not serve.
                let _ = self.child.kill().await;
                Err(reason)
            }
        }
    }

    /// Whether it has taken the control socket over as well.
    pub(in crate::supervisor) fn has_control_socket(&self) -> bool {
        self.has_control_socket
    }

    pub(in crate::supervisor) fn pid(&self) -> Option<u32> {
        self.child.id()
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        if !self.has_taken_over {
            // It may have ended by itself.
            let _ = self.child.start_kill();
        }
    }
}
