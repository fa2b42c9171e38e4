use std::{io, sync::Arc, time::Duration};

use tokio::time::sleep;
use tower_server_info::StuckJob;

use super::stuck::StuckJobs;
use crate::{
    control::{Socket, ToSupervisor},
    stop_request::StopRequest,
};
use tower_serve::Load;

/// A supervisor that has no room for a message is told again after so long.
const AGAIN: Duration = Duration::from_secs(1);

/// Characters of a path that the supervisor is told.
const LONGEST_PATH: usize = 200;

/// Has the supervisor, if there is one, replace this worker when one of its jobs hangs, when it has had
/// enough requests, or when the program asks for it.
pub(super) async fn watch(
    mut stuck_jobs: StuckJobs,
    load: Load,
    mut stop_request: StopRequest,
    supervisor: Option<Arc<Socket>>,
) {
    let mut is_stuck = false;
    loop {
        let spent = tokio::select! {
            job = stuck_jobs.next() => {
                if std::mem::replace(&mut is_stuck, true) {
                    continue;
                }
                ToSupervisor::Spent { reason: hangs(&job), stuck: true }
            }
            () = load.enough() => {
                let reason = format!("max_requests: it has had {} requests", load.total());
                ToSupervisor::Spent { reason, stuck: false }
            }
            reason = stop_request.recv() => ToSupervisor::Spent { reason, stuck: false },
        };
        let Some(supervisor) = &supervisor else {
            continue;
        };
        while let Err(error) = supervisor.send(&spent, &[]) {
            if error.kind() != io::ErrorKind::WouldBlock {
                // It is gone, and so will this worker be.
                return;
            }
            sleep(AGAIN).await;
        }
    }
}

fn hangs(job: &StuckJob) -> String {
    let StuckJob {
        since,
        method,
        path,
        thread,
        ..
    } = job;
    let age = since.elapsed().as_secs_f64();
    let path: String = path.chars().take(LONGEST_PATH).collect();
    format!("a job has been on thread {thread} for {age:.1} s: {method} {path}")
}

#[cfg(test)]
mod tests {
    use std::{os::fd::OwnedFd, sync::Mutex, time::Instant};

    use http::Method;
    use rustix::net::{RecvFlags, recv};
    use tower_server_info::PoolStats;

    use super::*;
    use crate::{
        Config,
        worker::{WorkerContext, gate::Gate},
    };

    /// The next message to the supervisor.
    async fn told(supervisor: &OwnedFd) -> (String, bool) {
        let mut bytes = [0; 4096];
        let length = loop {
            match recv(supervisor, &mut bytes, RecvFlags::DONTWAIT) {
                Ok((length, _)) => break length,
                Err(_) => sleep(Duration::from_millis(1)).await,
            }
        };
        match serde_json::from_slice(&bytes[..length]).unwrap() {
            ToSupervisor::Spent { reason, stuck } => (reason, stuck),
            other => panic!("unexpected: {other:?}"),
        }
    }

    #[tokio::test]
    async fn the_supervisor_is_told_once_of_each_reason() {
        let (socket, supervisor) = Socket::pair().unwrap();
        let mut config = Config::default();
        config.http.request_timeout = Duration::from_millis(1);
        let worker = WorkerContext::new("test", 0, config);
        let jobs = Arc::new(Mutex::new(Vec::new()));
        worker.monitor({
            let jobs = jobs.clone();
            move || {
                let mut stats = PoolStats::default();
                stats.stuck = jobs.lock().unwrap().clone();
                stats
            }
        });
        let hang = |path: &str| {
            let job = StuckJob::new(Instant::now(), Method::GET, path, "blocking-3");
            *jobs.lock().unwrap() = vec![job];
        };
        let load = Load::new(2);
        let stuck_jobs = StuckJobs::new(worker, load.clone(), Gate::new(1).unwrap());
        let (ask, asked) = tokio::sync::oneshot::channel();
        let request = StopRequest::new(async { asked.await.unwrap() });
        let watching = watch(stuck_jobs, load.clone(), request, Some(Arc::new(socket)));
        let watching = tokio::spawn(watching);

        hang(&format!("/report{}", "é".repeat(100_000)));
        let (reason, stuck) = told(&supervisor).await;
        let (start, end) = ("a job has been on thread blocking-3 for 0.", "é");
        assert!(reason.starts_with(start) && reason.ends_with(end) && stuck);
        assert!(reason.contains(" s: GET /reporté"), "{reason}");

        hang("/another");
        load.request_began();
        load.request_began();
        let enough = told(&supervisor).await;
        assert_eq!(
            enough,
            ("max_requests: it has had 2 requests".to_owned(), false)
        );
        ask.send("a handler has raised".to_owned()).unwrap();
        assert_eq!(
            told(&supervisor).await,
            ("a handler has raised".to_owned(), false)
        );
        watching.abort();
    }
}
