//! What travels over the control socket: commands, responses, and the status of the program.

#[cfg(feature = "tls")]
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
#[cfg(feature = "tls")]
use tower_serve::internal::tls::CertificateSummary;

#[cfg(feature = "tls")]
use crate::certificates::whole_days;
use crate::control::WorkerStats;

/// The longest request in bytes, without the end of its line.
pub(super) const MAX_REQUEST: usize = 4 << 10;

/// A request on the control socket, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Command {
    Status,
    /// The response comes when the reload is complete.
    Reload,
    /// The response comes when the change has begun: `status` shows its progress. The server may be omitted if there is
    /// only one.
    Scale {
        #[serde(skip_serializing_if = "Option::is_none")]
        server: Option<String>,
        workers: usize,
    },
    /// The response comes when the new worker serves.
    Restart {
        #[serde(skip_serializing_if = "Option::is_none")]
        server: Option<String>,
        slot: usize,
    },
    /// The response comes when the new supervisor serves.
    Upgrade,
    /// The response comes at once; the program then stops as at SIGTERM.
    Stop,
}

/// The outcome of a command. The error is a sentence for the operator.
pub(crate) type CommandResult = Result<CommandOutput, String>;

/// What a command that succeeded returns.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum CommandOutput {
    Done,
    Status(Status),
}

/// The status of the whole program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Status {
    /// The version of this library.
    pub(crate) version: String,
    /// The process id of the supervisor.
    pub(crate) pid: i32,
    /// What the program is doing, in one word: `starting`, `ready`, `reloading`, …
    pub(crate) phase: String,
    pub(crate) uptime_s: u64,
    pub(crate) servers: Vec<ServerStatus>,
}

/// The status of one server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ServerStatus {
    pub(crate) name: String,
    /// The addresses that it listens on, in the form in which the log shows them.
    pub(crate) addresses: Vec<String>,
    /// In the order of the settings; none without HTTPS.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) certificates: Vec<CertificateStatus>,
    /// In the order of their slots. A slot has up to three processes; a slot without a process has one entry without a
    /// pid.
    pub(crate) workers: Vec<WorkerStatus>,
}

/// A certificate of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CertificateStatus {
    pub(crate) file: String,
    /// The DNS names that it is for.
    pub(crate) names: Vec<String>,
    /// The day on which it expires, as `2027-01-31`.
    pub(crate) expires: String,
    /// Whole days until then, negative when it has expired.
    pub(crate) days_left: i64,
}

#[cfg(feature = "tls")]
impl CertificateStatus {
    pub(crate) fn of(certificate: &CertificateSummary, now: SystemTime) -> Self {
        Self {
            file: certificate.file.clone(),
            names: certificate.names.clone(),
            expires: certificate.last_day.clone(),
            days_left: whole_days(certificate.not_after, now),
        }
    }
}

/// The status of one worker process, as of its last heartbeat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct WorkerStatus {
    pub(crate) slot: usize,
    pub(crate) pid: Option<i32>,
    pub(crate) role: ProcessRole,
    pub(crate) state: ProcessState,
    /// The time since the process was started.
    pub(crate) age_s: u64,
    #[serde(flatten)]
    pub(crate) stats: WorkerStats,
    /// The number of workers of this slot that have died.
    pub(crate) restarts: u32,
}

/// The role of a process in its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ProcessRole {
    /// Serves, or starts in the place of a process that died.
    Serving,
    /// Starts while another one still serves.
    Replacement,
    /// Finishes its requests while another one already serves.
    Retired,
    /// There is no process.
    None,
}

/// The state of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ProcessState {
    Starting,
    Ready,
    Draining,
    /// It has got SIGKILL or SIGABRT, and has not ended yet.
    Killed,
    /// There is no process; the next one starts after a delay.
    Waiting,
}

/// One line of response.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ResponseLine<S> {
    pub(super) ok: bool,
    /// Why the command failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    /// The status, if that was requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<S>,
}

