//! The IO between the socket and h2, which ends the connection of a client that sends too many frames.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::coop::poll_proceed,
    time::Instant,
};

use super::{
    frames::{FrameHeads, HEAD, kind},
    limits::{FrameFault, FrameLimits},
    report::report,
};

/// A turn of the task lasts for 128 steps, of which a read is one. Each HEADERS frame is one more, and this number of other
/// frames: other connections wait for the end of the turn.
const FRAMES_PER_STEP: u32 = 4;

/// IO on which the frames of a client are counted. Beyond the limits, reads fail.
#[derive(Debug)]
pub(in super::super) struct Guarded<IO> {
    inner: IO,
    received: FrameHeads,
    sent: FrameHeads,
    limits: FrameLimits,
    fault: Option<FrameFault>,
}

impl<IO> Guarded<IO> {
    pub(in super::super) fn new(inner: IO) -> Self {
        Self {
            inner,
            received: FrameHeads::of_client(),
            sent: FrameHeads::of_server(),
            limits: FrameLimits::new(Instant::now()),
            fault: None,
        }
    }

    /// Returns the steps that the frames take.
    fn count_received(&mut self, bytes: &[u8]) -> Result<u32, FrameFault> {
        let (limits, fault) = (&mut self.limits, &mut self.fault);
        let (mut requests, mut others) = (0, 0);
        self.received.advance(bytes, |frame| {
            match frame.kind {
                kind::HEADERS => requests += 1,
                _ => others += 1,
            }
            if fault.is_none() {
                *fault = limits.count_received(frame).err();
            }
        });
        fault.map_or(Ok(requests + others / FRAMES_PER_STEP), Err)
    }

    fn count_sent(&mut self, bytes: &[u8]) {
        let limits = &mut self.limits;
        self.sent.advance(bytes, |frame| limits.count_sent(frame));
    }

    fn go_away(&self, fault: FrameFault) -> Vec<u8> {
        let text = fault.text().as_bytes();
        let length = 8 + text.len() as u32;
        let mut frame = Vec::with_capacity(HEAD + length as usize);
        frame.extend(&length.to_be_bytes()[1..]);
        frame.extend([kind::GOAWAY, 0, 0, 0, 0, 0]);
        frame.extend(self.limits.last_stream().to_be_bytes());
        frame.extend(fault.code().to_be_bytes());
        frame.extend(text);
        frame
    }
}

impl<IO: AsyncWrite + Unpin> Guarded<IO> {
    /// Says why, if the socket takes it at once and the client can read it as a frame.
    fn end(&mut self, fault: FrameFault, cx: &mut Context<'_>) -> io::Error {
        report(fault);
        if self.sent.is_at_boundary() {
            let frame = self.go_away(fault);
            // There is no other use for the connection.
            let _ = Pin::new(&mut self.inner).poll_write(cx, &frame);
        }
        error(fault)
    }
}

/// Brings the end of the task's turn nearer.
fn use_steps(steps: u32, cx: &mut Context<'_>) {
    for _ in 0..steps {
        match poll_proceed(cx) {
            Poll::Ready(step) => step.made_progress(),
            Poll::Pending => break,
        }
    }
}

fn error(fault: FrameFault) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, fault.text())
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guarded<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(fault) = this.fault {
            return Poll::Ready(Err(error(fault)));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
        Poll::Ready(match this.count_received(&buf.filled()[before..]) {
            Ok(steps) => {
                use_steps(steps, cx);
                Ok(())
            }
            Err(fault) => {
                buf.set_filled(before);
                Err(this.end(fault, cx))
            }
        })
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<IO> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.inner).poll_write(cx, buf))?;
        this.count_sent(&buf[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.inner).poll_write_vectored(cx, bufs))?;
        let mut rest = written;
        for buf in bufs {
            let taken = buf.len().min(rest);
            this.count_sent(&buf[..taken]);
            rest -= taken;
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::{
        super::frames::{PREFACE, tests::frame},
        *,
    };

    const PING: u8 = 6;

    fn pings(count: usize) -> Vec<u8> {
        frame(PING, 0, 0, 8).repeat(count)
    }

    async fn connected() -> (DuplexStream, Guarded<DuplexStream>) {
        let (mut client, server) = duplex(1 << 20);
        client.write_all(PREFACE).await.unwrap();
        client.write_all(&frame(4, 0, 0, 0)).await.unwrap();
        (client, Guarded::new(server))
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_ends_in_goaway() {
        let (mut client, mut server) = connected().await;
        client.write_all(&frame(1, 5, 9, 3)).await.unwrap();
        client.write_all(&pings(990)).await.unwrap();
        let allowed = PREFACE.len() + 9 + 12 + 17 * 990;
        let mut bytes = vec![0; allowed];
        server.read_exact(&mut bytes).await.unwrap();
        client.write_all(&pings(1)).await.unwrap();
        for _ in 0..2 {
            let error = server.read(&mut bytes).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
        }
        drop(server);
        let mut sent = Vec::new();
        client.read_to_end(&mut sent).await.unwrap();
        let text = b"too many frames without a request or data";
        let mut expected = vec![0, 0, 8 + text.len() as u8, 7, 0, 0, 0, 0, 0];
        expected.extend([0, 0, 0, 9, 0, 0, 0, 11]);
        expected.extend(text);
        assert_eq!(sent, expected, "once, and whole");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_put_into_a_frame_of_the_server() {
        let (mut client, mut server) = connected().await;
        let data = frame(0, 0, 1, 100);
        server.write_all(&data[..50]).await.unwrap();
        client.write_all(&pings(1003)).await.unwrap();
        let mut bytes = Vec::new();
        let error = server.read_to_end(&mut bytes).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
        drop(server);
        let mut sent = Vec::new();
        client.read_to_end(&mut sent).await.unwrap();
        assert_eq!(sent, data[..50]);
    }

    #[tokio::test(start_paused = true)]
    async fn responses_in_one_write_of_many_pieces_are_progress() {
        let (mut client, mut server) = connected().await;
        let mut bytes = vec![0; 1 << 16];
        for _ in 0..10 {
            client.write_all(&pings(900)).await.unwrap();
            let mut left = 900_usize * 17;
            while left > 0 {
                left = left.saturating_sub(server.read(&mut bytes).await.unwrap());
            }
            let data = frame(0, 0, 1, 16_384);
            let pieces = [&data[..5], &data[5..40], &data[40..]];
            for _ in 0..30 {
                let slices = pieces.map(io::IoSlice::new);
                let written = server.write_vectored(&slices).await.unwrap();
                server.write_all(&data[written..]).await.unwrap();
            }
            client
                .read_exact(&mut vec![0; 30 * data.len()])
                .await
                .unwrap();
        }
    }
}
