//! The processor time that the host of a virtual machine gives to others.

use std::{cell::Cell, fs};

use crate::{Failure, load::float};

/// Above this share of the machine's time, a round measures its neighbours more than a server.
const MUCH: f64 = 0.02;

/// A measurement that has lost more than this share of its time is repeated, this number of times at most.
const TRIES: usize = 5;

/// How often in a whole run: it has to end.
pub(crate) struct Repeats(Cell<usize>);

impl Default for Repeats {
    fn default() -> Self {
        Self(Cell::new(90))
    }
}

impl Repeats {
    fn take(&self) -> bool {
        let left = self.0.get();
        self.0.set(left.saturating_sub(1));
        left > 0
    }
}

/// Of some tries, the one that has lost the least; and which part of the machine's time that was.
pub(super) fn least<T>(
    repeats: &Repeats,
    mut measure: impl FnMut() -> Result<T, Failure>,
) -> Result<(T, f64), Failure> {
    least_by(repeats, || {
        let before = Times::now();
        let measured = measure()?;
        Ok((measured, Times::now().stolen_since(before)))
    })
}

fn least_by<T>(
    repeats: &Repeats,
    mut measure: impl FnMut() -> Result<(T, f64), Failure>,
) -> Result<(T, f64), Failure> {
    let mut best = measure()?;
    for _ in 1..TRIES {
        if best.1 <= MUCH || !repeats.take() {
            break;
        }
        let again = measure()?;
        if again.1 < best.1 {
            best = again;
        }
    }
    Ok(best)
}

/// The machine's time since it was started, in ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Times {
    stolen: u64,
    all: u64,
}

impl Times {
    /// Without `/proc/stat` nothing is stolen.
    fn now() -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        Self::parse(&stat).unwrap_or_default()
    }

    /// `cpu user nice system idle iowait irq softirq steal guest guest_nice`; a guest's is also the user's.
    fn parse(stat: &str) -> Option<Self> {
        let line = stat.lines().next()?.strip_prefix("cpu ")?;
        let ticks = line.split_whitespace().take(8).map(str::parse);
        let ticks: Vec<u64> = ticks.collect::<Result<_, _>>().ok()?;
        Some(Self {
            stolen: *ticks.get(7)?,
            all: ticks.iter().sum(),
        })
    }

    fn stolen_since(self, before: Self) -> f64 {
        let all = self.all.saturating_sub(before.all).max(1);
        float(self.stolen.saturating_sub(before.stolen)) / float(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tries that `least_by` has made of `shares`, and its choice.
    fn tries(repeats: &Repeats, shares: &[f64]) -> (usize, f64) {
        let mut left = shares.iter();
        let mut made = 0;
        let (number, share) = least_by(repeats, || {
            made += 1;
            Ok((made, *left.next().expect("a try too many")))
        })
        .expect("no try fails");
        assert!((shares[number - 1] - share).abs() < f64::EPSILON);
        (made, share)
    }

    #[test]
    fn what_was_stolen_from_is_measured_again() {
        let repeats = Repeats::default();
        assert_eq!(tries(&repeats, &[0.02]), (1, 0.02));
        assert_eq!(tries(&repeats, &[0.3, 0.1, 0.0]), (3, 0.0));
        assert_eq!(tries(&repeats, &[0.3, 0.1, 0.2, 0.4, 0.5]), (5, 0.1));
    }

    #[test]
    fn a_run_has_an_end() {
        let repeats = Repeats(Cell::new(1));
        assert_eq!(tries(&repeats, &[0.3, 0.4]), (2, 0.3));
        assert_eq!(tries(&repeats, &[0.5]), (1, 0.5));
    }

    #[test]
    fn the_kernel_tells_what_was_stolen() {
        let before = Times::parse("cpu  10 0 10 60 5 0 5 10 7 0\ncpu0 1 2").expect("times");
        assert_eq!(
            before,
            Times {
                stolen: 10,
                all: 100
            }
        );
        let after = Times {
            stolen: 20,
            all: 300,
        };
        assert!((after.stolen_since(before) - 0.05).abs() < 1e-9);
        assert_eq!(Times::parse("cpu  10 0 10"), None);
        assert!(Times::now().all > 0);
    }
}
