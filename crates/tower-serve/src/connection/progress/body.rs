use std::{sync::atomic::Ordering::Relaxed, task::Waker};

use super::Progress;

/// What has become of the current request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(in crate::connection) enum BodyState {
    /// It was received to its end, or there was none.
    Complete,
    /// Some of it may still be to come.
    Unread,
    /// It is here to its end, but the service has not taken all of it.
    Arrived,
    /// It was cut off, or is malformed.
    Malformed,
    /// The client did not go on sending it in time.
    TimedOut,
}

impl Progress {
    pub(in crate::connection) fn body(&self) -> BodyState {
        match self.body.load(Relaxed) {
            0 => BodyState::Complete,
            1 => BodyState::Unread,
            2 => BodyState::Arrived,
            3 => BodyState::Malformed,
            _ => BodyState::TimedOut,
        }
    }

    /// All of it is here, to be taken.
    pub(in crate::connection) fn set_arrived(&self) {
        self.body.store(BodyState::Arrived as u8, Relaxed);
    }

    /// Whether a request is being answered of which the client has nothing more to send. While it is not
    /// known that it has not, `waker` is woken at the end of its body.
    pub(in crate::connection) fn answers_whole_request(&self, waker: &Waker) -> bool {
        if self.responding.load(Relaxed) == 0 {
            return false;
        }
        let is_whole = || matches!(self.body(), BodyState::Complete | BodyState::Arrived);
        if is_whole() {
            return true;
        }
        self.received.register(waker);
        is_whole()
    }
}
