//! The bytes that the event loop is about to write to a connection.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::AsyncWrite;

/// Frames up to this size are written together with others.
const SMALL: usize = 4 << 10;

/// Whole frames, in order. The first one may be written in part.
#[derive(Debug, Default)]
pub(super) struct Output {
    chunks: VecDeque<Bytes>,
    /// The small frames after all chunks. It holds no memory while there are none.
    last: BytesMut,
    len: usize,
}

impl Output {
    /// The number of bytes.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a frame.
    pub(super) fn push(&mut self, frame: Bytes) {
        if frame.len() <= SMALL {
            return self.extend(&frame);
        }
        if !self.last.is_empty() {
            self.chunks.push_back(self.last.split().freeze());
        }
        self.len += frame.len();
        self.chunks.push_back(frame);
    }

    /// Adds the bytes of small frames.
    pub(super) fn extend(&mut self, frames: &[u8]) {
        self.len += frames.len();
        self.last.extend_from_slice(frames);
    }

    /// Writes everything, then flushes.
    pub(super) fn poll_write<I>(&mut self, io: &mut I, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        I: AsyncWrite + Unpin,
    {
        while !self.is_empty() {
            let first = self.chunks.front().map_or(&self.last[..], |chunk| chunk);
            let written = ready!(Pin::new(&mut *io).poll_write(cx, first))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
        self.last = BytesMut::new();
        Pin::new(io).poll_flush(cx)
    }

    fn advance(&mut self, written: usize) {
        self.len -= written;
        match self.chunks.front_mut() {
            Some(chunk) => {
                chunk.advance(written);
                if chunk.is_empty() {
                    self.chunks.pop_front();
                }
            }
            None => self.last.advance(written),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn frames_are_written_in_order_and_leave_no_buffer() {
        let large = Bytes::from(vec![7; SMALL + 1]);
        let mut output = Output::default();
        output.push(Bytes::from_static(b"one"));
        output.extend(b"two");
        output.push(large.clone());
        output.push(Bytes::from_static(b"three"));
        output.push(large.clone());
        output.extend(b"four");
        assert_eq!(output.len(), 15 + 2 * large.len());
        let (mut near, mut far) = duplex(1 << 20);
        let written = poll_fn(|cx| output.poll_write(&mut near, cx)).await;
        assert!(written.is_ok() && output.is_empty());
        assert_eq!(output.last.capacity(), 0);
        drop(near);
        let mut read = Vec::new();
        far.read_to_end(&mut read).await.unwrap();
        assert_eq!(
            read,
            [b"onetwo", &large[..], b"three", &large, b"four"].concat()
        );
    }

    #[tokio::test]
    async fn what_is_written_in_part_continues() {
        let (mut near, mut far) = duplex(10);
        let mut output = Output::default();
        let frame: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        output.push(frame.clone().into());
        output.push(frame[..100].to_vec().into());
        let write = async {
            let written = poll_fn(|cx| output.poll_write(&mut near, cx)).await;
            drop(near);
            written
        };
        let mut read = Vec::new();
        let (written, _) = tokio::join!(write, far.read_to_end(&mut read));
        assert!(written.is_ok());
        assert_eq!(read, [&frame[..], &frame[..100]].concat());
    }
}
