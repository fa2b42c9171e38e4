//! Panics, in the server log: what Rust prints of them goes to standard error, and waits for it.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    fmt::Write,
    panic::{self, PanicHookInfo},
    thread,
};

use super::process;
use tower_serve::internal::panic_text;

/// From here on panics are in the server log.
pub(crate) fn log_panics() {
    panic::set_hook(Box::new(|info| {
        process::write(text(info).as_bytes());
        // The process may end with it.
        process::flush();
    }));
}

/// As Rust prints it.
fn text(info: &PanicHookInfo<'_>) -> String {
    let thread = thread::current();
    let name = thread.name().unwrap_or("<unnamed>");
    let mut text = format!("\nthread '{name}' panicked");
    if let Some(place) = info.location() {
        // Writing to a text does not fail.
        let _ = write!(text, " at {place}");
    }
    let _ = writeln!(text, ":\n{}", panic_text(info.payload()));
    let trace = Backtrace::capture();
    if trace.status() == BacktraceStatus::Captured {
        let _ = writeln!(text, "stack backtrace:\n{trace}");
    }
    text
}
