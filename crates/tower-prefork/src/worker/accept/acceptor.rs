//! The accept thread: it accepts a connection only while the worker has capacity.
//!
//! tokio would wake every worker for each connection, and mostly the same one would win. `EPOLLEXCLUSIVE` wakes one worker,
//! and joining the kernel's queue of waiters again after every 16 connections spreads them evenly.

use std::{
    io,
    os::fd::OwnedFd,
    sync::mpsc::SyncSender,
    time::{Duration, Instant},
};

use rustix::io::Errno;
use tokio::sync::mpsc;
use tower_serve::{Load, internal::threads};

use super::{
    backoff::AcceptBackoff,
    listener_set::{self, Accepted, ListenerSet},
};
use crate::{
    listener::Listener,
    worker::connection_limit::{ConnectionLimit, ConnectionPermit},
};

/// The most connections that the event loop has not taken yet.
const HAND_OVER: usize = 16;

/// A worker goes to the end of the kernel's queue of waiters after this many connections.
const REJOIN: usize = 16;

/// How long to wait while the machine or the process is out of descriptors or memory.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// At the connection limit: how long a new connection is left to the siblings before an idle connection is closed for it, how
/// long while the siblings do not take such connections, and when to retry if no connection was idle.
const YIELD: Duration = Duration::from_millis(20);
const YIELD_AGAIN: Duration = Duration::from_millis(1);
const RETRY: Duration = Duration::from_millis(100);

/// The number of connections to close doubles while new ones keep waiting, up to 2 to this power.
const MAX_DOUBLINGS: u32 = 5;

/// The longest time that the message of a stop may take to arrive.
const STOP_ARRIVES: Duration = Duration::from_secs(1);

/// Starts the thread, which begins to accept when `()` is sent to it. It ends, and closes its channel, when the limit is
/// closed.
pub(in crate::worker) fn start(
    listeners: Vec<Listener>,
    limit: ConnectionLimit,
    load: Load,
    threads: usize,
) -> io::Result<(mpsc::Receiver<Accepted>, SyncSender<()>)> {
    let (sender, receiver) = mpsc::channel(HAND_OVER);
    let acceptor = Acceptor {
        listeners: ListenerSet::new(listeners, &limit)?,
        since_rejoin: 0,
        pause: None,
        limit,
        permit: None,
        spare: None,
        load,
        // Without threads, running requests do not delay others, only connections that the event loop has not taken.
        busy_at: if threads == 0 { usize::MAX } else { threads },
        uncontested: 0,
        full: 0,
        sender,
    };
    let (begin, begins) = std::sync::mpsc::sync_channel(1);
    threads::start("accept", move || {
        // Nothing is sent if the service stops before.
        if begins.recv().is_ok() {
            acceptor.run();
        }
    })?;
    Ok((receiver, begin))
}

#[derive(Debug)]
struct Acceptor {
    listeners: ListenerSet,
    since_rejoin: usize,
    /// The last pause, while descriptors or memory are exhausted.
    pause: Option<Duration>,
    limit: ConnectionLimit,
    /// The permit of the next connection.
    permit: Option<ConnectionPermit>,
    /// Closed when a connection finds no free descriptor: the kernel has woken no other worker for it.
    spare: Option<OwnedFd>,
    load: Load,
    /// The number of requests at which the worker is busy.
    busy_at: usize,
    /// How often in a row it was busy and its siblings have left connections to it.
    uncontested: u32,
    /// How often in a row it was at its limit and its siblings have left connections to it.
    full: u32,
    sender: mpsc::Sender<Accepted>,
}

impl Acceptor {
    fn run(mut self) {
        while !self.limit.is_closed() {
            match self.step() {
                Ok(()) => {}
                Err(error) if is_shortage(&error) => self.pause(&error),
                Err(_) if self.limit.closes_within(STOP_ARRIVES) => break,
                Err(error) => {
                    self.limit.fail_for("cannot accept connections", error);
                    return;
                }
            }
        }
        // Before the queues are checked: from here on the kernel wakes others.
        let _ = self.listeners.leave();
        for listener in 0..self.listeners.listeners().len() {
            // Queued connections are left to the siblings. But this thread may have been woken for one, and no other
            // worker was. Without siblings, queued connections would be reset when the listener closes.
            while self.accept(listener).is_ok_and(|taken| taken) && self.limit.is_last_at(listener)
            {
            }
            // A sibling may have capacity for the rest, and then shuts the listener down.
            if self.limit.ends(listener) && !self.listeners.is_waiting(listener) {
                self.listeners.listeners()[listener].shut_down();
            }
        }
    }

    /// Waits for something to do, and does it.
    fn step(&mut self) -> io::Result<()> {
        if !self.reserve() {
            self.listeners.leave()?;
            // Until a connection ends, or a new one arrives.
            self.listeners.wait_for_any(&self.limit)?;
            return self.request_room();
        }
        if self.spare.is_none() {
            self.spare = Some(self.listeners.spare()?);
        }
        if self.is_busy() {
            self.listeners.leave()?;
            self.listeners.wait_for_any(&self.limit)?;
            return self.yield_to_siblings();
        }
        self.listeners.join()?;
        for listener in self.listeners.wait(&self.limit, None)? {
            if self.accept(listener)? {
                self.since_rejoin += 1;
            }
        }
        if self.since_rejoin >= REJOIN {
            self.since_rejoin = 0;
            self.listeners.leave()?;
        }
        Ok(())
    }

