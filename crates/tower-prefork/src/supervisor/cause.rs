use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

use crate::signal_name::signal_name;

/// What the kernel sends when memory runs out.
const SIGKILL: i32 = 9;

/// How a process ended, in words. Whether memory ran out is asked only if that may be why.
pub(super) fn describe(status: ExitStatus, out_of_memory: impl FnOnce() -> bool) -> String {
    if let Some(code) = status.code() {
        return format!("exited with code {code}");
    }
    let signal = status.signal().unwrap_or_default();
    if signal == SIGKILL && out_of_memory() {
        return "killed by SIGKILL: out of memory".into();
    }
    let core = if status.core_dumped() {
        " (core dumped)"
    } else {
        ""
    };
    format!("killed by {}{core}", signal_name(signal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_signals_have_words() {
        for (raw, words) in [
            (0, "exited with code 0"),
            (3 << 8, "exited with code 3"),
            (9, "killed by SIGKILL"),
            (6 | 0x80, "killed by SIGABRT (core dumped)"),
            (40, "killed by SIGRTMIN+6"),
        ] {
            assert_eq!(describe(ExitStatus::from_raw(raw), || false), words);
        }
    }

    #[test]
    fn only_a_kill_is_for_want_of_memory() {
        let words = |raw| describe(ExitStatus::from_raw(raw), || true);
        assert_eq!(words(9), "killed by SIGKILL: out of memory");
        assert_eq!(words(15), "killed by SIGTERM");
        assert_eq!(words(9 << 8), "exited with code 9");
    }
}