impl WorkerStatus {
    /// The entry of a slot without a process; the next one starts after a delay.
    pub(crate) fn waiting(slot: usize, restarts: u32) -> Self {
        Self {
            slot,
            pid: None,
            role: ProcessRole::None,
            state: ProcessState::Waiting,
            age_s: 0,
            stats: WorkerStats::default(),
            restarts,
        }
    }
}

/// Parses one line of request. The error is a sentence for the operator.
pub(super) fn parse(line: &[u8]) -> Result<Command, String> {
    serde_json::from_slice(line).map_err(|error| {
        format!(
            "invalid request: {error}; send one JSON object per line, for example \
             {{\"command\":\"status\"}}"
        )
    })
}

/// The line of response to a command, with the end of its line.
pub(super) fn response_line(result: CommandResult) -> Vec<u8> {
    let (status, error) = match result {
        Ok(CommandOutput::Done) => (None, None),
        Ok(CommandOutput::Status(status)) => (Some(status), None),
        Err(error) => (None, Some(error)),
    };
    line(&ResponseLine {
        ok: error.is_none(),
        error,
        status,
    })
}

/// A message as JSON, with the end of its line. None of the types of this module fails to serialize.
pub(super) fn line(message: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(message).unwrap_or_default();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(server: Option<&str>) -> Command {
        Command::Scale {
            server: server.map(Into::into),
            workers: 3,
        }
    }

    #[test]
    fn each_command_has_its_line() {
        let restart = Command::Restart {
            server: None,
            slot: 1,
        };
        for (command, text) in [
            (Command::Status, r#"{"command":"status"}"#),
            (Command::Reload, r#"{"command":"reload"}"#),
            (scale(None), r#"{"command":"scale","workers":3}"#),
            (
                scale(Some("shop")),
                r#"{"command":"scale","server":"shop","workers":3}"#,
            ),
            (restart, r#"{"command":"restart","slot":1}"#),
            (Command::Upgrade, r#"{"command":"upgrade"}"#),
            (Command::Stop, r#"{"command":"stop"}"#),
        ] {
            assert_eq!(parse(text.as_bytes()).as_ref(), Ok(&command));
            assert_eq!(line(&command), format!("{text}\n").into_bytes());
        }
        let text = r#" { "workers": 3, "server": null, "command": "scale" } "#;
        assert_eq!(parse(text.as_bytes()), Ok(scale(None)));
    }

    #[test]
    fn an_invalid_command_is_refused_with_a_sentence() {
        for (text, reason) in [
            ("", "EOF while parsing"),
            ("status", "expected value"),
            ("[]", "missing field `command`"),
            ("{}", "missing field `command`"),
            (r#"{"command":"dance"}"#, "unknown variant `dance`"),
            (r#"{"command":"scale"}"#, "missing field `workers`"),
            (r#"{"command":"scale","workers":-1}"#, "-1"),
            (
                r#"{"command":"scale","workers":1,"sever":"a"}"#,
                "unknown field `sever`",
            ),
            (r#"{"command":"stop"} {}"#, "trailing characters"),
            ("\u{0}", "expected value"),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.starts_with("invalid request: "), "{error}");
            assert!(error.contains(reason), "{text}: {error}");
            assert!(!error.contains('\n'));
        }
        assert!(parse(b"\xff").is_err());
    }

    #[test]
    fn a_response_is_one_line() {
        assert_eq!(response_line(Ok(CommandOutput::Done)), b"{\"ok\":true}\n");
        assert_eq!(
            response_line(Err("two\nlines".into())),
            b"{\"ok\":false,\"error\":\"two\\nlines\"}\n"
        );
        let status = Status {
            version: "1.0".into(),
            pid: 7,
            phase: "ready".into(),
            uptime_s: 3,
            servers: Vec::new(),
        };
        let text = response_line(Ok(CommandOutput::Status(status.clone())));
        assert_eq!(
            String::from_utf8_lossy(&text),
            "{\"ok\":true,\"status\":{\"version\":\"1.0\",\"pid\":7,\"phase\":\"ready\",\
             \"uptime_s\":3,\"servers\":[]}}\n"
        );
        let response: ResponseLine<Status> = serde_json::from_slice(&text).unwrap();
        assert_eq!(response.status, Some(status));
    }
}
