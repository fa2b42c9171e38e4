//! The load over HTTP/2: `h2load`, with ten streams at once on each connection.

use std::{fs, io, net::SocketAddr, path::Path};

use crate::{
    Failure,
    case::Mode,
    cores::{self, Side},
    files::POSTED,
    load::{Load, Outcome},
    places::Places,
};

/// The number of requests that each connection has open.
pub(crate) const STREAMS: usize = 10;

/// The column of the log with the time from a request to the end of its response, in microseconds.
const TIME: usize = 2;

/// Runs it for some seconds.
pub(crate) fn run(
    load: &Load,
    address: SocketAddr,
    seconds: u64,
    mode: Mode,
    places: &Places,
) -> Result<Outcome, Failure> {
    let log = places.file("h2load.log");
    // It would append to it.
    match fs::remove_file(&log) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&error)),
        _ => {}
    }
    let scheme = if load.protocol.is_encrypted() {
        "https"
    } else {
        "http"
    };
    let mut h2load = cores::command(Path::new("h2load"), mode, Side::Load);
    h2load.args(["-t", "1", "--warm-up-time=0"]);
    h2load.arg(format!("-c{}", load.connections));
    h2load.arg(format!("-m{STREAMS}"));
    h2load.arg(format!("-D{seconds}"));
    h2load.arg(format!("--log-file={}", log.display()));
    if load.body.is_some() {
        h2load.arg("-d").arg(places.file(POSTED));
    }
    for (name, value) in load.headers {
        h2load.args(["-H", &format!("{name}: {value}")]);
    }
    h2load.arg(format!("{scheme}://{address}{}", load.path));
    let output = h2load.output().map_err(|error| failed(&error))?;
    let report = String::from_utf8_lossy(&output.stdout);
    let times = fs::read_to_string(&log).map_err(|error| failed(&error))?;
    parse(&report, &times, seconds).ok_or_else(|| {
        let said = String::from_utf8_lossy(&output.stderr);
        Failure(format!("`h2load` reported nothing: {report}{said}"))
    })
}

fn failed(error: &io::Error) -> Failure {
    Failure(format!("`h2load` could not be run: {error}"))
}

/// `times` are the lines of its log: the begin of a request, its status, and its time.
fn parse(report: &str, times: &str, seconds: u64) -> Option<Outcome> {
    let requests = line(report, "requests:")?;
    let number = |word| before(requests, word);
    let bytes = line(report, "traffic:")?.rsplit_once('(')?.1;
    let mut times: Vec<u64> = times
        .lines()
        .filter_map(|line| line.split('\t').nth(TIME)?.parse().ok())
        .collect();
    times.sort_unstable();
    let after = |part: usize| {
        let place = times.len() * part / 1000;
        times.get(place).or(times.last()).copied()
    };
    let good = before(line(report, "status codes:")?, "2xx")?;
    let done = number("done")?;
    Some(Outcome {
        requests: good,
        microseconds: seconds * 1_000_000,
        bytes: bytes.split_once(')')?.0.parse().ok()?,
        p50: after(500).unwrap_or_default(),
        p99: after(990).unwrap_or_default(),
        p999: after(999).unwrap_or_default(),
        read: number("errored")?,
        status: done.saturating_sub(good),
        timeout: number("timeout")?,
        ..Outcome::default()
    })
}

/// The rest of the line that begins with this.
fn line<'a>(report: &'a str, begin: &str) -> Option<&'a str> {
    report.lines().find_map(|line| line.strip_prefix(begin))
}

/// The number before a word, in a list with commas.
fn before(list: &str, word: &str) -> Option<u64> {
    let mut parts = list.split(',').map(str::trim);
    parts.find_map(|part| part.strip_suffix(word)?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "\
finished in 1.00s, 300.00 req/s, 41.61MB/s
requests: 310 total, 320 started, 310 done, 305 succeeded, 5 failed, 3 errored, 1 timeout
status codes: 305 2xx, 0 3xx, 0 4xx, 5 5xx
traffic: 41.61MB (43630746) total, 405.60KB (415330) headers (space savings 89.57%), 40.50MB (42468352) data
";

    #[test]
    fn the_report_and_the_log_are_read() {
        let outcome =
            parse(REPORT, "17\t200\t30\n18\t200\t10\n19\t200\t20\n", 2).expect("a report");
        assert_eq!((outcome.requests, outcome.bytes), (305, 42_468_352));
        assert_eq!((outcome.p50, outcome.p99), (20, 30));
        assert_eq!((outcome.microseconds, outcome.errors()), (2_000_000, 9));
        assert!(parse("", "", 1).is_none());
    }
}
