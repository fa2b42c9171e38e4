//! The deadlines of a connection, on one timer.

use std::{
    future::Future,
    pin::{Pin, pin},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use tokio::{
    task::unconstrained,
    time::{Instant, Sleep},
};

use super::{handle::ConnectionHandle, state::ConnectionState, table::WaitsFor};
use crate::Http;

/// The least time that a new connection has to send its first request when the worker drains.
const NEW_IN_DRAIN: Duration = Duration::from_secs(1);

/// How long a connection waits for its next request in hyper's hands. Then it is checked, and idle.
const IDLE_AFTER: Duration = Duration::from_secs(1);

/// How long an idle connection of HTTP/2 stays open after GOAWAY, for the client to learn of it.
const LEAVE: Duration = Duration::from_secs(2);

/// How often a client that has closed its sending side is checked for having left.
const CHECK_AFTER: Duration = Duration::from_secs(1);

/// The deadlines of a connection, but for that of a response, which its exchange has.
#[derive(Debug)]
pub(super) struct Deadlines {
    phase: Phase,
    /// The requests at the last observation.
    requests: u64,
    stalled_write: Option<StalledWrite>,
    drain: Option<Drain>,
    /// When to check a client that has closed its sending side.
    check: Option<Instant>,
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The first request; nothing of it has come.
    New { since: Instant },
    /// The rest of a request head.
    Head { since: Instant },
    /// The next request. hyper may hold its beginning, which is checked once; `read` is the count of bytes at the begin of
    /// the phase.
    Idle {
        since: Instant,
        read: u64,
        is_checked: bool,
    },
    /// An exchange: the server's turn.
    Exchange,
}

/// The worker is to stop.
#[derive(Clone, Copy, Debug)]
struct Drain {
    since: Instant,
    /// How long an idle connection may wait for its last request.
    idle: Duration,
}

/// The client does not take the bytes after `written`.
#[derive(Clone, Copy, Debug)]
struct StalledWrite {
    written: u64,
    since: Instant,
}

/// Which time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeoutKind {
    /// That for the client to send the rest of a request head, or its next request.
    Request,
    /// That for the client to take something of the response.
    Write,
}

/// What a deadline asks for.
#[derive(Clone, Copy, Debug)]
pub(super) enum DeadlineEvent {
    /// The end of the connection.
    TimedOut(TimeoutKind),
    /// A check whether the client has left.
    CheckClient,
}

