use std::{
    io::{self, IsTerminal, Stdin},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr},
};

/// Ctrl-C and Ctrl-D, as a terminal sends them when it is not to act on them.
const END: [u8; 4] = [b'q', b'Q', 0x03, 0x04];

/// The keyboard, each key by itself. It is as it was before when this is dropped.
///
/// Where standard input is no terminal there are no keys, and signals end the program.
#[derive(Debug)]
pub(super) struct Keys {
    stdin: Stdin,
    before: Option<Termios>,
}

impl Keys {
    pub(super) fn new() -> Self {
        let stdin = io::stdin();
        let before = if stdin.is_terminal() {
            tcgetattr(&stdin).ok()
        } else {
            None
        };
        if let Some(before) = &before {
            let mut modes = before.clone();
            // Ctrl-C is a key, too, so that the terminal is never left in this state.
            modes.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
            let _ = tcsetattr(&stdin, OptionalActions::Now, &modes);
        }
        Self { stdin, before }
    }

    /// Waits for so long. Whether a key says that it is enough.
    pub(super) fn end_within(&self, time: Duration) -> bool {
        if self.before.is_none() {
            thread::sleep(time);
            return false;
        }
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let timeout = Timespec {
                tv_sec: left.as_secs().cast_signed(),
                tv_nsec: left.subsec_nanos().into(),
            };
            let mut fds = [PollFd::new(&self.stdin, PollFlags::IN)];
            match poll(&mut fds, Some(&timeout)) {
                Ok(1) => {}
                Err(rustix::io::Errno::INTR) => continue,
                _ => return false,
            }
            let mut keys = [0; 64];
            match rustix::io::read(&self.stdin, &mut keys) {
                // The terminal is gone.
                Ok(0) | Err(_) => return true,
                Ok(read) if keys[..read].iter().any(|key| END.contains(key)) => return true,
                Ok(_) => {}
            }
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(&self.stdin, OptionalActions::Now, before);
        }
    }
}
