use std::{future::pending, sync::Arc};

use tokio::time::sleep;

use super::service_manager::ServiceManager;
use crate::phase::{Phase, Phases};

/// Tells what the program is doing: its own code, and the service manager. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Announcer {
    phases: Phases,
    manager: Arc<ServiceManager>,
}

impl Announcer {
    /// For the process that runs the program.
    pub(crate) fn of_program(phases: Phases) -> Self {
        let manager = Arc::new(ServiceManager::of_environment());
        Self { phases, manager }
    }

    /// For a process of which the service manager does not hear.
    pub(crate) fn within(phases: Phases) -> Self {
        let manager = Arc::default();
        Self { phases, manager }
    }

    /// Tells these, too.
    pub(crate) fn with<'a>(&self, others: impl IntoIterator<Item = &'a Phases>) -> Self {
        Self {
            phases: self.phases.clone().with(others),
            manager: self.manager.clone(),
        }
    }

    pub(crate) fn announce(&self, phase: Phase) {
        if self.phases.set(phase) {
            self.manager.phase(phase);
        }
    }

    /// It serves. That ends the start, and nothing else.
    pub(crate) fn started(&self) {
        if self.phases.started() {
            self.manager.phase(Phase::Ready);
        }
    }

    /// This process takes over from the one that the service manager has started.
    pub(crate) fn take_over(&self) {
        self.manager.main_process();
    }

    /// Another process has taken over: for the service manager nothing ends.
    pub(crate) fn leave(&self) {
        self.phases.set(Phase::Draining);
    }

    /// Says, as often as the service manager wants it, that the program is well. Returns after it has;
    /// what is given up before counts from anew.
    pub(crate) async fn alive(&self) {
        let Some(time) = self.manager.watchdog() else {
            return pending().await;
        };
        self.manager.alive();
        sleep(time).await;
    }
}
