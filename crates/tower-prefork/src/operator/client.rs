//! The client of the control socket.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use serde::de::DeserializeOwned;

use super::{
    Command,
    protocol::{ResponseLine, line},
};

/// The longest response in bytes; the status of thousands of workers is shorter.
const MAX_RESPONSE: u64 = 16 << 20;

/// The timeout of commands that are carried out at once.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The response to a command that has succeeded.
#[derive(Debug)]
pub(super) struct CtlResponse<S> {
    /// As it was received.
    pub(super) line: String,
    status: Option<S>,
}

impl<S> CtlResponse<S> {
    pub(super) fn status(self) -> Result<S, String> {
        self.status.ok_or_else(|| invalid("it has no status"))
    }
}

/// Sends a command, and waits for the response. The error is a sentence for the operator.
pub(super) fn send<S: DeserializeOwned>(
    socket: &Path,
    command: &Command,
) -> Result<CtlResponse<S>, String> {
    let place = socket.display();
    let stream = UnixStream::connect(socket).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!(
            "there is no control socket at {place}; start the server with --control-socket {place}, \
             or give the path of its control socket"
        ),
        io::ErrorKind::ConnectionRefused => {
            format!("connection refused at {place}; the server is not running, start it again")
        }
        io::ErrorKind::PermissionDenied => format!(
            "permission denied at {place}; only root and the user that started the server may use it"
        ),
        _ => format!("cannot connect to {place}: {error}"),
    })?;
    let line = exchange(stream, command).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => format!(
            "no response from {place} within {} seconds; check whether the supervisor is stopped",
            TIMEOUT.as_secs()
        ),
        _ => format!("the connection to {place} failed: {error}"),
    })?;
    if line.is_empty() {
        return Err(format!(
            "no response from {place}; the log of the server tells whether it has ended"
        ));
    }
    parse(line)
}

/// Sends the command and returns the line of the response.
fn exchange(mut stream: UnixStream, command: &Command) -> io::Result<String> {
    if matches!(command, Command::Status | Command::Stop) {
        stream.set_read_timeout(Some(TIMEOUT))?;
    }
    // A server that refuses the client has sent the reason before it closed the connection.
    match stream.write_all(&line(command)) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
        _ => {}
    }
    let mut line = Vec::new();
    let mut stream = BufReader::new(stream.take(MAX_RESPONSE));
    stream.read_until(b'\n', &mut line)?;
    String::from_utf8(line).map_err(io::Error::other)
}

fn parse<S: DeserializeOwned>(line: String) -> Result<CtlResponse<S>, String> {
    let response: ResponseLine<S> = serde_json::from_str(&line).map_err(invalid)?;
    match response.error {
        None if response.ok => Ok(CtlResponse {
            line,
            status: response.status,
        }),
        error => Err(error.unwrap_or_else(|| "the command failed without a reason".into())),
    }
}

fn invalid(problem: impl std::fmt::Display) -> String {
    format!("invalid response: {problem}; use the ctl of the same version as the server")
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixListener, thread};

    use serde::de::IgnoredAny;

    use super::*;

    /// What the client makes of a response.
    fn received(response: &'static str) -> Result<String, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control");
        let listener = UnixListener::bind(&path).unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = String::new();
            BufReader::new(&stream).read_line(&mut request).unwrap();
            stream.write_all(response.as_bytes()).unwrap();
            request
        });
        let result = send::<IgnoredAny>(&path, &Command::Reload);
        assert_eq!(server.join().unwrap(), "{\"command\":\"reload\"}\n");
        result.map(|response| response.line)
    }

    #[test]
    fn a_response_is_a_line() {
        let line = "{\"ok\":true,\"new\":1}\n";
        assert_eq!(received(line), Ok(line.into()));
    }

    #[test]
    fn a_failed_command_is_an_error() {
        let refusal = r#"{"ok":false,"error":"not now"}"#;
        assert_eq!(received(refusal), Err("not now".into()));
        assert!(received(r#"{"ok":false}"#).is_err());
    }

    #[test]
    fn a_missing_or_invalid_response_is_an_error() {
        assert!(received("").unwrap_err().starts_with("no response from /"));
        let error = received("what?\n").unwrap_err();
        assert!(error.starts_with("invalid response: "), "{error}");
    }

    #[test]
    fn a_server_that_is_not_running_is_an_error_that_says_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control");
        let send = || send::<IgnoredAny>(&path, &Command::Status).unwrap_err();
        assert!(send().starts_with("there is no control socket at "));
        drop(UnixListener::bind(&path).unwrap());
        assert!(send().starts_with("connection refused at "));
    }
}
