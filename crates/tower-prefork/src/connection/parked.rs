use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};

use super::{call::Calls, io::Io};

/// Most requests fit into it.
const FIRST_READ: usize = 1 << 10;

/// An idle connection without hyper, which keeps a buffer of 8 KiB for what the client may send.
#[derive(Debug)]
pub(super) struct Parked<IO, S> {
    pub(super) io: Io<IO>,
    pub(super) calls: Calls<S>,
}

impl<IO: AsyncRead + Unpin, S> Parked<IO, S> {
    /// Waits until the client sends something, which `io` gives again, or until it has gone.
    pub(super) fn poll_arrival(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut bytes = [0; FIRST_READ];
        let mut bytes = ReadBuf::new(&mut bytes);
        // An error is an end, too, and the next read gives one.
        let _ = ready!(Pin::new(&mut self.io).poll_read(cx, &mut bytes));
        self.io.unread(Bytes::copy_from_slice(bytes.filled()));
        Poll::Ready(())
    }
}
