use std::{io, os::fd::AsFd, sync::Arc, time::Duration};

use tokio::{process::Child, time::timeout};

use super::message::{MARKER, ToPredecessor, ToSuccessor};
use crate::{
    control::Socket,
    listener::{Bound, Listener},
    supervisor::{cause, channel::Channel, program::Program},
};

/// The supervisor that is to take over from this one. Until it has, it ends with this value.
#[derive(Debug)]
pub(in crate::supervisor) struct Successor {
    child: Child,
    channel: Channel<ToPredecessor>,
    has_taken_over: bool,
}

/// Starts a new supervisor, and hands it the listeners of all servers.
pub(in crate::supervisor) fn start(
    program: &Program,
    servers: &[(String, Arc<Bound>)],
) -> io::Result<Successor> {
    let (socket, theirs) = Socket::pair()?;
    for (server, bound) in servers {
        let address = |listener: &Listener| listener.address().map(ToString::to_string);
        let listeners = ToSuccessor::Listeners {
            server: server.clone(),
            addresses: bound.listeners.iter().filter_map(address).collect(),
        };
        let sockets: Vec<_> = bound.listeners.iter().map(AsFd::as_fd).collect();
        socket.send(&listeners, &sockets)?;
    }
    socket.send(&ToSuccessor::Begin, &[])?;
    Ok(Successor {
        channel: Channel::new(socket)?,
        child: program.start_again(MARKER, theirs)?,
        has_taken_over: false,
    })
}

impl Successor {
    /// Waits until it serves. The error is the reason why it does not, and it has ended then.
    pub(in crate::supervisor) async fn ready(mut self, limit: Duration) -> Result<Self, String> {
        let outcome = timeout(limit, async {
            tokio::select! {
                biased;
                ToPredecessor::Ready = self.channel.recv() => Ok(()),
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
            Ok(()) => {
                self.has_taken_over = true;
                Ok(self)
            }
            Err(reason) => {
                // It may be there still, and two must not serve.
                let _ = self.child.kill().await;
                Err(reason)
            }
        }
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
