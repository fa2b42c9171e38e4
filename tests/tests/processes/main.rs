//! The processes of a server: how they start, share work, die and stop.

mod access_log;
mod activation;
mod addresses;
mod cli;
mod config_file;
mod control_socket;
mod crowded;
mod dead_log;
mod death;
mod hooks;
mod hung;
mod machine;
mod out_of_memory;
mod readiness;
mod recycle;
mod refused_threads;
mod reload;
mod reload_config;
mod reopen_logs;
mod scale;
mod service_manager;
mod signals;
mod spread;
mod start;
mod stop;
mod tls;
mod tls_change;
mod tls_clients;
mod tls_names;
mod tls_redirect;
mod told;
mod under_load;
mod upgrade;
mod watch;
mod websocket;

use tests::{Program, Running, wait_until};

/// A server that misbehaves on request, on a free port by default.
fn probe(arguments: &str) -> Program {
    let program = Program::new(env!("CARGO_BIN_EXE_probe")).args(arguments);
    if arguments.contains("-b ") {
        program
    } else {
        program.args("-b 127.0.0.1:0")
    }
}

/// The exit code and the only line that a start ended with.
fn refused(program: Program) -> (i32, String) {
    let (code, output) = program.env("RUST_BACKTRACE", "0").run();
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(lines.len(), 1, "one line: {lines:?}");
    assert_eq!(debug_form(&output), None, "{output}");
    (code.expect("no signal"), output)
}

/// What of an error is no sentence but the value that a debugger shows: `Kind(Cause)`, `Kind { … }`, bytes as numbers.
fn debug_form(line: &str) -> Option<&str> {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let bytes = line.as_bytes();
    let found = (1..bytes.len().saturating_sub(1)).find(|&at| {
        let (before, after) = (&bytes[at - 1], &bytes[at + 1]);
        match bytes[at] {
            b'(' => is_word(before) && is_word(after),
            b'{' => *before == b' ',
            b'[' => after.is_ascii_digit() && line[at..].contains(", "),
            _ => false,
        }
    })?;
    Some(&line[found..])
}

#[test]
fn the_form_of_a_debugger_is_recognised() {
    for line in [
        "it cannot be used: OtherError(UnsupportedCertVersion)",
        "missing section end marker: [67, 69, 82, 84]",
        "Os { code: 13, kind: PermissionDenied }",
    ] {
        assert!(debug_form(line).is_some(), "{line}");
    }
    for line in [
        "error: cannot listen on [::1]:80: permission denied (os error 13); choose a port above 1023",
        "error: shop.toml:3: unknown key \"a\"; did you mean \"b\"? (exited with code 1)",
    ] {
        assert_eq!(debug_form(line), None);
    }
}

/// A value of a log line.
fn field(line: &str, name: &str) -> String {
    let start = format!("{name}=");
    let word = line
        .split_whitespace()
        .find_map(|word| word.strip_prefix(&start));
    word.unwrap_or_else(|| panic!("no {name} in {line}"))
        .to_owned()
}

fn workers_become(running: &Running, count: usize) {
    wait_until("the right number of workers", || {
        running.workers().len() == count
    });
}
