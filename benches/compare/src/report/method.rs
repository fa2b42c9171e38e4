//! `README.md`: how it was measured.

use std::{collections::BTreeSet, fmt::Write as _, fs, process::Command};

use crate::{case::Row, places::Places, program::Program};

const METHOD: &str = "# How it is measured

`cargo xtask compare` installs the peers into `target/peers`, builds ours and the Rust servers, optimised, and measures
all rows; `cargo xtask compare --row 4` measures one alone and leaves the figures of the others as they are, and
`--rounds` and `--seconds` say how long. The table with the targets and every server's figures is in
[results.md](results.md), every round in [rounds.csv](rounds.csv). [bounds.md](bounds.md) says what bounds the targets that are
missed, and [profiles](profiles) has what each hot path cost before the work on it.

* The load is `wrk` with one thread, over loopback; rows 1 to 19 and 23 are HTTP/1.1. *Pinned*: the
  server on the first core, the load on the second. *Free*: both on all cores.
* Over WebSocket the load is `websocket-load` of the package `compare`, which has one thread as well. Each of its connections
  sends a text message of 100 bytes when it has the last one back, compares what came back with what was sent, and closes
  the WebSocket at the end of the round. A message counts as a request.
* Over HTTP/2 the load is `h2load` with one thread and ten connections, each with ten streams open; without TLS the client
  knows that the server speaks HTTP/2. The times to the end of a response are those of its log. Handshakes are made by `handshake-load` of
  the package `compare`, 16 at a time, none with a session of before; each connection closes when its handshake is done.
* All servers of a case run at the same time and the load goes to one after the other, round by round (A B A B …), so that
  a drift of the machine meets all of them. A ratio is that of two servers in the same round; the median of the rounds
  counts, and the spread is from the smallest to the largest. A second of load before the first round does not count.
* Processor time is user and system of all the server's processes, from `/proc`, for each request of the round.
* The load has one thread, so it gives no more than one core can. Where it has used more than 90 % of a core with one of the two
  servers, the rate is the load's and not the server's: the ratio is that of the processor times, and the table says so.
  *Load* is what it has used.
* On a virtual machine the host may give the processors to others meanwhile. Where it took more than 2 % of the machine's time
  from a server's round, that is measured again, up to four times and up to 90 times in a run, and the one with the least
  loss is kept. *Stolen* is what was lost nevertheless.
* Before a server counts, one response is compared with the right one, status and body, byte by byte; and each of the load's
  connections, all open at the same time, has to get a response within two seconds. Requests that fail, time-outs and
  connections that are not served disqualify a figure: it is shown, and does not count. So does, in row 10, a server that
  keeps the first block of a response back until the application has made the last one (PEP 3333, \"Buffering and
  Streaming\"): the application waits for half a second after the first block, and the block has to be there before.
* All Python servers run on the same CPython, the newest of the machine, and serve the same file of
  `benches/compare/applications`. No server writes an access log, except in row 12. All checks and limits of ours are on.
* Memory is resident memory (RSS) and its share where pages are shared (PSS), from `smaps_rollup`: of all processes of
  a server under load, and of one worker where the row says so. That of an idle connection is the growth of the resident
  memory divided by the connections: each has had one response, or one message back, before it is idle.
";

pub(super) fn text(places: &Places, rows: &[Row]) -> String {
    let mut text = String::from(METHOD);
    text.push_str("\n## Where the last run was\n\n");
    for line in machine(places) {
        let _ = writeln!(text, "* {line}");
    }
    text.push_str("\n## How each server is started\n");
    for row in rows {
        let _ = writeln!(text, "\n### Row {}\n", row.number);
        let contenders = row.cases.iter().flat_map(|case| &case.contenders);
        let lines = contenders.map(|contender| {
            let line = contender.program.line();
            let python = places.python.display().to_string();
            let logs = places.logs.display().to_string();
            let line = line
                .replace(&python, "target/peers")
                .replace(&logs, "target/compare");
            format!("* {}: `{line}`", contender.program.name)
        });
        // The cases of a row often start a server alike.
        for line in lines.collect::<BTreeSet<_>>() {
            let _ = writeln!(text, "{line}");
        }
    }
    text.push_str("\n## Why so\n\n");
    let cases = rows.iter().flat_map(|row| &row.cases);
    let contenders = cases.flat_map(|case| &case.contenders);
    let all = contenders.map(|contender| {
        let program = &contender.program;
        format!("* {}: {}", command(program), program.why)
    });
    for line in all.collect::<BTreeSet<_>>() {
        let _ = writeln!(text, "{line}");
    }
    text
}

/// What is typed first: the program, or the script that Python runs.
fn command(program: &Program) -> String {
    let line = program.line();
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        ["python", script, name, ..] => format!("`{script} {name}`"),
        [first, ..] => format!("`{first}`"),
        [] => String::new(),
    }
}

fn machine(places: &Places) -> Vec<String> {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("an unknown processor", |(_, model)| model.trim());
    let cores = cpu
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let python = places.python.join("bin/python");
    let python = python.to_str().unwrap_or_default();
    let listed = output(python, &["-m", "pip", "list", "--format=freeze"]);
    let listed: Vec<&str> = listed.lines().filter(|line| line.contains("==")).collect();
    vec![
        format!(
            "{model}, cores: {cores}, Linux {}",
            output("uname", &["-r"]).trim()
        ),
        output(python, &["--version"])
            .replace("Python", "CPython")
            .trim()
            .to_owned(),
        output("rustc", &["--version"]).trim().to_owned(),
        // With any option it prints its help.
        output("wrk", &["--version"])
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned(),
        listed.join(", "),
    ]
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or(String::new(), |output| {
        String::from_utf8_lossy(&output.stdout).into_owned()
    })
}
