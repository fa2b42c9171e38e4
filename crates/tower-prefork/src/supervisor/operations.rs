//! Operations: reloads and upgrades, which take their time and run one after another.

use tokio::{
    sync::oneshot,
    task::{JoinError, JoinSet},
};

use super::{
    event_loop::SupervisorLoop, handover::Successor, reload::ReloadOutcome, shutdown::End,
};
use crate::{
    operator::{CommandOutput, CommandResult},
    phase::Phase,
};

/// Takes the result of an operation.
pub(super) type ResultSender = oneshot::Sender<CommandResult>;

/// What an operator can request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// Read the configuration again, and replace all workers.
    Reload,
    /// Start a new supervisor, which takes over.
    Upgrade,
}

/// How an operation has ended.
#[derive(Debug)]
pub(super) enum OperationOutcome {
    Reloaded(ReloadOutcome),
    Upgraded(Result<Box<Successor>, String>),
}

/// The requested operations. Requests of the same operation that come before it begins are one.
#[derive(Debug, Default)]
pub(super) struct Operations {
    reload: Option<Vec<ResultSender>>,
    upgrade: Option<Vec<ResultSender>>,
    /// The running operation: one task or none.
    running: JoinSet<OperationOutcome>,
    last: Option<Operation>,
    /// They wait for the result of the last operation.
    senders: Vec<ResultSender>,
}

impl Operations {
    fn request(&mut self, operation: Operation, sender: Option<ResultSender>) {
        let senders = match operation {
            Operation::Reload => &mut self.reload,
            Operation::Upgrade => &mut self.upgrade,
        };
        senders.get_or_insert_default().extend(sender);
    }

    fn is_running(&self) -> bool {
        !self.running.is_empty()
    }

    /// The running operation.
    pub(super) fn running(&self) -> Option<Operation> {
        self.last.filter(|_| self.is_running())
    }

    /// The next operation, if none is running.
    fn next(&mut self) -> Option<Operation> {
        if self.is_running() {
            return None;
        }
        let (operation, senders) = match (self.reload.take(), &mut self.upgrade) {
            (Some(senders), _) => (Operation::Reload, senders),
            (None, upgrade) => (Operation::Upgrade, upgrade.take()?),
        };
        self.senders = senders;
        self.last = Some(operation);
        Some(operation)
    }

    /// Runs the last operation.
    pub(super) fn run(
        &mut self,
        operation: impl Future<Output = OperationOutcome> + Send + 'static,
    ) {
        self.running.spawn(operation);
    }

    /// Waits until the running operation has ended. `None` if there is none.
    pub(super) async fn join(&mut self) -> Option<Result<OperationOutcome, JoinError>> {
        self.running.join_next().await
    }

    /// Sends the result of the last operation to those who wait for it.
    pub(super) fn respond(&mut self, result: &Result<(), String>) {
        for sender in self.senders.drain(..) {
            // The client may have gone.
            let _ = sender.send(result.clone().map(|()| CommandOutput::Done));
        }
    }

    /// Aborts a running upgrade, whose new supervisor ends.
    pub(super) fn abort_upgrade(&mut self) {
        if self.running() == Some(Operation::Upgrade) {
            self.running.abort_all();
        }
    }

    /// Aborts all operations, because the program stops.
    pub(super) async fn abort_all(&mut self) {
        self.reload = None;
        self.upgrade = None;
        self.senders.clear();
        self.running.shutdown().await;
    }
}

impl SupervisorLoop {
    /// An operator requests an operation.
    pub(super) fn request(&mut self, operation: Operation, sender: Option<ResultSender>) {
        let what = match operation {
            Operation::Reload => "reload",
            Operation::Upgrade => "upgrade",
        };
        if self.drain_at.is_some() {
            tracing::info!("{what} ignored: the server is stopping");
            if let Some(sender) = sender {
                // The client may have gone.
                let _ = sender.send(Err("the server is stopping".into()));
            }
            return;
        }
        if !self.is_ready() {
            tracing::info!("{what} requested; it begins when the server is ready");
        } else if self.operations.is_running() {
            tracing::info!("{what} requested; it begins when the running operation is complete");
        }
        self.operations.request(operation, sender);
    }

    /// Begins the next operation, if that is possible now.
    pub(super) fn begin_operation(&mut self) {
        while self.is_ready()
            && self.drain_at.is_none()
            && let Some(operation) = self.operations.next()
        {
            let begun = match operation {
                Operation::Reload => {
                    self.announcer.announce(Phase::Reloading);
                    self.begin_reload()
                }
                Operation::Upgrade => self.begin_upgrade(),
            };
            if let Err(reason) = begun {
                tracing::error!(
                    reason,
                    "{}",
                    match operation {
                        Operation::Reload => "reload refused; nothing has changed",
                        Operation::Upgrade => "upgrade failed; this supervisor keeps serving",
                    }
                );
                self.announcer.announce(Phase::Ready);
                self.operations.respond(&Err(reason));
            }
        }
    }

    /// An operation has ended.
    pub(super) fn operation_ended(&mut self, outcome: OperationOutcome) -> Option<End> {
        let result = match outcome {
            OperationOutcome::Reloaded(outcome) => {
                self.announcer.announce(Phase::Ready);
                self.reload_ended(outcome)
            }
            OperationOutcome::Upgraded(Ok(successor)) => {
                self.operations.respond(&Ok(()));
                return Some(End::TakenOver(successor));
            }
            OperationOutcome::Upgraded(Err(reason)) => {
                tracing::error!(reason, "upgrade failed; this supervisor keeps serving");
                Err(reason)
            }
        };
        self.operations.respond(&result);
        None
    }
}
