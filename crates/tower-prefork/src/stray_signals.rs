//! Signals that are of no use here, and that would end the process without a word.

use std::{
    fs,
    future::poll_fn,
    io,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::{
    runtime::Runtime,
    signal::unix::{Signal, SignalKind, signal},
};

use crate::signal_name::signal_name;

/// What others, or a timer, may send. Not among them: what the kernel ends a process with (a fault, `SIGXCPU`), and
/// what an operator asks by.
const STRAY: [i32; 7] = [13, 14, 16, 26, 27, 29, 30];
const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=64;

/// How often the same signal is told of.
const AGAIN: Duration = Duration::from_secs(60);

/// Signals that are caught, to be warned of.
///
/// They are caught and not ignored: what the application executes gets the usual dispositions. An application
/// that wants one of them sets its own handler over this one.
#[derive(Debug)]
pub(crate) struct StraySignals(Vec<Stray>);

#[derive(Debug)]
struct Stray {
    number: i32,
    signal: Signal,
    told: Option<Instant>,
}

impl StraySignals {
    /// From here on they do not end the process. What somebody else has caught or ignored is left alone.
    pub(crate) fn catch() -> io::Result<Self> {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let taken = taken(&status);
        let all = STRAY.into_iter().chain(REAL_TIME);
        let free = all.filter(|number| taken >> (number - 1) & 1 == 0);
        let stray = free.map(|number| {
            Ok(Stray {
                number,
                signal: signal(SignalKind::from_raw(number))?,
                told: None,
            })
        });
        stray.collect::<io::Result<_>>().map(Self)
    }

    /// Warns of those that come, of each at most once a minute.
    pub(crate) async fn warn(mut self) {
        loop {
            let number = poll_fn(|cx| self.poll_next(cx)).await;
            tracing::warn!(
                signal = signal_name(number),
                "a signal that means nothing here is ignored"
            );
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<i32> {
        for stray in &mut self.0 {
            while stray.signal.poll_recv(cx).is_ready() {
                if stray.told.is_none_or(|told| told.elapsed() >= AGAIN) {
                    stray.told = Some(Instant::now());
                    return Poll::Ready(stray.number);
                }
            }
        }
        Poll::Pending
    }
}

/// Has the runtime warn of them, before the application is loaded.
pub(crate) fn ignore_stray_signals(runtime: &Runtime) -> io::Result<()> {
    let _inside = runtime.enter();
    drop(runtime.spawn(StraySignals::catch()?.warn()));
    Ok(())
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
    fn what_somebody_has_taken_is_known() {
        let status =
            "SigBlk:\tffffffffffffffff\nSigIgn:\t0000000000001000\nSigCgt:\t0000000100002000\n";
        assert_eq!(taken(status), 1 << 12 | 1 << 13 | 1 << 32);
        assert_eq!(taken(""), 0);
    }
}
