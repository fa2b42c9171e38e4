use std::sync::Arc;

use crate::budget::Budget;

/// Where the response bodies of one pool wait for their readers: what they share.
pub(in crate::blocking) struct Room {
    /// Beside what each has by itself.
    pub(super) memory: Arc<Budget>,
    pub(super) disk: Arc<Budget>,
}

impl Room {
    pub(in crate::blocking) fn new(memory: usize, disk: usize) -> Arc<Self> {
        Arc::new(Self {
            memory: Budget::new(memory),
            disk: Budget::new(disk),
        })
    }

    pub(in crate::blocking) fn limit_disk(&self, bytes: usize) {
        self.disk.set_limit(bytes);
    }
}
