//! Whether a case reaches its targets.

use std::fmt;

use super::figures::{self, Rounds};
use crate::{
    case::Case,
    record::Record,
    stats::Summary,
    target::{Against, Bound, Figure, Target},
};

/// What came of one target.
pub(super) struct Verdict {
    pub(super) target: Target,
    pub(super) measured: String,
    /// Ours to the other, or the figure itself; nothing where there is nothing to judge.
    pub(super) ratio: Option<Summary>,
    pub(super) end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Met,
    Missed,
    /// There is nothing to judge.
    Open,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Met => "met",
            Self::Missed => "**missed**",
            Self::Open => "open",
        })
    }
}

impl Verdict {
    /// The target.
    pub(super) fn words(&self) -> String {
        words(self.target)
    }
}

/// One for each target of the case.
pub(super) fn verdicts(row: u8, case: &Case, records: &[Record]) -> Vec<Verdict> {
    let rounds = figures::of(row, case, case.judged, records);
    let targets = case.targets.iter();
    targets
        .map(|target| {
            let (measured, ratio, end) = judge(case, *target, &rounds);
            Verdict {
                target: *target,
                measured,
                ratio,
                end,
            }
        })
        .collect()
}

fn judge(case: &Case, target: Target, rounds: &[Rounds<'_>]) -> (String, Option<Summary>, End) {
    let name = case.contenders.first().map(|it| it.program.name.as_str());
    let Some((ours, others)) = rounds
        .split_first()
        .filter(|(ours, _)| Some(ours.name) == name)
    else {
        return ("not measured".to_owned(), None, End::Open);
    };
    if let Some(reason) = ours.disqualified() {
        return (format!("ours does not count: {reason}"), None, End::Missed);
    }
    if target.against == Against::None {
        let value = ours.summary(target.figure);
        let end = end(target.bound, value.median);
        return (format!("{:.0}", value.median), Some(value), end);
    }
    let counting = || others.iter().filter(|other| other.disqualified().is_none());
    let compared = counting().map(|other| (other, ratio(ours, other, target.figure)));
    let chosen = match target.against {
        Against::Named(name) => compared
            .filter(|(other, _)| other.name.starts_with(name))
            .reduce(|a, b| worse(target.bound, a, b)),
        Against::Best => {
            let best = counting().max_by(|a, b| {
                let rate = |it: &Rounds<'_>| it.summary(Figure::Throughput).median;
                rate(a).total_cmp(&rate(b))
            });
            best.map(|best| (best, ratio(ours, best, target.figure)))
        }
        Against::Each | Against::None => compared.reduce(|a, b| worse(target.bound, a, b)),
    };
    let Some((other, (ratio, by_cpu))) = chosen else {
        return ("no peer counts".to_owned(), None, End::Open);
    };
    let by_cpu = if by_cpu {
        ", by CPU: the load is the limit"
    } else {
        ""
    };
    (
        format!("{:.2} ({}{by_cpu}; {ratio})", ratio.median, other.name),
        Some(ratio),
        end(target.bound, ratio.median),
    )
}

/// The ratio, and whether it is that of the processor times in place of the rates.
fn ratio(ours: &Rounds<'_>, other: &Rounds<'_>, figure: Figure) -> (Summary, bool) {
    let limited = ours.is_at_the_limit() || other.is_at_the_limit();
    if figure == Figure::Throughput && limited {
        (other.ratio(ours, Figure::Cpu), true)
    } else {
        (ours.ratio(other, figure), false)
    }
}

type Compared<'a, 'b> = (&'a Rounds<'b>, (Summary, bool));

fn worse<'a, 'b>(bound: Bound, a: Compared<'a, 'b>, b: Compared<'a, 'b>) -> Compared<'a, 'b> {
    let b_is_worse = match bound {
        Bound::AtLeast(_) => b.1.0.median < a.1.0.median,
        Bound::AtMost(_) => b.1.0.median > a.1.0.median,
    };
    if b_is_worse { b } else { a }
}

fn end(bound: Bound, ratio: f64) -> End {
    if bound.is_met(ratio) {
        End::Met
    } else {
        End::Missed
    }
}

fn words(target: Target) -> String {
    let figure = match target.figure {
        Figure::Throughput => "throughput",
        Figure::Cpu => "CPU per request",
        Figure::P99 => "p99",
        Figure::Rss => "resident memory",
        Figure::PerConnection => "memory per connection",
        Figure::Start => "time to the first response",
    };
    let (bound, number) = match target.bound {
        Bound::AtLeast(number) => ("≥", number),
        Bound::AtMost(number) => ("≤", number),
    };
    let of = match target.against {
        Against::Named(name) => format!(" of {name}'s"),
        Against::None => " ms".to_owned(),
        Against::Each | Against::Best => String::new(),
    };
    format!("{figure} {bound} {number}{of}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{case::Mode, load::Load, program::Program};

    fn case(targets: &[Target]) -> Case {
        let program = |name: &str| Program::new(name, name.into(), "{port}", "");
        let names = ["ours", "fast", "slow"];
        let programs = names.map(program).into();
        let case = Case::load("hello", &Load::get(64, b""), programs);
        targets
            .iter()
            .fold(case, |case, target| case.target(*target))
    }

    /// One round of a server.
    fn record(server: &str, rate: f64, cpu: f64, p99: f64) -> Record {
        Record {
            requests_per_second: Some(rate),
            cpu_us_per_request: Some(cpu),
            p99_ms: Some(p99),
            errors: Some(0),
            connections: Some(64),
            unserved: Some(0),
            ..Record::new(1, "hello", Mode::Pinned, server, 1)
        }
    }

    fn judged(target: Target, records: &[Record]) -> (String, End) {
        let verdicts = verdicts(1, &case(&[target]), records);
        let [verdict] = <[Verdict; 1]>::try_from(verdicts).ok().expect("one target");
        (verdict.measured, verdict.end)
    }

    #[test]
    fn the_worst_ratio_counts() {
        let records = [
            record("ours", 100.0, 10.0, 2.0),
            record("fast", 80.0, 12.0, 1.0),
            record("slow", 50.0, 20.0, 9.0),
        ];
        let target = Target::throughput(1.2);
        assert_eq!(
            judged(target, &records),
            ("1.25 (fast; 1.25–1.25)".to_owned(), End::Met)
        );
        let target = Target::at_most(Figure::P99, Against::Best, 1.0);
        assert_eq!(
            judged(target, &records),
            ("2.00 (fast; 2.00–2.00)".to_owned(), End::Missed)
        );
        let target = Target::at_most(Figure::P99, Against::Named("slow"), 0.25);
        assert_eq!(
            judged(target, &records),
            ("0.22 (slow; 0.22–0.22)".to_owned(), End::Met)
        );
    }

    #[test]
    fn a_server_that_fails_or_leaves_connections_alone_does_not_count() {
        let unserved = Record {
            unserved: Some(54),
            ..record("fast", 200.0, 5.0, 1.0)
        };
        let records = [record("ours", 100.0, 10.0, 2.0), unserved];
        let target = Target::throughput(1.0);
        assert_eq!(
            judged(target, &records),
            ("no peer counts".to_owned(), End::Open)
        );
        let failed = Record {
            errors: Some(3),
            ..record("ours", 100.0, 10.0, 2.0)
        };
        let records = [failed, record("fast", 80.0, 12.0, 1.0)];
        let measured = "ours does not count: 3 requests failed".to_owned();
        assert_eq!(judged(target, &records), (measured, End::Missed));
    }

    #[test]
    fn processor_time_counts_where_the_load_is_the_limit() {
        let busy = |load_busy, record| Record {
            load_busy: Some(load_busy),
            ..record
        };
        let records = [
            busy(0.85, record("ours", 150.0, 6.0, 2.0)),
            busy(0.95, record("fast", 150.0, 9.0, 1.0)),
        ];
        let measured = "1.50 (fast, by CPU: the load is the limit; 1.50–1.50)".to_owned();
        assert_eq!(
            judged(Target::throughput(1.2), &records),
            (measured, End::Met)
        );
    }

    #[test]
    fn what_was_not_measured_is_open() {
        let records = [record("fast", 80.0, 12.0, 1.0)];
        let measured = "not measured".to_owned();
        assert_eq!(
            judged(Target::throughput(1.0), &records),
            (measured, End::Open)
        );
    }
}
