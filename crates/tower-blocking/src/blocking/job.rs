use std::time::Duration;

use super::{label::Label, runs::Slot};

pub(super) struct Job {
    pub(super) label: Label,
    pub(super) work: Box<dyn FnOnce() + Send>,
}

/// A job that a thread has taken.
pub(super) struct Start {
    pub(super) slot: Slot,
    pub(super) work: Box<dyn FnOnce() + Send>,
    /// How long it has waited, where that was limited.
    pub(super) waited: Duration,
}

/// What the pool has to do so that an added job runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Next {
    /// Nothing: a thread is about to look for it, or all are busy and look when they are done.
    Wait,
    /// A waiting thread has to be woken.
    Wake,
    /// A thread has to be started.
    Start,
}
