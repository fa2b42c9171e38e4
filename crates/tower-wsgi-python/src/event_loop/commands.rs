//! The commands to a loop: a queue, and an eventfd that the loop watches.

use std::{
    collections::VecDeque,
    io,
    os::fd::{AsRawFd, OwnedFd, RawFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use rustix::{
    event::{EventfdFlags, eventfd},
    io::{read, write},
};

use super::{call::NewCall, exchange::NewExchange, pieces::Channel};

/// What the loop has to do next.
pub(super) enum LoopCommand {
    /// A request.
    Start(NewExchange),
    /// A call that is not that of a request.
    Call(NewCall),
    /// The response is no longer wanted.
    Cancel(Arc<Channel>),
    /// There is room for more pieces.
    Room(Arc<Channel>),
    /// Shows that the loop is not held up.
    Tick,
    /// Ends the loop. Its tasks have time until the deadline.
    #[cfg_attr(
        not(any(feature = "command", test)),
        expect(dead_code, reason = "a program that embeds the loops ends with them")
    )]
    Stop(Instant),
}

/// The queue. It is bounded by the number of tasks: each has at most one command of each kind in it.
pub(super) struct CommandQueue {
    state: Mutex<QueueState>,
    wakeup: OwnedFd,
}

#[derive(Default)]
struct QueueState {
    commands: VecDeque<LoopCommand>,
    /// Whether the eventfd was written since the loop has taken the last commands.
    is_woken: bool,
}

impl CommandQueue {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            state: Mutex::default(),
            wakeup: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        })
    }

    /// What the loop has to watch.
    pub(super) fn fd(&self) -> RawFd {
        self.wakeup.as_raw_fd()
    }

    /// The number of commands that the loop has not taken.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.state().commands.len()
    }

    pub(super) fn push(&self, command: LoopCommand) {
        let mut state = self.state();
        state.commands.push_back(command);
        let is_first = !std::mem::replace(&mut state.is_woken, true);
        drop(state);
        if is_first {
            // It fails only if the counter is full: the loop is woken then as well.
            let _ = write(&self.wakeup, &1_u64.to_ne_bytes());
        }
    }

    /// All commands. To be called when the loop is woken.
    pub(super) fn take(&self) -> VecDeque<LoopCommand> {
        // It fails only if the loop was not woken.
        let _ = read(&self.wakeup, &mut [0; 8]);
        let mut state = self.state();
        state.is_woken = false;
        std::mem::take(&mut state.commands)
    }

    // No foreign code runs under the lock.
    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, poll};

    use super::*;

    fn is_woken(queue: &CommandQueue) -> bool {
        let mut fds = [PollFd::new(&queue.wakeup, PollFlags::IN)];
        let now = rustix::event::Timespec::default();
        poll(&mut fds, Some(&now)).unwrap() == 1
    }

    #[test]
    fn one_wake_serves_all_commands_that_were_queued_before_it() {
        let queue = CommandQueue::new().unwrap();
        assert!(!is_woken(&queue));
        queue.push(LoopCommand::Tick);
        queue.push(LoopCommand::Stop(Instant::now()));
        assert!(is_woken(&queue));
        assert_eq!(queue.len(), 2);
        let taken = queue.take();
        assert!(matches!(
            taken.iter().collect::<Vec<_>>()[..],
            [LoopCommand::Tick, LoopCommand::Stop(_)]
        ));
        assert!(!is_woken(&queue) && queue.len() == 0);
        queue.push(LoopCommand::Tick);
        assert!(is_woken(&queue));
    }
}
