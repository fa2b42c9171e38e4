//! An upgraded connection, as its task drives it: its deadlines, the drain, and its end.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};

use super::{
    super::{deadlines::Timer, io::Io, load::UpgradePermit},
    Upgrade,
    frames::ControlFrame,
    socket::{SocketState, UpgradedSocket},
};
use crate::access_log::UpgradeLine;

/// Why an upgraded connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::connection) enum UpgradeEnd {
    /// The service is done with it.
    Finished,
    /// The client has left.
    Gone,
    /// The client was silent for too long.
    Idle,
    /// The client took nothing for too long.
    Stalled,
}

/// An upgraded connection. The service reads and writes by itself; this has the deadlines, and writes what the server sends.
#[derive(Debug)]
pub(in crate::connection) struct UpgradedConnection<IO: 'static> {
    socket: Arc<UpgradedSocket<IO>>,
    silence: Silence,
    /// The close frame was sent, or will be when the service's frame ends.
    is_told: bool,
    is_aborted: bool,
    line: Option<UpgradeLine>,
    _permit: UpgradePermit,
}

/// What was done about a silent client.
#[derive(Clone, Copy, Debug)]
struct Silence {
    /// When it was last known to be there.
    since: Instant,
    /// It has been sent a ping.
    is_probed: bool,
    /// The bytes that were sent to it before.
    sent: u64,
}

impl<IO> UpgradedConnection<IO>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    /// `None` if hyper has not written the response.
    pub(in crate::connection) fn begin(upgrade: Upgrade) -> Option<Self> {
        let socket = upgrade.socket?.downcast::<UpgradedSocket<IO>>().ok()?;
        let mut permit = upgrade.permit;
        permit.set_upgraded();
        let silence = Silence {
            since: Instant::now(),
            is_probed: false,
            sent: 0,
        };
        Some(Self {
            socket,
            silence,
            is_told: false,
            is_aborted: true,
            line: upgrade.line,
            _permit: permit,
        })
    }

    /// Waits for the end of the connection.
    pub(in crate::connection) fn poll_end(
        &mut self,
        idle_timeout: Duration,
        is_draining: bool,
        timer: &mut Timer,
        cx: &mut Context<'_>,
    ) -> Poll<UpgradeEnd> {
        let socket = &mut *self.socket.lock();
        socket.set_task(cx.waker());
        if is_draining && !self.is_told {
            self.is_told = true;
            socket.send(ControlFrame::GoingAway);
        }
        loop {
            match socket.poll_own(cx) {
                Poll::Ready(Ok(())) if socket.is_service_gone() => {
                    self.is_aborted = socket.is_broken;
                    return Poll::Ready(UpgradeEnd::Finished);
                }
                Poll::Ready(Err(_)) => return Poll::Ready(UpgradeEnd::Gone),
                Poll::Ready(Ok(())) | Poll::Pending => {}
            }
            ready!(timer.poll_until(self.silence.next(socket, idle_timeout), cx));
            if let Some(end) = self.silence.decide(socket, idle_timeout) {
                return Poll::Ready(end);
            }
        }
    }

    /// Ends the service's use of the socket, and gives it back.
    pub(in crate::connection) fn into_io(self) -> Option<Io<IO>> {
        self.socket.lock().take_io()
    }
}

impl Silence {
    /// The next deadline. In the first half of the `timeout` nothing is done.
    fn next<IO>(&mut self, socket: &SocketState<IO>, timeout: Duration) -> Instant {
        if socket.last_read > self.since {
            self.since = socket.last_read;
            self.is_probed = false;
            self.sent = socket.sent;
        }
        let silent = match self.is_probed || !socket.is_websocket() {
            true => timeout,
            false => timeout / 2,
        };
        let silent = self.since + silent;
        let blocked = socket.blocked_since.map(|since| since + timeout);
        blocked.map_or(silent, |blocked| silent.min(blocked))
    }

    /// What happens at the deadline.
    fn decide<IO: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        socket: &mut SocketState<IO>,
        timeout: Duration,
    ) -> Option<UpgradeEnd> {
        let now = Instant::now();
        let is_over = |since: Instant| now.saturating_duration_since(since) >= timeout;
        if socket.blocked_since.is_some_and(is_over) {
            return Some(UpgradeEnd::Stalled);
        }
        if !is_over(self.since) {
            self.is_probed = true;
            socket.send(ControlFrame::Ping);
            return None;
        }
        // A client without a ping is there while it takes what the service sends.
        let takes = socket.sent != self.sent && !socket.was_pinged();
        // What it has sent may wait for the service.
        if !takes && !socket.has_unread() {
            return Some(UpgradeEnd::Idle);
        }
        self.since = now;
        self.is_probed = false;
        self.sent = socket.sent;
        None
    }
}

impl<IO> Drop for UpgradedConnection<IO> {
    fn drop(&mut self) {
        let mut socket = self.socket.lock();
        // The service may keep its half for as long as it wants.
        drop(socket.take_io());
        if let Some(line) = self.line.take() {
            line.write(socket.sent, socket.received, self.is_aborted);
        }
    }
}
