use std::{
    collections::HashMap,
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use super::message::{MARKER, ToPredecessor, ToSuccessor};
use crate::{control::Socket, listener::Bound, operator::ControlSocket};

/// The supervisor that this one takes over from.
#[derive(Debug)]
pub(crate) struct Predecessor {
    socket: Socket,
    /// Where it listens, by server.
    bound: HashMap<String, Bound>,
    control_socket: Option<(PathBuf, OwnedFd)>,
    has_control_socket: bool,
}

impl Predecessor {
    /// The supervisor that has started this one to take over, if one has.
    pub(crate) fn inherited() -> io::Result<Option<Self>> {
        let Some(socket) = Socket::inherited(MARKER)? else {
            return Ok(None);
        };
        let mut this = Self {
            socket,
            bound: HashMap::new(),
            control_socket: None,
            has_control_socket: false,
        };
        loop {
            match this.socket.recv()? {
                Some((ToSuccessor::Listeners { server, addresses }, sockets)) => {
                    let parse = |address: Option<String>| {
                        address.map(|address| address.parse()).transpose()
                    };
                    let addresses: Result<Vec<_>, String> =
                        addresses.into_iter().map(parse).collect();
                    let addresses = addresses.map_err(io::Error::other)?;
                    let sockets = addresses.into_iter().zip(sockets).collect();
                    this.bound.insert(server, Bound::inherited(sockets)?);
                }
                Some((ToSuccessor::ControlSocket { path }, sockets)) => {
                    this.control_socket = sockets.into_iter().next().map(|one| (path, one));
                }
                Some((ToSuccessor::Begin, _)) => return Ok(Some(this)),
                None => return Err(io::Error::other("the supervisor before this one has ended")),
            }
        }
    }

    /// Where it listens for this server.
    pub(crate) fn bound(&self, server: &str) -> Option<&Bound> {
        self.bound.get(server)
    }

    /// Whether its control socket has this path.
    pub(crate) fn has_control_socket(&self, at: &Path) -> bool {
        let socket = self.control_socket.as_ref();
        socket.is_some_and(|(path, _)| path == at)
    }

    /// Takes its control socket over, if that has this path.
    pub(in crate::supervisor) fn control_socket(&mut self, at: &Path) -> Option<ControlSocket> {
        let (path, socket) = self.control_socket.take_if(|(path, _)| path == at)?;
        match ControlSocket::inherited(&path, socket) {
            Ok(socket) => {
                self.has_control_socket = true;
                Some(socket)
            }
            Err(error) => {
                tracing::error!(%error, "cannot take the control socket over");
                None
            }
        }
    }

    /// This supervisor serves: the one before may go.
    pub(in crate::supervisor) fn relieve(self) {
        for bound in self.bound.values() {
            bound.own_files();
        }
        let ready = ToPredecessor::Ready {
            control_socket: self.has_control_socket,
        };
        if let Err(error) = self.socket.send(&ready, &[]) {
            tracing::warn!(%error, "the supervisor before this one has ended already");
        }
    }
}
