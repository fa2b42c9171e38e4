//! Tests that this machine does not allow.

use std::{env, fs::OpenOptions, io::Write, thread};

/// Notes that this machine does not allow the test that calls this, which should then return.
///
/// `cargo xtask test` counts and names such tests at its end. Where the variable `CI` is `true`, all that tests need
/// must be there.
///
/// # Panics
///
/// Where `CI` is `true`.
pub fn skip(reason: &str) {
    let must_run = env::var_os("CI").is_some_and(|ci| ci == "true");
    assert!(
        !must_run,
        "skipped, and with CI=true nothing may be: {reason}"
    );
    let thread = thread::current();
    let name = thread.name().unwrap_or("a test");
    eprintln!("skipped: {reason}");
    if let Some(notes) = env::var_os("TEST_NOTES") {
        let line = format!("skipped\t{name}\t{reason}\n");
        let notes = OpenOptions::new().append(true).open(notes);
        // In one write: tests of other processes note at the same time.
        let noted = notes.and_then(|mut notes| notes.write_all(line.as_bytes()));
        noted.expect("the file of TEST_NOTES can be written");
    }
}
