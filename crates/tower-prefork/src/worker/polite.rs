use std::time::Duration;

use crate::connection::Load;

/// How long a busy worker leaves waiting connections to its siblings. After a while it looks a few times
/// whether there are some: what the siblings take in time is not there each time.
#[derive(Debug)]
pub(super) struct Polite {
    pub(super) first: Duration,
    pub(super) looks: u32,
    pub(super) pause: Duration,
}

const BUSY: Polite = Polite {
    first: Duration::from_millis(2),
    looks: 4,
    pause: Duration::from_micros(500),
};

/// With threads that do not come back: what this worker takes may never get one. About a second, which
/// is time for another worker to start in its place.
const LAME: Polite = Polite {
    first: Duration::from_millis(20),
    looks: 50,
    pause: Duration::from_millis(20),
};

impl Polite {
    pub(super) fn with(load: &Load) -> Self {
        match load.lost() {
            0 => BUSY,
            _ => LAME,
        }
    }
}
