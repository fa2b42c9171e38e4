use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::Status;

/// What an operator wants; as JSON, a request of the control socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Command {
    Status,
    /// Answered when the reload is over.
    Reload,
    /// Answered when the change has begun: `status` shows how far it is. The server may be left out when there is one.
    Scale {
        #[serde(skip_serializing_if = "Option::is_none")]
        server: Option<String>,
        workers: usize,
    },
    /// Answered when the new worker serves.
    Restart {
        #[serde(skip_serializing_if = "Option::is_none")]
        server: Option<String>,
        slot: usize,
    },
    /// Answered when the new supervisor serves.
    Upgrade,
    /// Answered at once; then it is as SIGTERM.
    Stop,
}

/// A command for the supervisor.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) command: Command,
    /// Nobody listens any more when the operator has gone. The error is a sentence for the
    /// operator.
    pub(crate) answer: oneshot::Sender<Result<Answer, String>>,
}

/// What the supervisor answers when it has done what it was told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    Done,
    Status(Status),
}
