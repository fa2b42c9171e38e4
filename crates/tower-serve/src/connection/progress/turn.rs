use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// What has happened at a connection since the event loop has come to it, so that what is written can wait for
/// the next time. It waits once: while a client sends without a pause, each turn begins with a read.
#[derive(Debug)]
pub(super) struct Turn(AtomicU8);

const BEGUN: u8 = 0;
/// Something was read.
const READ: u8 = 1;
/// Something is to be written in the next turn.
const POSTPONED: u8 = 2;
/// Something is to be written in this turn, whatever else is read.
const DUE: u8 = 3;

impl Turn {
    pub(super) fn new() -> Self {
        Self(AtomicU8::new(BEGUN))
    }

    pub(super) fn begin(&self) {
        let was_postponed = self.is_postponed();
        self.set(if was_postponed { DUE } else { BEGUN });
    }

    pub(super) fn read(&self) {
        if self.get() == BEGUN {
            self.set(READ);
        }
    }

    /// Puts a write off, if it comes after a read.
    pub(super) fn postpone(&self) -> bool {
        let postpones = matches!(self.get(), READ | POSTPONED);
        if postpones {
            self.set(POSTPONED);
        }
        postpones
    }

    pub(super) fn is_postponed(&self) -> bool {
        self.get() == POSTPONED
    }

    fn get(&self) -> u8 {
        self.0.load(Relaxed)
    }

    // Only the connection's own task writes it.
    fn set(&self, turn: u8) {
        self.0.store(turn, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_answers_a_read_is_written_in_the_next_turn_and_not_later() {
        let turn = Turn::new();
        turn.begin();
        assert!(!turn.postpone(), "nothing was read");
        turn.read();
        assert!(turn.postpone() && turn.postpone() && turn.is_postponed());
        turn.begin();
        turn.read();
        assert!(!turn.postpone() && !turn.is_postponed());
        turn.begin();
        turn.read();
        assert!(turn.postpone());
    }
}
