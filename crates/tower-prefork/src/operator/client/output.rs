use std::{
    fmt::Display,
    io::{self, Write},
};

/// Writes to standard output. Whoever reads it may have enough and go away.
pub(super) fn print(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
}

/// Tells why something was not done.
pub(super) fn complain(problem: impl Display) {
    let _ = writeln!(io::stderr(), "error: {problem}");
}
