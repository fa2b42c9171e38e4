//! One connection.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};

use crate::{
    tally::{Connection, Fault},
    websocket::{Sender, frame},
};

/// The end of a WebSocket: code 1000, masked with zeroes.
const CLOSE: [u8; 8] = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8];

/// The message as it is sent, and as it comes back. Others, such as a ping, are faults: a round is too short for them.
#[derive(Clone)]
pub(crate) struct Frames {
    sent: Arc<[u8]>,
    received: Arc<[u8]>,
}

impl Frames {
    pub(crate) fn of(message: &[u8]) -> Self {
        Self {
            sent: frame(message, Sender::Client).into(),
            received: frame(message, Sender::Server).into(),
        }
    }
}

/// Sends messages until `end`, the next when the last has come back.
pub(crate) async fn echo(
    stream: TcpStream,
    frames: Frames,
    end: Instant,
    patience: Duration,
) -> Connection {
    let mut connection = Connection::default();
    let messages = messages(&stream, &frames, end, &mut connection);
    connection.fault = match timeout_at(end + patience, messages).await {
        Ok(Ok(())) => None,
        Ok(Err(fault)) => Some(fault),
        Err(_) => Some(Fault::Timeout),
    };
    // The server may have closed it.
    let _ = stream.try_write(&CLOSE);
    connection
}

async fn messages(
    stream: &TcpStream,
    frames: &Frames,
    end: Instant,
    connection: &mut Connection,
) -> Result<(), Fault> {
    let mut received = vec![0; frames.received.len()];
    let mut sent_at = Instant::now();
    while sent_at < end {
        write(stream, &frames.sent)
            .await
            .map_err(|_| Fault::Write)?;
        read(stream, &mut received).await.map_err(|_| Fault::Read)?;
        if received != *frames.received {
            return Err(Fault::Status);
        }
        let now = Instant::now();
        if now < end {
            connection.round_trip(now - sent_at, frames.received.len());
        }
        sent_at = now;
    }
    Ok(())
}

async fn write(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match stream.try_write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => stream.writable().await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn read(stream: &TcpStream, mut bytes: &mut [u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.readable().await?;
        match stream.try_read(bytes) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => bytes = &mut bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
