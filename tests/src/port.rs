use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    os::fd::OwnedFd,
};

use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket, sockopt};

/// A port of 127.0.0.1 that the kernel gives to nobody else: for a program that cannot take a free one by itself, or
/// that starts again on the one that it had.
#[derive(Debug)]
pub struct Port {
    /// Does not listen, so that a program may, which sets `SO_REUSEADDR` as servers do.
    _socket: OwnedFd,
    address: SocketAddr,
}

impl Port {
    /// Takes a free one.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    pub fn take() -> Self {
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
        sockopt::set_socket_reuseaddr(&socket, true).expect("a socket can share its address");
        bind(&socket, &address).expect("a free port");
        let address = getsockname(&socket).expect("the socket is bound");
        Self {
            _socket: socket,
            address: address.try_into().expect("an address of TCP"),
        }
    }

    /// The address to listen on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
