//! The command `ctl top`: the table of `ctl status`, updated until a key ends it.

use std::{
    io::{self, IsTerminal, Stdin, Write},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr},
};

use super::{Command, client::send, table::table};

/// The keys that end it: `q`, Ctrl-C and Ctrl-D, as a terminal sends them without ISIG and ICANON.
const END: [u8; 4] = [b'q', b'Q', 0x03, 0x04];

/// Shows the status again and again. The program must be reachable at first; later it may be missing for a while, for
/// example during a restart.
pub(super) fn top(socket: &Path, interval: Duration) -> Result<(), String> {
    let look = || {
        let response = send(socket, &Command::Status)?;
        response.status().map(|status| table(&status))
    };
    let mut text = look()?;
    let keyboard = Keyboard::new();
    let on_screen = io::stdout().is_terminal();
    loop {
        print(&if on_screen {
            screen(&text)
        } else {
            text + "\n"
        });
        if keyboard.ends_within(interval) {
            return Ok(());
        }
        text = look().unwrap_or_else(|error| format!("error: {error}\n"));
    }
}

/// Writes to standard output, whose reader may be gone.
pub(super) fn print(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
}

/// Overwrites the screen without flicker: from the upper left corner, each line to its end, and nothing below. Lines
/// that are too long are cut.
fn screen(text: &str) -> String {
    let lines = text.replace('\n', "\x1b[K\n");
    format!("\x1b[H\x1b[?7l{lines}\x1b[J\x1b[?7h")
}

/// The keyboard without line editing and echo. Dropping it restores the terminal.
///
/// If standard input is no terminal there are no keys, and signals end the program.
#[derive(Debug)]
struct Keyboard {
    stdin: Stdin,
    original: Option<Termios>,
}

impl Keyboard {
    fn new() -> Self {
        let stdin = io::stdin();
        let original = if stdin.is_terminal() {
            tcgetattr(&stdin).ok()
        } else {
            None
        };
        if let Some(original) = &original {
            let mut modes = original.clone();
            // Ctrl-C is a key as well, so that the terminal is always restored.
            modes.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
            let _ = tcsetattr(&stdin, OptionalActions::Now, &modes);
        }
        Self { stdin, original }
    }

    /// Waits for this time. Whether a key that ends the program was pressed.
    fn ends_within(&self, time: Duration) -> bool {
        if self.original.is_none() {
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
                // The terminal is closed.
                Ok(0) | Err(_) => return true,
                Ok(read) if keys[..read].iter().any(|key| END.contains(key)) => return true,
                Ok(_) => {}
            }
        }
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        if let Some(original) = &self.original {
            let _ = tcsetattr(&self.stdin, OptionalActions::Now, original);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_overwrites_the_previous_one() {
        assert_eq!(
            screen("a\nb\n"),
            "\x1b[H\x1b[?7la\x1b[K\nb\x1b[K\n\x1b[J\x1b[?7h"
        );
    }
}
