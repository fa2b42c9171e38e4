use std::{
    io::{self, IsTerminal},
    path::Path,
    time::Duration,
};

use super::{ask::ask, output::print, table::table, terminal::Keys};
use crate::operator::Command;

/// Shows the status over and over. It must be there at first; later it may be missing for a while,
/// as when the program is started again.
pub(super) fn top(socket: &Path, interval: Duration) -> Result<(), String> {
    let look = || {
        let answer = ask(socket, &Command::Status)?;
        answer.status().map(|status| table(&status))
    };
    let mut text = look()?;
    let keys = Keys::new();
    let on_screen = io::stdout().is_terminal();
    loop {
        print(&if on_screen {
            screen(&text)
        } else {
            text + "\n"
        });
        if keys.end_within(interval) {
            return Ok(());
        }
        text = look().unwrap_or_else(|error| format!("error: {error}\n"));
    }
}

/// Puts the text over what is on the screen: from its upper left corner, each line up to its
/// end, and nothing below. Nothing flickers then. A line that is too long is cut.
fn screen(text: &str) -> String {
    let lines = text.replace('\n', "\x1b[K\n");
    format!("\x1b[H\x1b[?7l{lines}\x1b[J\x1b[?7h")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_leaves_nothing_of_the_one_before() {
        assert_eq!(
            screen("a\nb\n"),
            "\x1b[H\x1b[?7la\x1b[K\nb\x1b[K\n\x1b[J\x1b[?7h"
        );
    }
}
