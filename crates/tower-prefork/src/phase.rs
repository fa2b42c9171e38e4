//! The phases of a program and of its workers.

use tokio::sync::watch;

/// The phase of a server, or of one of its workers.
///
/// Phases only go forward, except for [`Reloading`](Self::Reloading), after which a server is ready again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// The workers start, and no request is served yet.
    Starting,
    /// It serves.
    Ready,
    /// It serves, and its workers are being replaced. A worker itself is never in this phase.
    Reloading,
    /// It serves, but is going to stop, so new requests should go to other servers. It lasts for the
    /// [`shutdown_delay`](crate::Config::shutdown_delay).
    Stopping,
    /// It accepts no connections, and finishes the running requests.
    Draining,
    /// It has ended.
    Stopped,
}

impl Phase {
    /// A phase never follows one of a higher rank.
    fn rank(self) -> u8 {
        match self {
            Self::Starting => 0,
            Self::Ready | Self::Reloading => 1,
            Self::Stopping => 2,
            Self::Draining => 3,
            Self::Stopped => 4,
        }
    }
}

/// Publishes a phase. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Phases(Vec<watch::Sender<Phase>>);

impl Default for Phases {
    fn default() -> Self {
        Self(vec![watch::Sender::new(Phase::Starting)])
    }
}

impl Phases {
    /// Publishes at each of these as well.
    pub(crate) fn with<'a>(mut self, others: impl IntoIterator<Item = &'a Self>) -> Self {
        for other in others {
            self.0.extend(other.0.iter().cloned());
        }
        self
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Phase> {
        self.0[0].subscribe()
    }

    /// Changes the phase. Whether it has changed.
    pub(crate) fn set(&self, phase: Phase) -> bool {
        let mut is_new = false;
        for sender in &self.0 {
            is_new |= sender.send_if_modified(|current| {
                let changes = phase != *current && phase.rank() >= current.rank();
                if changes {
                    *current = phase;
                }
                changes
            });
        }
        is_new
    }

    /// Becomes ready, if it is starting. Whether it has changed.
    pub(crate) fn started(&self) -> bool {
        *self.0[0].borrow() == Phase::Starting && self.set(Phase::Ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_go_forward() {
        let phases = Phases::default();
        let watched = phases.subscribe();
        assert_eq!(*watched.borrow(), Phase::Starting);
        assert!(phases.started() && !phases.started());
        assert!(phases.set(Phase::Reloading));
        assert!(!phases.started());
        assert_eq!(*watched.borrow(), Phase::Reloading);
        assert!(phases.set(Phase::Ready));
        assert!(phases.set(Phase::Stopping));
        assert!(!phases.set(Phase::Ready) && !phases.set(Phase::Stopping));
        assert_eq!(*watched.borrow(), Phase::Stopping);
    }

    #[test]
    fn it_is_published_to_all() {
        let (one, other) = (Phases::default(), Phases::default());
        let all = Phases::default().with([&one, &other]);
        all.set(Phase::Draining);
        for phases in [one, other, all] {
            assert_eq!(*phases.subscribe().borrow(), Phase::Draining);
        }
    }
}
