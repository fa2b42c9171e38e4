//! The names of signals.

/// The first of the real-time signals that programs may use.
const SIGRTMIN: i32 = 34;
const SIGRTMAX: i32 = 64;

/// The name of a signal, as operators know it.
pub(crate) fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        10 => "SIGUSR1",
        11 => "SIGSEGV",
        12 => "SIGUSR2",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        16 => "SIGSTKFLT",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        26 => "SIGVTALRM",
        27 => "SIGPROF",
        29 => "SIGIO",
        30 => "SIGPWR",
        31 => "SIGSYS",
        SIGRTMIN..=SIGRTMAX => return format!("SIGRTMIN+{}", signal - SIGRTMIN),
        _ => return format!("signal {signal}"),
    };
    name.into()
}
