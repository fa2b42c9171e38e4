//! Accepting: a thread of its own, which takes a connection only while the worker has room.
//!
//! tokio would wake every worker for each connection, and the same worker would mostly win.
//! `EPOLLEXCLUSIVE` wakes one, and joining the kernel's queue of waiters again after every 16
//! connections spreads them evenly.

use std::{
    io,
    os::fd::OwnedFd,
    sync::mpsc::SyncSender,
    thread,
    time::{Duration, Instant},
};

use rustix::io::Errno;
use tokio::sync::mpsc;

use super::{
    accepted::{self, Accepted},
    gate::{Gate, Permit},
    listening::Listening,
    polite::Polite,
};
use crate::listener::Listener;
use tower_serve::{Load, internal::threads};

/// Connections that the event loop has not taken yet.
const HAND_OVER: usize = 16;

/// A worker goes to the end of the kernel's queue of waiters after so many connections.
const REJOIN: usize = 16;

/// How long to wait when the machine or the process is out of descriptors or memory.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long a connection that this worker has no room for is left to the siblings, before an idle one is closed
/// for it; the same while the siblings leave some each time; and when to ask again, if none was idle.
const LEAVE: Duration = Duration::from_millis(20);
const LEAVE_AGAIN: Duration = Duration::from_millis(1);
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// Room is made for twice as many each time that new connections wait on, up to 2 to this power.
const DOUBLINGS: u32 = 5;

/// How long the messages of a stop may be on their way.
const SETTLE: Duration = Duration::from_secs(1);

/// Starts the thread, which accepts from the moment on that it is sent word. It ends, and the channel with it, when
/// the gate is closed.
pub(super) fn start(
    listeners: Vec<Listener>,
    gate: Gate,
    load: Load,
    threads: usize,
) -> io::Result<(mpsc::Receiver<Accepted>, SyncSender<()>)> {
    let (sender, receiver) = mpsc::channel(HAND_OVER);
    let acceptor = Acceptor {
        listening: Listening::new(listeners, &gate)?,
        since_rejoin: 0,
        pause: None,
        gate,
        place: None,
        spare: None,
        load,
        // Without threads a running request holds nobody up; what the event loop has not taken does.
        enough: if threads == 0 { usize::MAX } else { threads },
        alone: 0,
        crowded: 0,
        sender,
    };
    let (go, begins) = std::sync::mpsc::sync_channel(1);
    threads::start("accept", move || {
        // It is not, when the service stops first.
        if begins.recv().is_ok() {
            acceptor.run();
        }
    })?;
    Ok((receiver, go))
}

#[derive(Debug)]
struct Acceptor {
    listening: Listening,
    since_rejoin: usize,
    /// The last pause, while the machine lacks something.
    pause: Option<Duration>,
    gate: Gate,
    /// A place for the next connection.
    place: Option<Permit>,
    /// Given up for a connection that finds no descriptor: the kernel has woken nobody else for it.
    spare: Option<OwnedFd>,
    load: Load,
    /// So many requests make the worker busy.
    enough: usize,
    /// How often in a row it was busy, and its siblings left it connections.
    alone: u32,
    /// How often in a row there was no room, and its siblings left it connections.
    crowded: u32,
    sender: mpsc::Sender<Accepted>,
}

impl Acceptor {
    fn run(mut self) {
        while !self.gate.is_closed() {
            match self.turn() {
                Ok(()) => {}
                Err(error) if is_shortage(&error) => self.pause(&error),
                Err(_) if self.stops_soon() => break,
                Err(error) => {
                    self.gate.fail_for("connections cannot be accepted", error);
                    return;
                }
            }
        }
        // Before the queue is looked at: afterwards the kernel wakes others.
        let _ = self.listening.leave();
        for listener in 0..self.listening.listeners().len() {
            // The others have what is queued. But this thread may have been woken for a connection, and
            // then nobody else was. Where there are no others, it would be reset when the listener closes.
            while self.accept(listener).is_ok_and(|taken| taken) && self.gate.is_last_at(listener) {
            }
            // A sibling may have room for what is left, and then shuts it down.
            if self.gate.ends(listener) && !self.listening.is_waiting(listener) {
                self.listening.listeners()[listener].shut_down();
            }
        }
    }

    /// Whether this worker is about to hear of a stop: a sibling that has heard of it may have shut the listeners
    /// down before.
    fn stops_soon(&self) -> bool {
        let end = Instant::now() + SETTLE;
        while !self.gate.is_closed() && Instant::now() < end {
            thread::sleep(Duration::from_millis(10));
        }
        self.gate.is_closed()
    }

    /// Waits for something to do, and does it.
    fn turn(&mut self) -> io::Result<()> {
        if !self.reserve() {
            self.listening.leave()?;
            // Until a connection ends, or one wants to come.
            self.listening.wait_for_any(&self.gate)?;
            return self.want_room();
        }
        if self.spare.is_none() {
            self.spare = Some(self.listening.spare()?);
        }
        if self.is_busy() {
            self.listening.leave()?;
            self.listening.wait_for_any(&self.gate)?;
            return self.share();
        }
        self.listening.join()?;
        for listener in self.listening.wait(&self.gate, None)? {
            if self.accept(listener)? {
                self.since_rejoin += 1;
            }
        }
        if self.since_rejoin >= REJOIN {
            self.since_rejoin = 0;
            self.listening.leave()?;
        }
        Ok(())
    }

