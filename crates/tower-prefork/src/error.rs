//! Why a server could not start: [`Error`].

use std::{
    error::Error as StdError,
    fmt::{self, Display},
    process::ExitCode,
};

use serde::{Deserialize, Serialize};
use tower_serve::internal::with_causes;

/// Why a server could not start or keep running: the error of [`Server::try_run`](crate::Server::try_run) and its like.
///
/// Its text is a sentence for the operator, which says what to do. Further lines, as of a traceback, may follow it.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ErrorKind {
    Config,
    Start,
    Worker,
}

impl Error {
    /// The settings are invalid.
    pub(crate) fn config(text: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, text)
    }

    /// The server cannot start, or cannot keep running.
    pub(crate) fn start(text: impl Into<String>) -> Self {
        Self::new(ErrorKind::Start, text)
    }

    /// A worker cannot start, or cannot keep running.
    pub(crate) fn worker(text: impl Into<String>) -> Self {
        Self::new(ErrorKind::Worker, text)
    }

    fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { kind, text }
    }

    /// Whether the settings are invalid, so that the same start would always fail.
    #[must_use]
    pub fn is_config(&self) -> bool {
        self.kind == ErrorKind::Config
    }

    /// Whether this process is a worker. Its supervisor has got the error and logs it, so the worker need not.
    #[must_use]
    pub fn is_in_worker(&self) -> bool {
        self.kind == ErrorKind::Worker
    }

    /// The exit code that [`Server::run`](crate::Server::run) returns: 2 for [invalid settings](Self::is_config),
    /// otherwise 1.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(if self.is_config() { 2 } else { 1 })
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for Error {}

/// Why a service could not be built, in a form that is sent between processes: the first line of the error with its causes,
/// and the lines after it unchanged. A traceback, for example, would be hard to read in one line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reason {
    pub(crate) line: String,
    pub(crate) details: String,
}

impl Reason {
    pub(crate) fn of(error: &(dyn StdError + 'static)) -> Self {
        let text = error.to_string();
        let (line, details) = text.split_once('\n').unwrap_or((&text, ""));
        Self {
            line: with_causes(error, line.to_owned()).replace('\n', " "),
            details: details.trim_end().to_owned(),
        }
    }

    /// The line after `prefix`, and below it the details.
    pub(crate) fn report(&self, prefix: impl Display) -> String {
        match &*self.details {
            "" => format!("{prefix}{}", self.line),
            details => format!("{prefix}{}\n{details}", self.line),
        }
    }
}

impl From<String> for Reason {
    fn from(line: String) -> Self {
        let details = String::new();
        Self { line, details }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug)]
    struct Outer(io::Error);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("cannot open\n  the database")
        }
    }

    impl StdError for Outer {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn the_first_line_is_the_reason_and_the_rest_is_shown_as_it_is() {
        let reason = Reason::of(&Outer(io::Error::other("disk is full")));
        assert_eq!(reason.line, "cannot open: disk is full");
        assert_eq!(
            reason.report("shop: "),
            "shop: cannot open: disk is full\n  the database"
        );
        let reason = Reason::of(&io::Error::other("disk is full"));
        assert_eq!(reason.report("shop: "), "shop: disk is full");
    }
}
