use tokio::{
    sync::oneshot,
    task::{JoinError, JoinSet},
};

use super::{handover::Successor, reload::Reloaded};
use crate::operator::{CommandOutput, CommandResult};

/// Who waits for the end of a plan, if anybody does.
pub(super) type Reply = oneshot::Sender<CommandResult>;

/// What takes its time, and is done one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Read the configuration again, and replace all workers.
    Reload,
    /// Let a new supervisor take over.
    Upgrade,
}

/// How a plan has ended.
#[derive(Debug)]
pub(super) enum Outcome {
    Reloaded(Reloaded),
    Upgraded(Result<Box<Successor>, String>),
}

/// The plans that were asked for. What is asked for more than once before it begins is done once.
#[derive(Debug, Default)]
pub(super) struct Plans {
    reload: Option<Vec<Reply>>,
    upgrade: Option<Vec<Reply>>,
    /// The plan that is carried out, as one task or none, and who waits for it.
    running: JoinSet<Outcome>,
    last: Option<Plan>,
    replies: Vec<Reply>,
}

impl Plans {
    /// An operator asks for a plan.
    pub(super) fn ask(&mut self, plan: Plan, reply: Option<Reply>) {
        let wanted = match plan {
            Plan::Reload => &mut self.reload,
            Plan::Upgrade => &mut self.upgrade,
        };
        wanted.get_or_insert_default().extend(reply);
    }

    pub(super) fn are_running(&self) -> bool {
        !self.running.is_empty()
    }

    /// The plan that is carried out.
    pub(super) fn running(&self) -> Option<Plan> {
        self.last.filter(|_| self.are_running())
    }

    /// The next plan, if none is carried out.
    pub(super) fn next(&mut self) -> Option<Plan> {
        if self.are_running() {
            return None;
        }
        let (plan, replies) = match (self.reload.take(), &mut self.upgrade) {
            (Some(replies), _) => (Plan::Reload, replies),
            (None, upgrade) => (Plan::Upgrade, upgrade.take()?),
        };
        self.replies = replies;
        self.last = Some(plan);
        Some(plan)
    }

    /// Carries the plan out that was given last.
    pub(super) fn run(&mut self, plan: impl Future<Output = Outcome> + Send + 'static) {
        self.running.spawn(plan);
    }

    /// Waits until the plan that is carried out is over. `None` when there is none.
    pub(super) async fn over(&mut self) -> Option<Result<Outcome, JoinError>> {
        self.running.join_next().await
    }

    /// Tells those who wait how the plan has ended that was given last.
    pub(super) fn answer(&mut self, result: &Result<(), String>) {
        for reply in self.replies.drain(..) {
            // An operator who has gone needs no answer.
            let _ = reply.send(result.clone().map(|()| CommandOutput::Done));
        }
    }

    /// Nobody is to take over any more: a new supervisor that is on its way ends.
    pub(super) fn break_off_upgrade(&mut self) {
        if self.running() == Some(Plan::Upgrade) {
            self.running.abort_all();
        }
    }

    /// The program stops: nothing is planned any more.
    pub(super) async fn give_up(&mut self) {
        self.reload = None;
        self.upgrade = None;
        self.replies.clear();
        self.running.shutdown().await;
    }
}
