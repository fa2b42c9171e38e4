//! The deadlines of a connection.

use std::{
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    progress::{Awaits, Progress},
    timer::Timer,
};
use crate::Http;

/// How long a new connection has at least, when the worker drains, to send its first request.
const FRESH_IN_DRAIN: Duration = Duration::from_secs(1);

/// How long a connection is idle before it is looked at, and parked.
const PARK_AFTER: Duration = Duration::from_secs(1);

/// How often it is looked whether a client has left that has closed its sending side.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// Watches the progress of a connection, with one timer.
#[derive(Debug)]
pub(super) struct Clock {
    header_timeout: Duration,
    keep_alive_timeout: Duration,
    write_timeout: Duration,
    request_timeout: Duration,
    phase: Phase,
    calls: u64,
    write: Option<Write>,
    answer: Option<Answer>,
    drain: Option<Drain>,
    /// When it is looked whether the client has left, which has closed its sending side.
    look: Option<Instant>,
    timer: Timer,
}

/// What the client is waited for.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Its first request; nothing of it has come.
    Fresh { since: Instant },
    /// The rest of a request head.
    Head { since: Instant },
    /// The next request. hyper may hold the beginning of it, which is looked for once; `read` is the count
    /// of bytes at the time.
    Idle {
        since: Instant,
        read: u64,
        looked: bool,
    },
    /// Nothing: it waits for the server.
    Busy,
}

/// The service has a request, and has not begun to answer it.
#[derive(Clone, Copy, Debug)]
struct Answer {
    call: u64,
    since: Instant,
    deadline: Instant,
    /// The deadline was told of.
    told: bool,
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
struct Write {
    written: u64,
    since: Instant,
}

/// Which time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expiry {
    /// For the phase.
    Phase,
    /// For the client to take something of the response.
    Write,
}

/// What a deadline asks for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Alarm {
    /// The end of the connection.
    Expired(Expiry),
    /// An answer without the service, which has had the request since then.
    Overdue(Instant),
    /// A look at the client.
    Look,
}

impl Clock {
    pub(super) fn new(http: &Http) -> Self {
        let now = Instant::now();
        Self {
            header_timeout: http.header_timeout,
            keep_alive_timeout: http.keep_alive_timeout,
            write_timeout: http.write_timeout,
            request_timeout: http.request_timeout,
            phase: Phase::Fresh { since: now },
            calls: 0,
            write: None,
            answer: None,
            drain: None,
            look: None,
            timer: Timer::new(now + http.header_timeout),
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle { .. })
    }

    /// Whether it waits for the client.
    pub(super) fn is_waiting(&self) -> bool {
        !matches!(self.phase, Phase::Busy)
    }

    pub(super) fn draining(&self) -> bool {
        self.drain.is_some()
    }

    /// The worker is to stop; an idle connection may wait for so long.
    pub(super) fn drain(&mut self, idle: Duration) {
        let since = Instant::now();
        self.drain = Some(Drain { since, idle });
    }

    /// Whether the worker drains and the client has sent nothing since its last request.
    pub(super) fn drains_waiting(&self) -> bool {
        self.draining() && matches!(self.phase, Phase::Fresh { .. } | Phase::Idle { .. })
    }

    /// The beginning of the next head is in the socket.
    pub(super) fn found_bytes(&mut self) {
        self.phase = Phase::Head {
            since: Instant::now(),
        };
    }

    /// The beginning of the next head was found in hyper's buffer.
    pub(super) fn found_head(&mut self) {
        if let Phase::Idle { since, .. } = self.phase {
            self.phase = Phase::Head { since };
        }
    }

    /// It was not.
    pub(super) fn found_nothing(&mut self) {
        if let Phase::Idle { looked, .. } = &mut self.phase {
            *looked = true;
        }
    }

    /// Whether the idle connection may go on to wait.
    pub(super) fn may_wait(&self) -> bool {
        self.drain.is_none()
            && self.park_after() < self.keep_alive_timeout
            && matches!(self.phase, Phase::Idle { looked: false, .. })
    }

    /// After this time, it is looked for the beginning of a head; if there is one, it is due after the
    /// `header_timeout`.
    fn park_after(&self) -> Duration {
        PARK_AFTER.min(self.header_timeout)
    }

