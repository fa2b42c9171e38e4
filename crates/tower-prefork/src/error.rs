//! Why a service could not be built, as text for an operator.

use std::{error::Error, fmt::Display};

use serde::{Deserialize, Serialize};
use tower_serve::internal::with_causes;

/// Why a service could not be built: the first line of the error with its causes, and the lines after
/// it as they are. The traceback of an interpreter, for example, is hard to read in one line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reason {
    pub(crate) line: String,
    pub(crate) details: String,
}

impl Reason {
    pub(crate) fn of(error: &(dyn Error + 'static)) -> Self {
        let text = error.to_string();
        let (line, details) = text.split_once('\n').unwrap_or((&text, ""));
        Self {
            line: with_causes(error, line.to_owned()).replace('\n', " "),
            details: details.trim_end().to_owned(),
        }
    }

    /// After `place`, the operator's line; below it the details.
    pub(crate) fn report(&self, place: impl Display) -> String {
        match &*self.details {
            "" => format!("{place}{}", self.line),
            details => format!("{place}{}\n{details}", self.line),
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
    use std::{fmt, io};

    use super::*;

    #[derive(Debug)]
    struct Outer(io::Error);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("cannot open\n  the database")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
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
