use std::task::{Context, Poll};

use tokio::io::AsyncRead;

use super::{call::Calls, io::Io};

/// An idle connection without hyper, which keeps a buffer of 8 KiB for what the client may send.
#[derive(Debug)]
pub(super) struct Parked<IO, S> {
    pub(super) io: Io<IO>,
    pub(super) calls: Calls<S>,
}

impl<IO: AsyncRead + Unpin, S> Parked<IO, S> {
    /// Waits until the client sends something, which `io` gives again, or until it has gone.
    pub(super) fn poll_arrival(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // An error is an end, too, and the next read gives one.
        self.io.poll_ahead(cx).map(drop)
    }
}
