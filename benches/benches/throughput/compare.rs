//! One comparison: two servers, and the load on them in turns.

use std::{
    env, fmt,
    process::{Command, Output},
    time::Duration,
};

use benches::stats::Summary;

use crate::{Error, server::Server, serving::Case};

/// How much is measured.
pub(crate) struct Plan {
    rounds: usize,
    connections: usize,
    /// Of each round and server.
    duration: Duration,
    wrk: bool,
}

impl Plan {
    /// Whether everything answers, rather than how fast.
    pub(crate) fn test() -> Self {
        Self {
            rounds: 1,
            connections: 8,
            duration: Duration::from_millis(100),
            wrk: false,
        }
    }

    pub(crate) fn full() -> Self {
        let path = env::var_os("PATH").unwrap_or_default();
        Self {
            // Many short rounds: the speed of a shared machine drifts, and neighbours drift together.
            rounds: 15,
            connections: 64,
            duration: Duration::from_secs(1),
            wrk: env::split_paths(&path).any(|directory| directory.join("wrk").is_file()),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let load = if self.wrk {
            "wrk"
        } else {
            "the built-in client"
        };
        let seconds = self.duration.as_secs_f64();
        let (rounds, connections) = (self.rounds, self.connections);
        write!(
            f,
            "Load: {load}, {connections} connections; rounds: {rounds} of {seconds} s each, in turns."
        )
    }
}

/// A row of the table.
pub(crate) struct Comparison {
    case: Case,
    base: Case,
    /// Of each round: the case's, and the base's.
    rounds: Vec<(Round, Round)>,
}

struct Round {
    requests_per_second: f64,
    cpu_per_request: Duration,
}

/// Measures `case` and `base` in turns. Fails if one gives a wrong answer.
pub(crate) fn compare(case: Case, base: Case, plan: &Plan) -> Result<Comparison, Error> {
    let servers = (Server::start(case)?, Server::start(base)?);
    for server in [&servers.0, &servers.1] {
        // Warms it up as well. `wrk` does not look at bodies.
        own_load(server, plan.duration / 10, plan.connections)?;
    }
    let mut rounds = Vec::with_capacity(plan.rounds);
    for _ in 0..plan.rounds {
        rounds.push((measure(&servers.0, plan)?, measure(&servers.1, plan)?));
    }
    Ok(Comparison { case, base, rounds })
}

fn measure(server: &Server, plan: &Plan) -> Result<Round, Error> {
    let before = server.cpu_seconds()?;
    let (requests, seconds) = if plan.wrk {
        let seconds = plan.duration.as_secs().to_string();
        load([
            "--wrk",
            &server.address,
            &seconds,
            &plan.connections.to_string(),
        ])?
    } else {
        own_load(server, plan.duration, plan.connections)?
    };
    let cpu = server.cpu_seconds()? - before;
    Ok(Round {
        requests_per_second: requests / seconds,
        cpu_per_request: Duration::from_secs_f64(cpu / requests.max(1.0)),
    })
}

fn own_load(server: &Server, duration: Duration, connections: usize) -> Result<(f64, f64), Error> {
    let (millis, connections) = (duration.as_millis().to_string(), connections.to_string());
    load(["--load", &server.address, &millis, &connections])
}

/// Runs the load. Gives the number of requests, and the seconds that they took.
fn load(arguments: [&str; 4]) -> Result<(f64, f64), Error> {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env::current_exe()?).args(arguments).output()?;
    let report = String::from_utf8(stdout)?;
    let failed = ["Non-2xx", "Socket errors"]
        .iter()
        .any(|it| report.contains(it));
    if failed || !status.success() {
        let stderr = String::from_utf8_lossy(&stderr);
        return Err(format!("the load failed: {status}\n{report}{stderr}").into());
    }
    parse(&report).ok_or_else(|| format!("the load reported nothing: {report}").into())
}

/// Finds `N requests in N.NNs`.
fn parse(report: &str) -> Option<(f64, f64)> {
    let found = |line: &str| {
        let (requests, rest) = line.split_once(" requests in ")?;
        let seconds = rest.split('s').next()?;
        Some((requests.trim().parse().ok()?, seconds.parse().ok()?))
    };
    report.lines().find_map(found)
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |name: Case, of: fn(&(Round, Round)) -> &Round| {
            let rounds = || self.rounds.iter().map(of);
            let rate = Summary::of(rounds().map(|it| it.requests_per_second)).median;
            let cpu = Summary::of(rounds().map(|it| it.cpu_per_request.as_secs_f64())).median;
            format!("{name} | {rate:.0} | {:.2}", cpu * 1e6)
        };
        let rate =
            |(case, base): &(Round, Round)| case.requests_per_second / base.requests_per_second;
        let cpu = |(case, base): &(Round, Round)| {
            base.cpu_per_request.as_secs_f64() / case.cpu_per_request.as_secs_f64()
        };
        let rate = Summary::of(self.rounds.iter().map(rate));
        let cpu = Summary::of(self.rounds.iter().map(cpu));
        write!(
            f,
            "| {} | {} | {:.3} | {rate} | {:.3} | {cpu} |",
            show(self.case, |it| &it.0),
            show(self.base, |it| &it.1),
            rate.median,
            cpu.median,
        )
    }
}