    /// Takes note of what has happened; to be called whenever hyper has.
    pub(super) fn observe(&mut self, progress: &Progress, cx: &Context<'_>) {
        let blocked = progress.blocked();
        let calls = progress.calls();
        if blocked || progress.busy(cx.waker()) {
            self.phase = Phase::Busy;
        } else if calls != self.calls || matches!(self.phase, Phase::Busy) {
            self.phase = Phase::Idle {
                since: Instant::now(),
                read: progress.read(),
                looked: false,
            };
        } else {
            match self.phase {
                Phase::Fresh { since } if progress.read() != 0 => {
                    self.phase = Phase::Head { since };
                    progress.note_idle(Awaits::RestOfHead);
                }
                Phase::Idle { read, .. } if progress.read() != read => {
                    self.phase = Phase::Head {
                        since: Instant::now(),
                    };
                    progress.note_idle(Awaits::RestOfHead);
                }
                _ => {}
            }
        }
        self.calls = calls;
        self.observe_write(progress, blocked);
        self.observe_answer(progress);
        self.observe_end(progress);
    }

    fn observe_answer(&mut self, progress: &Progress) {
        let due = progress.due();
        if !due.is_unanswered() {
            self.answer = None;
            return;
        }
        let call = self.calls;
        let known = self.answer.filter(|answer| answer.call == call);
        let answer = known.unwrap_or_else(|| {
            let now = Instant::now();
            Answer {
                call,
                since: now,
                deadline: now,
                told: false,
            }
        });
        // What the client takes for its body is not the service's time.
        let begin = answer.since.max(due.body_taken());
        let more = match due.body_awaited() {
            true => progress.body_timeout(),
            false => Duration::ZERO,
        };
        self.answer = Some(Answer {
            deadline: begin + self.request_timeout + more,
            ..answer
        });
    }

    fn observe_end(&mut self, progress: &Progress) {
        if !progress.eof() || !matches!(self.phase, Phase::Busy) {
            self.look = None;
        } else if self.look.is_none() {
            self.look = Some(Instant::now() + LOOK_AFTER);
        }
    }

    fn observe_write(&mut self, progress: &Progress, blocked: bool) {
        let written = progress.written();
        match self.write {
            _ if !blocked => self.write = None,
            Some(write) if write.written == written => {}
            _ => {
                self.write = Some(Write {
                    written,
                    since: Instant::now(),
                });
            }
        }
    }

    /// Waits for the next deadline. That of an answer is told of once.
    pub(super) fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<Alarm> {
        let Some((deadline, alarm)) = self.deadline() else {
            return Poll::Pending;
        };
        ready!(self.timer.poll_until(deadline, cx));
        match (alarm, &mut self.answer) {
            (Alarm::Overdue(_), Some(answer)) => answer.told = true,
            (Alarm::Look, _) => self.look = None,
            _ => {}
        }
        Poll::Ready(alarm)
    }

    fn deadline(&self) -> Option<(Instant, Alarm)> {
        let expiry = match self.write {
            Some(write) => Some((write.since + self.write_timeout, Expiry::Write)),
            None => self
                .phase_deadline()
                .map(|deadline| (deadline, Expiry::Phase)),
        };
        let mut first = expiry.map(|(deadline, expiry)| (deadline, Alarm::Expired(expiry)));
        let mut add = |deadline: Instant, alarm| {
            if first.is_none_or(|first| deadline < first.0) {
                first = Some((deadline, alarm));
            }
        };
        if let Some(answer) = self.answer
            && !answer.told
        {
            add(answer.deadline, Alarm::Overdue(answer.since));
        }
        if let Some(look) = self.look {
            add(look, Alarm::Look);
        }
        first
    }

    fn phase_deadline(&self) -> Option<Instant> {
        Some(match (self.phase, self.drain) {
            (Phase::Busy, _) => return None,
            (Phase::Head { since } | Phase::Fresh { since }, None) | (Phase::Head { since }, _) => {
                since + self.header_timeout
            }
            (Phase::Fresh { since }, Some(drain)) => (since + self.header_timeout)
                .min(since.max(drain.since) + drain.idle.max(FRESH_IN_DRAIN)),
            (Phase::Idle { since, .. }, Some(drain)) => {
                (since.max(drain.since) + drain.idle).min(since + self.keep_alive_timeout)
            }
            (
                Phase::Idle {
                    since,
                    looked: true,
                    ..
                },
                None,
            ) => since + self.keep_alive_timeout,
            (Phase::Idle { since, .. }, None) => {
                since + self.park_after().min(self.keep_alive_timeout)
            }
        })
    }
}
