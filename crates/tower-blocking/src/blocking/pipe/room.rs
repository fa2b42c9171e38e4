//! Where the response bodies of one pool wait for their readers: what they share.

use std::{path::Path, sync::Arc};

use super::stalls::Stalls;
use crate::{
    budget::{Budget, Limit},
    spool,
};

/// Memory and disk for the response bodies of one pool, and the threads that wait for their readers.
pub(in crate::blocking) struct Room {
    /// Beside what each has by itself.
    pub(super) memory: Arc<Budget>,
    pub(super) disk: Arc<Budget>,
    /// The bytes on disk of one body.
    pub(super) disk_of_each: Limit,
    /// Where the files lie.
    pub(super) directory: Arc<Path>,
    pub(super) stalls: Arc<Stalls>,
}

impl Room {
    /// Memory and disk for all bodies together, and disk for each.
    pub(in crate::blocking) fn new(memory: usize, disk: usize, disk_of_each: usize) -> Arc<Self> {
        Self::in_directory(&spool::directory(), memory, disk, disk_of_each)
    }

    pub(super) fn in_directory(
        directory: &Path,
        memory: usize,
        disk: usize,
        disk_of_each: usize,
    ) -> Arc<Self> {
        Arc::new(Self {
            memory: Budget::new(memory),
            disk: Budget::new(disk),
            disk_of_each: Limit::new(disk_of_each),
            directory: directory.into(),
            stalls: Stalls::new(),
        })
    }

    pub(in crate::blocking) fn limit_disk(&self, bytes: usize) {
        self.disk.set_limit(bytes);
    }

    pub(in crate::blocking) fn limit_disk_of_each(&self, bytes: usize) {
        self.disk_of_each.set(bytes);
    }

    /// `queued` says how many requests wait for a thread.
    pub(in crate::blocking) fn ask(&self, queued: impl Fn() -> usize + Send + Sync + 'static) {
        self.stalls.ask(queued);
    }
}
