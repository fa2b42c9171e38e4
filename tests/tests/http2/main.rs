//! HTTP/2 as a client sees it, over sockets: each rule that a server can be tested for, clients of all kinds, attacks.

mod attacks;
mod case;
mod clients;
mod processes;
mod rules;

use std::{env, net::SocketAddr};

use tests::{Program, Running};

/// A server that misbehaves on request, with one worker.
fn probe(arguments: &str) -> Program {
    let program = Program::new(env!("CARGO_BIN_EXE_probe"));
    program.args(&format!("-w 1 -b 127.0.0.1:0 {arguments}"))
}

/// The server that the rules are checked against: ours, or that at the address in `HTTP2_PEER`, which may be of others.
struct Server {
    address: SocketAddr,
    _running: Option<Running>,
}

impl Server {
    fn start() -> Self {
        if let Ok(peer) = env::var("HTTP2_PEER") {
            return Self {
                address: peer.parse().expect("an address"),
                _running: None,
            };
        }
        let running = probe("").start();
        Self {
            address: running.ready(),
            _running: Some(running),
        }
    }
}
