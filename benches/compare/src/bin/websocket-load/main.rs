//! The load over WebSocket, on one thread: each connection sends its next message when it has the last one back.
//!
//! usage: `websocket-load ADDRESS CONNECTIONS SECONDS BYTES`
//!
//! It prints what `load.lua` makes `wrk` print. Messages are counted as requests.

mod echo;
mod tally;
#[path = "../../websocket.rs"]
mod websocket;

use std::{env, error::Error, net::SocketAddr, time::Duration};

use tokio::{net::TcpStream, runtime::Builder, task::JoinSet, time::Instant};

use crate::{
    echo::{Frames, echo},
    tally::{Fault, Tally},
};

/// For the handshake of one connection, and for the last message of each to come back.
const PATIENCE: Duration = Duration::from_secs(2);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [address, connections, seconds, bytes] = &arguments[..] else {
        return Err("usage: websocket-load ADDRESS CONNECTIONS SECONDS BYTES".into());
    };
    let (address, connections) = (address.parse()?, connections.parse()?);
    let duration = Duration::from_secs(seconds.parse()?);
    let frames = Frames::of(&vec![b'x'; bytes.parse()?]);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let tally = runtime.block_on(load(address, connections, duration, frames));
    println!("{}", serde_json::to_string(&tally.report())?);
    Ok(())
}

async fn load(
    address: SocketAddr,
    connections: usize,
    duration: Duration,
    frames: Frames,
) -> Tally {
    let mut tally = Tally::default();
    let mut open = Vec::with_capacity(connections);
    for _ in 0..connections {
        match connect(address) {
            Ok(stream) => open.push(stream),
            Err(fault) => {
                tally.add(fault.into());
                // The others would take as long.
                if fault == Fault::Timeout {
                    break;
                }
            }
        }
    }
    let begin = Instant::now();
    let end = begin + duration;
    let mut tasks: JoinSet<_> = open
        .into_iter()
        .map(|stream| echo(stream, frames.clone(), end, PATIENCE))
        .collect();
    while let Some(ended) = tasks.join_next().await {
        tally.add(ended.unwrap_or_default());
    }
    tally.took(duration);
    tally
}

/// A connection after the handshake.
fn connect(address: SocketAddr) -> Result<TcpStream, Fault> {
    let open = || {
        let mut stream = websocket::connect(address, PATIENCE)?;
        websocket::ask(&mut stream)?;
        let status = websocket::status(&mut stream)?;
        stream.set_nonblocking(true)?;
        Ok((status, TcpStream::from_std(stream)?))
    };
    match open() {
        Ok((101, stream)) => Ok(stream),
        Ok(_) => Err(Fault::Status),
        Err(error) => Err(Fault::connect(&error)),
    }
}
