//! Unexpected signals, which would end the process without a word, and the names of signals.

use std::{
    fs,
    future::poll_fn,
    io,
    task::{Context, Poll},
};

use tokio::{
    runtime::Runtime,
    signal::unix::{Signal, SignalKind, signal},
};

use crate::server_log::WarnLimit;

/// The signals that other processes, or a timer, may send. Those by which the kernel ends a process (a fault, `SIGXCPU`)
/// are not among them, nor are those of an operator.
const STRAY: [i32; 7] = [13, 14, 16, 26, 27, 29, 30];
const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=64;

/// Signals that are caught, so that they only cause a warning.
///
/// They are caught and not ignored, so that programs which the application executes have the default dispositions. An
/// application that uses one of them replaces this handler by its own.
#[derive(Debug)]
pub(crate) struct StraySignals(Vec<StraySignal>);

#[derive(Debug)]
struct StraySignal {
    number: i32,
    signal: Signal,
    warnings: WarnLimit,
}

impl StraySignals {
    /// From here on they do not end the process. A signal that is already caught or ignored is left alone.
    pub(crate) fn catch() -> io::Result<Self> {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let taken = taken(&status);
        let all = STRAY.into_iter().chain(REAL_TIME);
        let free = all.filter(|number| taken >> (number - 1) & 1 == 0);
        let stray = free.map(|number| {
            Ok(StraySignal {
                number,
                signal: signal(SignalKind::from_raw(number))?,
                warnings: WarnLimit::default(),
            })
        });
        stray.collect::<io::Result<_>>().map(Self)
    }

    /// Warns of signals that arrive, of each at most once a minute.
    pub(crate) async fn warn(mut self) {
        loop {
            let number = poll_fn(|cx| self.poll_next(cx)).await;
            tracing::warn!(signal = signal_name(number), "unexpected signal ignored");
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<i32> {
        for stray in &mut self.0 {
            while stray.signal.poll_recv(cx).is_ready() {
                if stray.warnings.is_due() {
                    return Poll::Ready(stray.number);
                }
            }
        }
        Poll::Pending
    }
}

/// Catches them on this runtime. To be called before the application is loaded.
pub(crate) fn ignore_stray_signals(runtime: &Runtime) -> io::Result<()> {
    let _inside = runtime.enter();
    drop(runtime.spawn(StraySignals::catch()?.warn()));
    Ok(())
}

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

/// A bit for each signal that is ignored or caught, the first one for number 1.
fn taken(status: &str) -> u64 {
    let mask = |name: &str| {
        let mut lines = status.lines();
        let mask = lines.find_map(|line| line.strip_prefix(name))?;
        u64::from_str_radix(mask.trim(), 16).ok()
    };
    mask("SigIgn:").unwrap_or_default() | mask("SigCgt:").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_that_are_caught_or_ignored_are_recognized() {
        let status =
            "SigBlk:\tffffffffffffffff\nSigIgn:\t0000000000001000\nSigCgt:\t0000000100002000\n";
        assert_eq!(taken(status), 1 << 12 | 1 << 13 | 1 << 32);
        assert_eq!(taken(""), 0);
    }
}