impl Deadlines {
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::New {
                since: Instant::now(),
            },
            requests: 0,
            stalled_write: None,
            drain: None,
            check: None,
        }
    }

    /// Whether the client is to send its next request.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle { .. })
    }

    /// Whether the client is to send something.
    pub(super) fn is_waiting(&self) -> bool {
        !matches!(self.phase, Phase::Exchange)
    }

    pub(super) fn is_draining(&self) -> bool {
        self.drain.is_some()
    }

    /// The worker is to stop; an idle connection may wait for the time `idle`.
    pub(super) fn drain(&mut self, idle: Duration) {
        let since = Instant::now();
        self.drain = Some(Drain { since, idle });
    }

    /// The connection has begun to speak HTTP/2, and its first request is to come.
    pub(super) fn set_new(&mut self) {
        if let Phase::Head { since } = self.phase {
            self.phase = Phase::New { since };
        }
    }

    /// Whether nothing of a first request was served yet.
    pub(super) fn is_new(&self) -> bool {
        matches!(self.phase, Phase::New { .. })
    }

    /// A connection of HTTP/2 asks its client to leave, as when the worker is to stop. An idle one has a moment for that. `read`
    /// is the count of bytes at present.
    pub(super) fn leave(&mut self, read: u64) {
        let since = Instant::now();
        if self.is_waiting() {
            let is_checked = true;
            self.phase = Phase::Idle {
                since,
                read,
                is_checked,
            };
        }
        self.drain = Some(Drain { since, idle: LEAVE });
    }

    /// The same continues, regardless of what the worker has set since.
    pub(super) fn keep_leaving(&mut self) {
        if let Some(drain) = &mut self.drain {
            drain.idle = LEAVE;
        }
    }

    /// Whether the worker drains and the client has sent nothing since its last request.
    pub(super) fn is_draining_unread(&self) -> bool {
        self.is_draining() && matches!(self.phase, Phase::New { .. } | Phase::Idle { .. })
    }

    /// The beginning of the next head is in the socket.
    pub(super) fn set_head_begun(&mut self) {
        self.phase = Phase::Head {
            since: Instant::now(),
        };
    }

    /// The beginning of the next head was found in hyper's buffer, where it has been since the last response.
    pub(super) fn set_head_found(&mut self) {
        if let Phase::Idle { since, .. } = self.phase {
            self.phase = Phase::Head { since };
        }
    }

    /// It was not.
    pub(super) fn set_checked(&mut self) {
        if let Phase::Idle { is_checked, .. } = &mut self.phase {
            *is_checked = true;
        }
    }

    /// Whether the connection may wait on after the check.
    pub(super) fn may_stay_idle(&self, http: &Http) -> bool {
        let is_unchecked = matches!(
            self.phase,
            Phase::Idle {
                is_checked: false,
                ..
            }
        );
        is_unchecked && self.drain.is_none() && idle_after(http) < http.keep_alive_timeout
    }

    /// Takes note of what has happened; to be called after each turn of hyper.
    pub(super) fn observe(
        &mut self,
        state: &mut ConnectionState,
        handle: &ConnectionHandle,
        waker: &Waker,
    ) {
        let requests = state.requests();
        if state.output.is_blocked() || state.is_busy(waker) {
            self.phase = Phase::Exchange;
        } else if requests != self.requests || matches!(self.phase, Phase::Exchange) {
            self.phase = Phase::Idle {
                since: Instant::now(),
                read: state.read(),
                is_checked: false,
            };
        } else {
            match self.phase {
                Phase::New { since } if state.read() != 0 => {
                    self.phase = Phase::Head { since };
                    handle.set_waiting(WaitsFor::RestOfHead);
                }
                Phase::Idle { read, .. } if state.read() != read => {
                    self.set_head_begun();
                    handle.set_waiting(WaitsFor::RestOfHead);
                }
                _ => {}
            }
        }
        self.requests = requests;
        self.observe_write(state);
        if !handle.input().is_closed() || self.is_waiting() {
            self.check = None;
        } else if self.check.is_none() {
            self.check = Some(Instant::now() + CHECK_AFTER);
        }
    }

    fn observe_write(&mut self, state: &ConnectionState) {
        let written = state.output.written();
        match self.stalled_write {
            _ if !state.output.is_blocked() => self.stalled_write = None,
            Some(write) if write.written == written => {}
            _ => {
                self.stalled_write = Some(StalledWrite {
                    written,
                    since: Instant::now(),
                });
            }
        }
    }

    /// Waits for the next deadline.
    pub(super) fn poll_event(
        &mut self,
        http: &Http,
        timer: &mut Timer,
        cx: &mut Context<'_>,
    ) -> Poll<DeadlineEvent> {
        let Some((deadline, event)) = self.next(http) else {
            return Poll::Pending;
        };
        ready!(timer.poll_until(deadline, cx));
        if let DeadlineEvent::CheckClient = event {
            self.check = None;
        }
        Poll::Ready(event)
    }

    fn next(&self, http: &Http) -> Option<(Instant, DeadlineEvent)> {
        let timeout = match self.stalled_write {
            Some(write) => Some((write.since + http.write_timeout, TimeoutKind::Write)),
            None => self
                .phase_deadline(http)
                .map(|deadline| (deadline, TimeoutKind::Request)),
        };
        let timeout = timeout.map(|(deadline, kind)| (deadline, DeadlineEvent::TimedOut(kind)));
        match (timeout, self.check) {
            (Some(timeout), Some(check)) if timeout.0 <= check => Some(timeout),
            (_, Some(check)) => Some((check, DeadlineEvent::CheckClient)),
            (timeout, None) => timeout,
        }
    }

    fn phase_deadline(&self, http: &Http) -> Option<Instant> {
        Some(match (self.phase, self.drain) {
            (Phase::Exchange, _) => return None,
            (Phase::Head { since }, _) | (Phase::New { since }, None) => {
                since + http.header_timeout
            }
            (Phase::New { since }, Some(drain)) => (since + http.header_timeout)
                .min(since.max(drain.since) + drain.idle.max(NEW_IN_DRAIN)),
            (Phase::Idle { since, .. }, Some(drain)) => {
                (since.max(drain.since) + drain.idle).min(since + http.keep_alive_timeout)
            }
            (
                Phase::Idle {
                    since,
                    is_checked: true,
                    ..
                },
                None,
            ) => since + http.keep_alive_timeout,
            (Phase::Idle { since, .. }, None) => {
                since + idle_after(http).min(http.keep_alive_timeout)
            }
        })
    }
}

/// After this time, the beginning of a head is searched for in hyper's buffer; one that is found is due after the
/// `header_timeout`.
fn idle_after(http: &Http) -> Duration {
    IDLE_AFTER.min(http.header_timeout)
}

/// Waits for deadlines that change with each request: rather than being moved each time, it wakes early and waits on.
#[derive(Debug)]
pub(super) struct Timer {
    sleep: Pin<Box<Sleep>>,
    /// The task that it wakes.
    waker: Option<Waker>,
}

impl Timer {
    /// For a first deadline.
    pub(super) fn new(deadline: Instant) -> Self {
        Self {
            sleep: Box::pin(tokio::time::sleep_until(deadline)),
            waker: None,
        }
    }

    /// Waits for `deadline`. While several are waited for, each has to be polled when the task is woken.
    pub(super) fn poll_until(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        while !self.wakes_by(deadline, cx.waker()) {
            if self.sleep.is_elapsed() || self.sleep.deadline() > deadline {
                self.sleep.as_mut().reset(deadline);
            }
            // Constrained, it could be pending without having taken the waker.
            if pin!(unconstrained(self.sleep.as_mut()))
                .poll(cx)
                .is_pending()
            {
                self.waker = Some(cx.waker().clone());
                break;
            }
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    /// Whether it need not be polled again, which costs more.
    fn wakes_by(&self, deadline: Instant, waker: &Waker) -> bool {
        let is_known = |known: &Waker| known.will_wake(waker);
        self.sleep.deadline() <= deadline
            && self.waker.as_ref().is_some_and(is_known)
            && !self.sleep.is_elapsed()
    }
}