    /// There is no room. Gives the siblings time to take what waits, and has idle connections closed for what
    /// they leave.
    fn want_room(&mut self) -> io::Result<()> {
        if self.gate.is_closed() || self.reserve() {
            return Ok(());
        }
        let leave = if self.crowded == 0 {
            LEAVE
        } else {
            LEAVE_AGAIN
        };
        Listening::pause(&self.gate, leave)?;
        if self.gate.is_closed() || self.reserve() {
            return Ok(());
        }
        if !self.listening.has_waiting()? {
            self.crowded = 0;
            return Ok(());
        }
        self.gate.want_room(1 << self.crowded.min(DOUBLINGS));
        // Until a connection ends.
        Listening::pause(&self.gate, ASK_AGAIN)?;
        if self.reserve() {
            self.crowded = self.crowded.saturating_add(1);
        }
        Ok(())
    }

    /// Gives the siblings time to take what waits, and takes what they leave, unless this worker has become
    /// free.
    fn share(&mut self) -> io::Result<()> {
        let polite = Polite::with(&self.load, self.alone);
        let mut pause = polite.first;
        for _ in 0..polite.looks {
            self.wait_while_busy(pause)?;
            if self.gate.is_closed() || !self.is_busy() {
                return Ok(());
            }
            if !self.listening.has_waiting()? {
                self.alone = 0;
                return Ok(());
            }
            pause = polite.pause;
        }
        let taken = self.accept_batch(self.enough.saturating_mul(polite.takes))?;
        // Where the event loop takes none, more looks would be in vain.
        self.alone = if taken > 0 {
            self.alone.saturating_add(1)
        } else {
            0
        };
        Ok(())
    }

    fn is_busy(&self) -> bool {
        let handed_over = self.sender.max_capacity() - self.sender.capacity();
        handed_over == HAND_OVER || self.load.busy() + handed_over >= self.enough
    }

    /// Waits for this long. Ends early when the worker has become free.
    fn wait_while_busy(&self, time: Duration) -> io::Result<()> {
        let end = Instant::now() + time;
        while !self.gate.is_closed() {
            self.gate.wake_at_next_end();
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || !self.is_busy() {
                break;
            }
            Listening::pause(&self.gate, left)?;
        }
        Ok(())
    }

    /// Accepts without waiting, at most so many. Gives how many there were.
    fn accept_batch(&mut self, most: usize) -> io::Result<usize> {
        let mut taken = 0;
        for listener in 0..self.listening.listeners().len() {
            while taken < most && self.accept(listener)? {
                taken += 1;
            }
        }
        Ok(taken)
    }

    /// Keeps a place for the next connection. It is there before the wait for one: the kernel
    /// wakes one worker per connection, and that one must not leave it to nobody.
    fn reserve(&mut self) -> bool {
        if self.place.is_none() {
            self.place = self.gate.try_enter();
        }
        self.place.is_some()
    }

    /// Accepts one connection, if there is one and room for it.
    fn accept(&mut self, listener: usize) -> io::Result<bool> {
        // While the gate is closed the event loop takes all; before, nobody waits for it.
        if self.sender.capacity() == 0 && !self.gate.is_closed() || !self.reserve() {
            return Ok(false);
        }
        let mut taken = accepted::take(&self.listening.listeners()[listener]);
        if matches!(taken, Err(Errno::MFILE | Errno::NFILE)) && self.spare.take().is_some() {
            taken = accepted::take(&self.listening.listeners()[listener]);
        }
        let (stream, connection) = match taken {
            Ok(accepted) => accepted,
            Err(Errno::AGAIN) => return Ok(false),
            Err(error) if accepted::is_of_the_client(error) => {
                tracing::debug!(%error, "a connection was lost before it was accepted");
                return Ok(true);
            }
            Err(error) => return Err(error.into()),
        };
        self.pause = None;
        if let Some(permit) = self.place.take() {
            let accepted = Accepted {
                stream,
                connection,
                permit,
            };
            // Nobody takes it when the event loop has ended.
            let _ = self.sender.blocking_send(accepted);
        }
        Ok(true)
    }

    /// Waits until the machine may have again what it lacks.
    fn pause(&mut self, error: &io::Error) {
        let pause = match self.pause {
            Some(pause) => (pause * 2).min(LONGEST_PAUSE),
            None => {
                tracing::warn!(%error, "cannot accept connections; trying again until it works");
                FIRST_PAUSE
            }
        };
        self.pause = Some(pause);
        let left = self.listening.leave();
        let waited = left.and_then(|()| self.listening.wait(&self.gate, Some(pause)));
        if waited.is_err() {
            thread::sleep(pause);
        }
    }
}

/// Whether the machine or the process may have again what it lacks.
fn is_shortage(error: &io::Error) -> bool {
    let error = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(
        error,
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::NOSPC)
    )
}
