//! The lines of the control socket.

use serde::{Deserialize, Serialize};

use super::{Answer, Command};

/// Bytes of a request, without the end of its line.
pub(super) const MAX_REQUEST: usize = 4 << 10;

/// One line of answer.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Reply<S> {
    pub(super) ok: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    /// What was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<S>,
}

/// Understands one line of request. The error is a sentence for the operator.
pub(super) fn parse(line: &[u8]) -> Result<Command, String> {
    serde_json::from_slice(line).map_err(|error| {
        format!(
            "the request is not understood: {error}; send one JSON object a line, as in \
             {{\"command\":\"status\"}}"
        )
    })
}

/// The line that answers, with its end.
pub(super) fn reply(result: Result<Answer, String>) -> Vec<u8> {
    let (status, error) = match result {
        Ok(Answer::Done) => (None, None),
        Ok(Answer::Status(status)) => (Some(status), None),
        Err(error) => (None, Some(error)),
    };
    line(&Reply {
        ok: error.is_none(),
        error,
        status,
    })
}

/// As JSON, with the end of its line. What travels here has no other form that JSON lacks.
pub(super) fn line(message: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(message).unwrap_or_default();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::{super::Status, *};

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
    fn what_is_no_command_is_refused_in_a_sentence() {
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
            assert!(
                error.starts_with("the request is not understood: "),
                "{error}"
            );
            assert!(error.contains(reason), "{text}: {error}");
            assert!(!error.contains('\n'));
        }
        assert!(parse(b"\xff").is_err());
    }

    #[test]
    fn an_answer_is_one_line() {
        assert_eq!(reply(Ok(Answer::Done)), b"{\"ok\":true}\n");
        assert_eq!(
            reply(Err("two\nlines".into())),
            b"{\"ok\":false,\"error\":\"two\\nlines\"}\n"
        );
        let status = Status {
            version: "1.0".into(),
            pid: 7,
            phase: "ready".into(),
            uptime_s: 3,
            servers: Vec::new(),
        };
        let text = reply(Ok(Answer::Status(status.clone())));
        assert_eq!(
            String::from_utf8_lossy(&text),
            "{\"ok\":true,\"status\":{\"version\":\"1.0\",\"pid\":7,\"phase\":\"ready\",\
             \"uptime_s\":3,\"servers\":[]}}\n"
        );
        let reply: Reply<Status> = serde_json::from_slice(&text).unwrap();
        assert_eq!(reply.status, Some(status));
    }
}
