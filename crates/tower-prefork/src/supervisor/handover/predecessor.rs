use std::{collections::HashMap, io};

use super::message::{MARKER, ToPredecessor, ToSuccessor};
use crate::{control::Socket, listener::Bound};

/// The supervisor that this one takes over from.
#[derive(Debug)]
pub(crate) struct Predecessor {
    socket: Socket,
    /// Where it listens, by server.
    bound: HashMap<String, Bound>,
}

impl Predecessor {
    /// The supervisor that has started this one to take over, if one has.
    pub(crate) fn inherited() -> io::Result<Option<Self>> {
        let Some(socket) = Socket::inherited(MARKER)? else {
            return Ok(None);
        };
        let mut bound = HashMap::new();
        loop {
            match socket.recv()? {
                Some((ToSuccessor::Listeners { server, addresses }, sockets)) => {
                    let addresses: Result<Vec<_>, String> =
                        addresses.iter().map(|address| address.parse()).collect();
                    let addresses = addresses.map_err(io::Error::other)?;
                    let sockets = addresses.into_iter().zip(sockets).collect();
                    bound.insert(server, Bound::inherited(sockets)?);
                }
                Some((ToSuccessor::Begin, _)) => return Ok(Some(Self { socket, bound })),
                None => return Err(io::Error::other("the supervisor before this one has ended")),
            }
        }
    }

    /// Where it listens for this server.
    pub(crate) fn bound(&self, server: &str) -> Option<&Bound> {
        self.bound.get(server)
    }

    /// This supervisor serves: the one before may go.
    pub(in crate::supervisor) fn relieve(self) {
        for bound in self.bound.values() {
            bound.own_files();
        }
        if let Err(error) = self.socket.send(&ToPredecessor::Ready, &[]) {
            tracing::warn!(%error, "the supervisor before this one has ended already");
        }
    }
}
