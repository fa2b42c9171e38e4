use std::{io, os::fd::OwnedFd, time::Duration};

use rustix::{
    buffer::spare_capacity,
    event::{
        PollFd, PollFlags, Timespec,
        epoll::{self, CreateFlags, EventData, EventFlags},
        poll,
    },
    io::{Errno, retry_on_intr},
};

use super::gate::Gate;
use crate::listener::Listener;

/// How the wake-up is told from the listeners, which are numbered from 0.
const WAKE: u64 = u64::MAX;

/// A worker's listeners, and its place among those who wait for their connections.
#[derive(Debug)]
pub(super) struct Listening {
    listeners: Vec<Listener>,
    epoll: OwnedFd,
    /// The listeners are in the epoll.
    joined: bool,
}

impl Listening {
    /// Not joined yet. Every wait ends when the gate wakes.
    pub(super) fn new(listeners: Vec<Listener>, gate: &Gate) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, gate, EventData::new_u64(WAKE), EventFlags::IN)?;
        Ok(Self {
            listeners,
            epoll,
            joined: false,
        })
    }

    pub(super) fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// A descriptor that is of no use but to be closed when another one is needed.
    pub(super) fn spare(&self) -> io::Result<OwnedFd> {
        Ok(rustix::io::fcntl_dupfd_cloexec(&self.epoll, 0)?)
    }

    /// Waits for connections as one of many: each wakes one of those who have joined.
    pub(super) fn join(&mut self) -> io::Result<()> {
        if self.joined {
            return Ok(());
        }
        self.joined = true;
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

    /// Is woken for no connection any more. To join again is to join at the end.
    pub(super) fn leave(&mut self) -> io::Result<()> {
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

    /// Waits for the listeners, if they are joined, and for the gate. Gives the listeners that have a
    /// connection.
    pub(super) fn wait(&self, gate: &Gate, timeout: Option<Duration>) -> io::Result<Vec<usize>> {
        let mut events = Vec::with_capacity(self.listeners.len() + 1);
        let timeout = timeout.map(timespec);
        match epoll::wait(&self.epoll, spare_capacity(&mut events), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut ready = Vec::new();
        for event in events {
            match event.data.u64() {
                WAKE => gate.woken(),
                listener => ready.extend(usize::try_from(listener).ok()),
            }
        }
        Ok(ready)
    }

    /// Waits for the gate alone, to the microsecond: an epoll counts in milliseconds.
    pub(super) fn pause(gate: &Gate, time: Duration) -> io::Result<()> {
        let time = timespec(time);
        let mut fds = [PollFd::new(gate, PollFlags::IN)];
        if retry_on_intr(|| poll(&mut fds, Some(&time)))? > 0 {
            gate.woken();
        }
        Ok(())
    }

    /// Whether a connection waits to be accepted.
    pub(super) fn has_waiting(&self) -> io::Result<bool> {
        let mut fds = self.fds();
        let waiting = retry_on_intr(|| poll(&mut fds, Some(&Timespec::default())))?;
        Ok(waiting > 0)
    }

    /// Whether one waits at this listener.
    pub(super) fn is_waiting(&self, listener: usize) -> bool {
        let mut fds = [PollFd::new(&self.listeners[listener], PollFlags::IN)];
        retry_on_intr(|| poll(&mut fds, Some(&Timespec::default()))).is_ok_and(|ready| ready > 0)
    }

    /// Waits until a connection waits to be accepted, whoever else is woken for it, or the gate wakes.
    pub(super) fn wait_for_any(&self, gate: &Gate) -> io::Result<()> {
        let mut fds = self.fds();
        fds.push(PollFd::new(gate, PollFlags::IN));
        retry_on_intr(|| poll(&mut fds, None))?;
        if fds.pop().is_some_and(|gate| !gate.revents().is_empty()) {
            gate.woken();
        }
        Ok(())
    }

    fn fds(&self) -> Vec<PollFd<'_>> {
        let listeners = self.listeners.iter();
        listeners
            .map(|listener| PollFd::new(listener, PollFlags::IN))
            .collect()
    }
}

fn timespec(time: Duration) -> Timespec {
    Timespec {
        tv_sec: time.as_secs().cast_signed(),
        tv_nsec: time.subsec_nanos().into(),
    }
}
