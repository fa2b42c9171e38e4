use std::{thread::Thread, time::Instant};

use super::label::Label;

/// A job on its thread.
pub(super) struct Run {
    pub(super) id: u64,
    pub(super) since: Instant,
    /// Nobody waits for its answer.
    pub(super) abandoned: bool,
    /// It does not run: its client may have left while it waited.
    pub(super) is_dropped: bool,
    pub(super) label: Label,
    pub(super) thread: Thread,
}

/// The jobs that run.
#[derive(Default)]
pub(super) struct Runs {
    /// One that is `None` is free.
    slots: Vec<Option<Run>>,
    count: usize,
}

/// A place among the running jobs.
#[derive(Debug)]
pub(super) struct Slot(usize);

impl Runs {
    pub(super) fn add(&mut self, run: Run) -> Slot {
        let slot = self.slots.iter().position(Option::is_none);
        let slot = slot.unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[slot] = Some(run);
        self.count += 1;
        Slot(slot)
    }

    pub(super) fn take(&mut self, slot: &Slot) -> Option<Run> {
        self.count -= 1;
        self.slots[slot.0].take()
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Run> {
        self.slots.iter().flatten()
    }

    pub(super) fn abandon(&mut self, id: u64) {
        let mut running = self.slots.iter_mut().flatten();
        if let Some(run) = running.find(|run| run.id == id) {
            run.abandoned = true;
        }
    }
}
