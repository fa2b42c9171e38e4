//! The messages between the supervisor and a worker.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::socket::MAX_MESSAGE;
use crate::error::Reason;

/// The environment variable that marks a worker. A program that the worker starts inherits it, but not the socket, and
/// so is no worker.
pub(crate) const MARKER: &str = "TOWER_PREFORK_WORKER";

/// The longest line and details of an error, in bytes; escaped as JSON they still fit into a message.
const MAX_LINE: usize = 2 << 10;
const MAX_DETAILS: usize = 8 << 10;

/// A message to a worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToWorker {
    /// The first message: become this worker of this server, with this configuration. The listeners come with it.
    Start {
        server: String,
        slot: usize,
        config: Value,
        /// A bit for each listener that the service manager has passed.
        #[serde(default)]
        passed: u64,
        /// A bit for each listener whose clients are redirected to HTTPS.
        #[serde(default)]
        redirects: u64,
        /// Whether the last descriptor is no listener, but has the contents of the certificate files.
        #[serde(default)]
        certificates: bool,
    },
    /// Use the certificates in the file that comes with the message.
    Certificates,
    /// The program is going to stop: keep serving, but report that the server is not ready.
    NotReady,
    /// Open the log files again.
    ReopenLogs,
    /// The program stops: serve the connections that the kernel has queued, finish all requests, and exit within this
    /// time.
    Drain { milliseconds: u64 },
    /// Another worker takes over: leave queued connections to others, finish all requests, and exit within the first
    /// time. Idle connections are closed after the second one. No other worker serves the queues of the listeners that
    /// have a bit in `queues`.
    Retire {
        milliseconds: u64,
        idle_milliseconds: u64,
        queues: u64,
    },
    /// Siblings have capacity: close this number of connections with their next response.
    Shed { connections: usize },
}

/// A message to the supervisor.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToSupervisor {
    /// The service is built.
    Ready,
    /// The service cannot be built; the worker exits.
    Failed { reason: Reason },
    /// The event loop is alive. Sent once a second.
    Heartbeat(WorkerStats),
    /// Replace this worker. It keeps serving until the replacement is ready.
    Recycle(RecycleReason),
    /// The deadline of the drain has passed, and this number of requests did not finish.
    Cut { requests: usize },
}

/// The metrics of a worker: the payload of its heartbeat, and a part of its status for operators.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct WorkerStats {
    /// Resident memory.
    pub(crate) memory_bytes: u64,
    /// Open connections.
    pub(crate) connections: usize,
    /// Upgraded connections among them, such as a WebSocket, and all that there were since the start.
    #[serde(default)]
    pub(crate) upgraded: usize,
    #[serde(default)]
    pub(crate) upgraded_total: u64,
    /// Running requests.
    pub(crate) in_flight: usize,
    /// Requests that wait for a thread.
    pub(crate) queued: usize,
    /// Tasks on an event loop of the application, which hold no thread.
    #[serde(default)]
    pub(crate) tasks: usize,
    /// Requests since the start.
    pub(crate) requests: u64,
    /// Requests since the start that were refused because there was no capacity for them.
    pub(crate) refused: u64,
    /// The age of the oldest job on a thread.
    pub(crate) oldest_job_s: Option<f64>,
}

/// Why a worker is to be replaced.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RecycleReason {
    pub(crate) text: String,
    /// One of its threads is stuck, and soon all of them may be.
    pub(crate) stuck: bool,
}

impl ToSupervisor {
    /// A failure, its text cut to what fits into a message.
    pub(crate) fn failed(mut reason: Reason) -> Self {
        let Reason { line, details } = &mut reason;
        let mut cuts = (0..=MAX_LINE.min(line.len())).rev();
        let end = cuts.find(|cut| line.is_char_boundary(*cut));
        line.truncate(end.unwrap_or(0));
        // The error itself is at the end of a traceback.
        let mut cuts = details.len().saturating_sub(MAX_DETAILS)..;
        let start = cuts.find(|cut| details.is_char_boundary(*cut));
        details.drain(..start.unwrap_or(0));
        Self::Failed { reason }
    }
}

/// Checks that the configuration of a worker fits into its first message. The error is a sentence for the operator.
pub(crate) fn check_config_size(server: &str, config: Value) -> Result<(), String> {
    let start = ToWorker::Start {
        server: server.to_owned(),
        slot: usize::MAX,
        config,
        passed: u64::MAX,
        redirects: u64::MAX,
        certificates: true,
    };
    let bytes = serde_json::to_vec(&start)
        .map_err(|error| format!("the settings cannot be sent to a worker: {error}"))?;
    if bytes.len() > MAX_MESSAGE {
        return Err(format!(
            "the settings are too long to send to a worker: {} bytes, but the limit is {MAX_MESSAGE}; \
             use fewer or shorter addresses and paths",
            bytes.len()
        ));
    }
    Ok(())
}

/// The configuration in the first message to this process, if it is a worker. The message stays in the socket. Null if it
/// cannot be parsed.
#[cfg(feature = "cli")]
pub(crate) fn announced_config() -> Option<Value> {
    match super::socket::peek_inherited(MARKER)? {
        Ok(ToWorker::Start { config, .. }) => Some(config),
        Ok(_) | Err(_) => Some(Value::Null),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_error_fits_into_a_message() {
        let text = "\u{1}é".repeat(MAX_DETAILS);
        let message = ToSupervisor::failed(Reason {
            line: text.clone(),
            details: text,
        });
        assert!(serde_json::to_vec(&message).unwrap().len() <= MAX_MESSAGE);
    }

    #[test]
    fn a_configuration_that_does_not_fit_is_refused() {
        let config = |length: usize| Value::String("x".repeat(length));
        assert_eq!(check_config_size("shop", config(MAX_MESSAGE / 2)), Ok(()));
        let error = check_config_size("shop", config(MAX_MESSAGE)).unwrap_err();
        assert!(error.starts_with("the settings are too long "), "{error}");
    }
}
