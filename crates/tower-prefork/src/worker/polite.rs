use std::time::Duration;

use tower_serve::Load;

/// How long a busy worker leaves waiting connections to its siblings, and how many it takes then. After a
/// while it looks a few times whether there are some: what the siblings take in time is not there each time.
#[derive(Debug, PartialEq)]
pub(super) struct Polite {
    pub(super) first: Duration,
    pub(super) looks: u32,
    pub(super) pause: Duration,
    /// So many times as many connections as it has threads.
    pub(super) takes: usize,
}

const BUSY: Polite = Polite {
    first: Duration::from_millis(2),
    looks: 4,
    pause: Duration::from_millis(1),
    takes: 1,
};

/// With threads that do not come back: what this worker takes may never get one. About a second, which
/// is time for another worker to start in its place.
const LAME: Polite = Polite {
    first: Duration::from_millis(20),
    looks: 50,
    pause: Duration::from_millis(20),
    takes: 1,
};

/// So often what a worker takes is doubled, at most.
const DOUBLINGS: u32 = 6;

impl Polite {
    /// `alone`: how often in a row the siblings had their time and left connections. They are as busy then,
    /// or there are none: it is soon over, and ever more are taken.
    pub(super) fn with(load: &Load, alone: u32) -> Self {
        match (load.lost(), alone) {
            (0, 0) => BUSY,
            (0, _) => Self {
                first: BUSY.pause / (1 << alone.min(4)),
                looks: 1,
                takes: 1 << alone.min(DOUBLINGS),
                ..BUSY
            },
            _ => LAME,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_left_alone_takes_more_and_more() {
        let load = Load::new(0);
        let takes = |alone| Polite::with(&load, alone).takes;
        assert_eq!([0, 1, 2, 6, 7, 99].map(takes), [1, 2, 4, 64, 64, 64]);
        assert!(Polite::with(&load, 1).first < BUSY.first);
    }

    #[test]
    fn who_has_lost_a_thread_takes_few_and_late() {
        let load = Load::new(0);
        load.set_lost(1);
        assert_eq!(Polite::with(&load, 99), LAME);
    }
}