    /// At the connection limit: gives the siblings time to accept the waiting connections, and has idle connections closed for
    /// the rest.
    fn request_room(&mut self) -> io::Result<()> {
        if self.limit.is_closed() || self.reserve() {
            return Ok(());
        }
        let time = if self.full == 0 { YIELD } else { YIELD_AGAIN };
        self.limit.pause(time);
        if self.limit.is_closed() || self.reserve() {
            return Ok(());
        }
        if !self.listeners.has_waiting()? {
            self.full = 0;
            return Ok(());
        }
        self.limit.request_room(1 << self.full.min(MAX_DOUBLINGS));
        // Until a connection ends.
        self.limit.pause(RETRY);
        if self.reserve() {
            self.full = self.full.saturating_add(1);
        }
        Ok(())
    }

    /// Busy: gives the siblings time to accept the waiting connections, and accepts the rest, unless this worker is no longer
    /// busy.
    fn yield_to_siblings(&mut self) -> io::Result<()> {
        let backoff = AcceptBackoff::new(&self.load, self.uncontested);
        let mut pause = backoff.first;
        for _ in 0..backoff.checks {
            self.wait_while_busy(pause);
            if self.limit.is_closed() || !self.is_busy() {
                return Ok(());
            }
            if !self.listeners.has_waiting()? {
                self.uncontested = 0;
                return Ok(());
            }
            pause = backoff.pause;
        }
        let taken = self.accept_batch(self.busy_at.saturating_mul(backoff.batch))?;
        // If the event loop takes none, larger batches would be pointless.
        self.uncontested = if taken > 0 {
            self.uncontested.saturating_add(1)
        } else {
            0
        };
        Ok(())
    }

    fn is_busy(&self) -> bool {
        let handed_over = self.sender.max_capacity() - self.sender.capacity();
        handed_over == HAND_OVER || self.load.busy() + handed_over >= self.busy_at
    }

    /// Waits for this time, or until the worker is no longer busy.
    fn wait_while_busy(&self, time: Duration) {
        let end = Instant::now() + time;
        while !self.limit.is_closed() {
            self.limit.wake_at_next_end();
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || !self.is_busy() {
                break;
            }
            self.limit.pause(left);
        }
    }

    /// Accepts at most `max` connections without waiting. Returns their number.
    fn accept_batch(&mut self, max: usize) -> io::Result<usize> {
        let mut taken = 0;
        for listener in 0..self.listeners.listeners().len() {
            while taken < max && self.accept(listener)? {
                taken += 1;
            }
        }
        Ok(taken)
    }

    /// Acquires the permit of the next connection. This is done before the wait for one: the kernel wakes one worker for a
    /// connection, and that worker must be able to accept it.
    fn reserve(&mut self) -> bool {
        if self.permit.is_none() {
            self.permit = self.limit.try_acquire();
        }
        self.permit.is_some()
    }

    /// Accepts one connection, if one waits and there is capacity for it.
    fn accept(&mut self, listener: usize) -> io::Result<bool> {
        // Once the limit is closed, the event loop takes all connections; before, this thread does not wait for it.
        if self.sender.capacity() == 0 && !self.limit.is_closed() || !self.reserve() {
            return Ok(false);
        }
        let mut taken = listener_set::accept(&self.listeners.listeners()[listener]);
        if matches!(taken, Err(Errno::MFILE | Errno::NFILE)) && self.spare.take().is_some() {
            taken = listener_set::accept(&self.listeners.listeners()[listener]);
        }
        let (stream, connection) = match taken {
            Ok(accepted) => accepted,
            Err(Errno::AGAIN) => return Ok(false),
            Err(error) if listener_set::is_connection_error(error) => {
                tracing::debug!(%error, "a connection ended before it was accepted");
                return Ok(true);
            }
            Err(error) => return Err(error.into()),
        };
        self.pause = None;
        if let Some(permit) = self.permit.take() {
            let accepted = Accepted {
                stream,
                connection,
                permit,
                redirects: self.listeners.listeners()[listener].redirects(),
            };
            // It is dropped if the event loop has ended.
            let _ = self.sender.blocking_send(accepted);
        }
        Ok(true)
    }

    /// Waits for descriptors or memory.
    fn pause(&mut self, error: &io::Error) {
        let pause = match self.pause {
            Some(pause) => (pause * 2).min(LONGEST_PAUSE),
            None => {
                tracing::warn!(%error, "cannot accept connections; retrying");
                FIRST_PAUSE
            }
        };
        self.pause = Some(pause);
        let left = self.listeners.leave();
        let waited = left.and_then(|()| self.listeners.wait(&self.limit, Some(pause)));
        if waited.is_err() {
            std::thread::sleep(pause);
        }
    }
}

/// Whether the machine or the process is out of descriptors or memory, which may pass.
fn is_shortage(error: &io::Error) -> bool {
    let error = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(
        error,
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::NOSPC)
    )
}
