//! Errors and panics as text for an operator.

use std::{any::Any, error::Error, fmt::Write};

/// An error of any kind.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// An error and its causes, in one line.
#[must_use]
pub(crate) fn error_text(error: &(dyn Error + 'static)) -> String {
    let text = with_causes(error, error.to_string());
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

/// The causes of an error, after this text of the error itself.
#[must_use]
pub fn with_causes(error: &(dyn Error + 'static), mut text: String) -> String {
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        // Many errors repeat their cause in their own text.
        if !text.ends_with(&cause) {
            let _ = write!(text, ": {cause}");
        }
        source = error.source();
    }
    text
}

/// What a panic said.
#[must_use]
pub fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
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
    fn an_error_is_one_line_with_its_causes() {
        let error = Outer(io::Error::other("disk is full"));
        assert_eq!(error_text(&error), "cannot open the database: disk is full");
    }

    #[test]
    fn a_panic_has_its_message() {
        let panic = std::panic::catch_unwind(|| panic!("no {}", "config")).unwrap_err();
        assert_eq!(panic_text(&*panic), "no config");
    }
}
