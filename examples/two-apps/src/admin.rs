//! The operator's application: the memory and processor time of this program's processes.

use std::{fs, io, os::unix::process::parent_id, process};

use axum::{
    Json, Router,
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::get,
};
use serde::Serialize;
use tower_prefork::Workers;

/// One process, as `/proc/PID/status` describes it.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Process {
    pid: u32,
    name: String,
    state: String,
    resident_kib: u64,
    threads: u64,
}

pub(crate) fn router(workers: Workers) -> Router {
    Router::new()
        .route("/health", get(|| async { "ok\n" }))
        .route("/processes", get(move || async move { list(workers) }))
}

/// Runs on the event loop: reading `/proc` does not block.
fn list(workers: Workers) -> Response {
    match processes(workers) {
        Ok(processes) => Json(processes).into_response(),
        Err(error) => {
            tracing::error!(%error, "cannot look at the processes");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// This program's processes, the supervisor first.
fn processes(workers: Workers) -> io::Result<Vec<Process>> {
    if workers == Workers::Count(0) {
        return look(process::id()).map(|process| vec![process]);
    }
    let supervisor = parent_id();
    let children = fs::read_to_string(format!("/proc/{supervisor}/task/{supervisor}/children"))?;
    let workers = children
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok());
    // One that has ended since is left out.
    let workers = workers.filter_map(|pid| look(pid).ok());
    Ok([look(supervisor)?].into_iter().chain(workers).collect())
}

fn look(pid: u32) -> io::Result<Process> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    Ok(parse(pid, &status))
}

fn parse(pid: u32, status: &str) -> Process {
    let mut process = Process {
        pid,
        ..Process::default()
    };
    for (key, value) in status.lines().filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        let number = || value.split(' ').next()?.parse().ok();
        match key {
            "Name" => value.clone_into(&mut process.name),
            "State" => value.clone_into(&mut process.state),
            "VmRSS" => process.resident_kib = number().unwrap_or_default(),
            "Threads" => process.threads = number().unwrap_or_default(),
            _ => {}
        }
    }
    process
}

#[cfg(test)]
mod tests {
    use axum::{
        body::{Body, to_bytes},
        http::Request,
    };
    use tower::ServiceExt as _;

    use super::*;

    #[test]
    fn a_process_is_read_from_its_status() {
        let status = "Name:\tsite-0\nState:\tS (sleeping)\nVmRSS:\t    8192 kB\nThreads:\t4\n";
        let expected = Process {
            pid: 7,
            name: "site-0".into(),
            state: "S (sleeping)".into(),
            resident_kib: 8192,
            threads: 4,
        };
        assert_eq!(parse(7, status), expected);
    }

    #[tokio::test]
    async fn without_workers_there_is_one_process() {
        let request = Request::get("/processes").body(Body::empty());
        let request = request.expect("the request is valid");
        let Ok(response) = router(Workers::Count(0)).oneshot(request).await;
        assert_eq!(response.status(), StatusCode::OK);
        let body = to_bytes(response.into_body(), 1 << 20).await;
        let body = body.expect("the body is whole");
        let list: serde_json::Value = serde_json::from_slice(&body).expect("it is JSON");
        assert_eq!(list.as_array().map(Vec::len), Some(1));
        assert_eq!(list[0]["pid"], process::id());
        assert!(list[0]["resident_kib"].as_u64() > Some(0));
    }

    #[test]
    fn under_a_supervisor_it_comes_first() {
        // The test's own parent stands for it.
        let list = processes(Workers::Count(1)).expect("/proc can be read");
        assert_eq!(list[0].pid, parent_id());
    }
}
