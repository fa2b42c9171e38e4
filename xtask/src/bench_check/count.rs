//! Runs the benchmarks, and reads their counts.

use std::env;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use super::baseline::Counts;
use crate::command::{Failure, cargo, output};

/// Counts all hot paths; `tools` is where gungraun's runner is.
pub(super) fn count(tools: &Path) -> Result<Counts, Failure> {
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(
        [tools.to_owned()]
            .into_iter()
            .chain(env::split_paths(&path)),
    )
    .map_err(|error| {
        Failure(format!(
            "cannot search programs in {}: {error}",
            tools.display()
        ))
    })?;
    let mut bench = cargo("bench --package benches --bench instructions -- --output-format=json");
    // The report goes to standard output, progress to standard error.
    bench.env("PATH", path).stderr(Stdio::inherit());
    parse(&output(bench)?)
}

/// Of each line, which is a benchmark.
fn parse(report: &[u8]) -> Result<Counts, Failure> {
    let report = String::from_utf8_lossy(report);
    let counts = report.lines().filter(|line| line.starts_with('{'));
    let counts: Counts = counts
        .map(|line| {
            count_of(line)
                .ok_or_else(|| Failure(format!("gungraun reported no instructions: {line}")))
        })
        .collect::<Result<_, _>>()?;
    if counts.is_empty() {
        return Err(Failure(format!("gungraun reported nothing: {report}")));
    }
    Ok(counts)
}

/// The name of the path, and its instructions.
fn count_of(line: &str) -> Option<(String, u64)> {
    let summary: Value = serde_json::from_str(line).ok()?;
    let function = summary["function_name"].as_str()?;
    let id = summary["id"].as_str()?;
    let metrics = &summary["profiles"][0]["data"]["total"]["metrics"];
    let instructions = metrics["Ir"]["values"]["new"].as_u64()?;
    Some((format!("{function}.{id}"), instructions))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"function_name": "handler", "id": "bare", "profiles": [{"data": {"total": {"metrics":
        {"Ir": {"change": {"diff_pct": "0"}, "values": {"new": 207517, "old": 207500}}}}}}]}"#;

    #[test]
    fn the_new_count_of_each_line_is_read() {
        let line = LINE.replace('\n', "");
        let report = format!("gungraun says something\n{line}\n");
        let counts = parse(report.as_bytes()).expect("it is a report");
        assert_eq!(counts, [("handler.bare".to_owned(), 207_517)].into());
    }

    #[test]
    fn a_report_without_counts_is_refused() {
        assert!(parse(b"").is_err());
        assert!(parse(LINE.replace('\n', "").replace("Ir", "Dr").as_bytes()).is_err());
    }
}
