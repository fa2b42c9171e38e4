//! Accepting: a thread of its own, which takes a connection only while the worker has room.
//!
//! tokio would wake every worker for each connection, and the same worker would mostly win.
//! `EPOLLEXCLUSIVE` wakes one, and joining the kernel's queue of waiters again after every 16
//! connections spreads them evenly.

use std::{
    io,
    os::fd::OwnedFd,
    thread,
    time::{Duration, Instant},
};

use rustix::{
    buffer::spare_capacity,
    event::{
        PollFd, PollFlags, Timespec,
        epoll::{self, CreateFlags, EventData, EventFlags},
        poll,
    },
    io::{Errno, retry_on_intr},
};
use tokio::sync::mpsc;

use super::{
    accepted::{self, Accepted},
    gate::{Gate, Permit},
    polite::Polite,
};
use crate::{connection::Load, listener::Listener};

/// Connections that the event loop has not taken yet.
const HAND_OVER: usize = 16;

/// A worker goes to the end of the kernel's queue of waiters after so many connections.
const REJOIN: usize = 16;

/// How long to wait when the machine or the process is out of descriptors or memory.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How the wake-up is told from the listeners, which are numbered from 0.
const WAKE: u64 = u64::MAX;

/// Starts the thread. It ends, and the channel with it, when the gate is closed.
pub(super) fn start(
    listeners: Vec<Listener>,
    gate: Gate,
    load: Load,
    threads: usize,
) -> io::Result<mpsc::Receiver<Accepted>> {
    let (sender, receiver) = mpsc::channel(HAND_OVER);
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &gate, EventData::new_u64(WAKE), EventFlags::IN)?;
    let acceptor = Acceptor {
        listeners,
        epoll,
        joined: false,
        since_rejoin: 0,
        pause: None,
        gate,
        place: None,
        load,
        // Without threads a running request holds nobody up; what the event loop has not taken does.
        enough: if threads == 0 { usize::MAX } else { threads },
        alone: 0,
        sender,
    };
    thread::Builder::new()
        .name("accept".into())
        .spawn(move || acceptor.run())?;
    Ok(receiver)
}

#[derive(Debug)]
struct Acceptor {
    listeners: Vec<Listener>,
    epoll: OwnedFd,
    /// The listeners are in the epoll.
    joined: bool,
    since_rejoin: usize,
    /// The last pause, while the machine lacks something.
    pause: Option<Duration>,
    gate: Gate,
    /// A place for the next connection.
    place: Option<Permit>,
    load: Load,
    /// So many requests make the worker busy.
    enough: usize,
    /// How often in a row it was busy, and its siblings left it connections.
    alone: u32,
    sender: mpsc::Sender<Accepted>,
}

impl Acceptor {
    fn run(mut self) {
        while !self.gate.is_closed() {
            if let Err(error) = self.turn() {
                self.pause(&error);
            }
        }
        // Before the queue is looked at: afterwards the kernel wakes others.
        let _ = self.leave();
        for listener in 0..self.listeners.len() {
            // The others have what is queued. But this thread may have been woken for a connection, and
            // then nobody else was. Where there are no others, it would be reset when the listener closes.
            while self.accept(listener).is_ok_and(|taken| taken) && self.gate.is_last_at(listener) {
            }
        }
    }

    /// Waits for something to do, and does it.
    fn turn(&mut self) -> io::Result<()> {
        if self.is_busy() {
            self.leave()?;
            let polite = Polite::with(&self.load, self.alone);
            self.alone = if self.stays_busy(&polite)? {
                self.accept_batch(self.enough.saturating_mul(polite.takes))?;
                self.alone.saturating_add(1)
            } else {
                0
            };
            return Ok(());
        }
        self.alone = 0;
        if !self.reserve() {
            self.leave()?;
            // Until a connection ends.
            self.wait(None)?;
            return Ok(());
        }
        self.join()?;
        for listener in self.wait(None)? {
            if self.accept(listener)? {
                self.since_rejoin += 1;
            }
        }
        if self.since_rejoin >= REJOIN {
            self.leave()?;
        }
        Ok(())
    }

    fn is_busy(&self) -> bool {
        let handed_over = self.sender.max_capacity() - self.sender.capacity();
        handed_over == HAND_OVER || self.load.busy() + handed_over >= self.enough
    }

    /// Gives the siblings time to take what waits. Whether something is left, and this worker has not
    /// become free.
    fn stays_busy(&self, polite: &Polite) -> io::Result<bool> {
        let mut pause = polite.first;
        for _ in 0..polite.looks {
            self.wait_while_busy(pause)?;
            if self.gate.is_closed() || !self.is_busy() || !self.has_waiting()? {
                return Ok(false);
            }
            pause = polite.pause;
        }
        Ok(true)
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
            self.wait(Some(left))?;
        }
        Ok(())
    }

    /// Whether a connection waits to be accepted.
    fn has_waiting(&self) -> io::Result<bool> {
        let listeners = self.listeners.iter();
        let mut fds: Vec<_> = listeners
            .map(|listener| PollFd::new(listener, PollFlags::IN))
            .collect();
        let waiting = retry_on_intr(|| poll(&mut fds, Some(&Timespec::default())))?;
        Ok(waiting > 0)
    }

    /// Accepts without waiting, at most so many.
    fn accept_batch(&mut self, most: usize) -> io::Result<()> {
        let mut taken = 0;
        for listener in 0..self.listeners.len() {
            while taken < most && self.accept(listener)? {
                taken += 1;
            }
        }
        Ok(())
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
        let (stream, connection) = match accepted::take(&self.listeners[listener]) {
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

    /// Waits for the listeners, if they are joined, and for the gate. Gives the listeners that
    /// have a connection.
    fn wait(&self, timeout: Option<Duration>) -> io::Result<Vec<usize>> {
        let mut events = Vec::with_capacity(self.listeners.len() + 1);
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: timeout.as_secs().cast_signed(),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        match epoll::wait(&self.epoll, spare_capacity(&mut events), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut ready = Vec::new();
        for event in events {
            match event.data.u64() {
                WAKE => self.gate.woken(),
                listener => ready.extend(usize::try_from(listener).ok()),
            }
        }
        Ok(ready)
    }

    fn join(&mut self) -> io::Result<()> {
        if self.joined {
            return Ok(());
        }
        self.joined = true;
        self.since_rejoin = 0;
        for (index, listener) in self.listeners.iter().enumerate() {
            let data = EventData::new_u64(index as u64);
            epoll::add(
                &self.epoll,
                listener,
                data,
                EventFlags::IN | EventFlags::EXCLUSIVE,
            )?;
        }
        Ok(())
    }

    fn leave(&mut self) -> io::Result<()> {
        if !self.joined {
            return Ok(());
        }
        self.joined = false;
        for listener in &self.listeners {
            match epoll::delete(&self.epoll, listener) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
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
        if self.leave().and_then(|()| self.wait(Some(pause))).is_err() {
            thread::sleep(pause);
        }
    }
}
