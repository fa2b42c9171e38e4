//! What a program is doing, and those who watch it.

use tokio::sync::watch;

/// What a server, or one of its workers, is doing.
///
/// It only goes forward, but for [`Reloading`](Self::Reloading), after which it is ready again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// The workers start, and nobody is served yet.
    Starting,
    /// It serves.
    Ready,
    /// It serves, and its workers are replaced. A worker itself is never in this phase.
    Reloading,
    /// It serves, and will stop: new requests had better go elsewhere. It lasts for the
    /// [`shutdown_delay`](crate::Config::shutdown_delay).
    Stopping,
    /// It accepts nothing more, and finishes what runs.
    Draining,
    /// It has ended.
    Stopped,
}

impl Phase {
    /// Nobody goes back to a phase of a lower rank.
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

/// Where a phase is told. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Phases(Vec<watch::Sender<Phase>>);

impl Default for Phases {
    fn default() -> Self {
        Self(vec![watch::Sender::new(Phase::Starting)])
    }
}

impl Phases {
    /// What is told here is told at each of these, too.
    pub(crate) fn with<'a>(mut self, others: impl IntoIterator<Item = &'a Self>) -> Self {
        for other in others {
            self.0.extend(other.0.iter().cloned());
        }
        self
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Phase> {
        self.0[0].subscribe()
    }

    /// Whether that is new.
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

    /// Becomes ready, if it is still starting. Whether that is new.
    pub(crate) fn started(&self) -> bool {
        *self.0[0].borrow() == Phase::Starting && self.set(Phase::Ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_goes_forward() {
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
    fn others_hear_it_too() {
        let (one, other) = (Phases::default(), Phases::default());
        let all = Phases::default().with([&one, &other]);
        all.set(Phase::Draining);
        for phases in [one, other, all] {
            assert_eq!(*phases.subscribe().borrow(), Phase::Draining);
        }
    }
}
