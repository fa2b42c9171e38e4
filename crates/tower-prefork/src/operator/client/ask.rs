use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use serde::de::DeserializeOwned;

use crate::operator::{
    Command,
    protocol::{Reply, line},
};

/// Bytes of an answer; that of thousands of workers has fewer.
const MAX_ANSWER: u64 = 16 << 20;

/// How long an answer may take that needs no work.
const SOON: Duration = Duration::from_secs(10);

/// What the program has answered to a command that it has obeyed.
#[derive(Debug)]
pub(super) struct Answer<S> {
    /// As it came.
    pub(super) line: String,
    status: Option<S>,
}

impl<S> Answer<S> {
    pub(super) fn status(self) -> Result<S, String> {
        self.status.ok_or_else(|| misunderstood("it has no status"))
    }
}

/// Sends a command, and waits for the answer. The error is a sentence for the operator.
pub(super) fn ask<S: DeserializeOwned>(
    socket: &Path,
    command: &Command,
) -> Result<Answer<S>, String> {
    let place = socket.display();
    let stream = UnixStream::connect(socket).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!(
            "there is no control socket at {place}; start the server with --control-socket {place}, \
             or give the one that it has"
        ),
        io::ErrorKind::ConnectionRefused => {
            format!("nobody answers at {place}; the server that made it has ended, start it again")
        }
        io::ErrorKind::PermissionDenied => format!(
            "permission denied at {place}; only the user that the server was started by, and root, \
             may use it"
        ),
        _ => format!("cannot connect to {place}: {error}"),
    })?;
    let line = talk(stream, command).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => format!(
            "no answer from {place} within {} seconds; see whether the supervisor is halted",
            SOON.as_secs()
        ),
        _ => format!("the connection to {place} broke: {error}"),
    })?;
    if line.is_empty() {
        return Err(format!(
            "no answer from {place}; see in the server's log whether it has ended"
        ));
    }
    understand(line)
}

/// Gives the line of the answer.
fn talk(mut stream: UnixStream, command: &Command) -> io::Result<String> {
    if matches!(command, Command::Status | Command::Stop) {
        stream.set_read_timeout(Some(SOON))?;
    }
    // Whoever refuses to listen has said why.
    match stream.write_all(&line(command)) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
        _ => {}
    }
    let mut line = Vec::new();
    let mut stream = BufReader::new(stream.take(MAX_ANSWER));
    stream.read_until(b'\n', &mut line)?;
    String::from_utf8(line).map_err(io::Error::other)
}

fn understand<S: DeserializeOwned>(line: String) -> Result<Answer<S>, String> {
    let reply: Reply<S> = serde_json::from_str(&line).map_err(misunderstood)?;
    match reply.error {
        None if reply.ok => Ok(Answer {
            line,
            status: reply.status,
        }),
        error => Err(error.unwrap_or_else(|| "the server refuses, and says no reason".into())),
    }
}

fn misunderstood(problem: impl std::fmt::Display) -> String {
    format!("the answer is not understood: {problem}; use the ctl of the server's own version")
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixListener, thread};

    use serde::de::IgnoredAny;

    use super::*;

    /// What comes of an answer.
    fn answered(answer: &'static str) -> Result<String, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control");
        let listener = UnixListener::bind(&path).unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = String::new();
            BufReader::new(&stream).read_line(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            request
        });
        let asked = ask::<IgnoredAny>(&path, &Command::Reload);
        assert_eq!(server.join().unwrap(), "{\"command\":\"reload\"}\n");
        asked.map(|answer| answer.line)
    }

    #[test]
    fn an_answer_is_a_line() {
        let line = "{\"ok\":true,\"new\":1}\n";
        assert_eq!(answered(line), Ok(line.into()));
    }

    #[test]
    fn a_refusal_is_an_error() {
        let refusal = r#"{"ok":false,"error":"not now"}"#;
        assert_eq!(answered(refusal), Err("not now".into()));
        assert!(answered(r#"{"ok":false}"#).is_err());
    }

    #[test]
    fn no_answer_is_an_error_that_says_where() {
        assert!(answered("").unwrap_err().starts_with("no answer from /"));
        let error = answered("what?\n").unwrap_err();
        assert!(
            error.starts_with("the answer is not understood: "),
            "{error}"
        );
    }

    #[test]
    fn nobody_there_is_an_error_that_says_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control");
        let ask = || ask::<IgnoredAny>(&path, &Command::Status).unwrap_err();
        assert!(ask().starts_with("there is no control socket at "));
        drop(UnixListener::bind(&path).unwrap());
        assert!(ask().starts_with("nobody answers at "));
    }
}
