//! When a worker is to be replaced: a job is stuck, it has had its `max_requests`, or the program requests it.

use std::{
    io, mem,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::sleep;
use tower_serve::Load;
use tower_server_info::StuckJob;

use super::{WorkerContext, connection_limit::ConnectionLimit};
use crate::{
    control::{RecycleReason, Socket, ToSupervisor},
    signals::StopRequest,
};

/// When to send a message again for which the supervisor's socket had no room.
const SEND_AGAIN: Duration = Duration::from_secs(1);

/// The longest path in a message, in characters.
const LONGEST_PATH: usize = 200;

/// Has the supervisor, if there is one, replace this worker when one of its jobs is stuck, when it has had its
/// `max_requests`, or when the program requests a stop.
pub(super) async fn watch(
    mut stuck_jobs: StuckJobs,
    load: Load,
    mut stop_request: StopRequest,
    supervisor: Option<Arc<Socket>>,
) {
    let mut is_stuck = false;
    loop {
        let reason = tokio::select! {
            job = stuck_jobs.next() => {
                if mem::replace(&mut is_stuck, true) {
                    continue;
                }
                RecycleReason { text: describe(&job), stuck: true }
            }
            () = load.enough() => {
                let text = format!("max_requests: it has had {} requests", load.total());
                RecycleReason { text, stuck: false }
            }
            text = stop_request.recv() => RecycleReason { text, stuck: false },
        };
        let Some(supervisor) = &supervisor else {
            continue;
        };
        let recycle = ToSupervisor::Recycle(reason);
        while let Err(error) = supervisor.send(&recycle, &[]) {
            if error.kind() != io::ErrorKind::WouldBlock {
                // The supervisor is gone, and this worker drains.
                return;
            }
            sleep(SEND_AGAIN).await;
        }
    }
}

/// A stuck job in one line.
fn describe(job: &StuckJob) -> String {
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

/// How often to check for jobs whose client has left.
const CHECK: Duration = Duration::from_secs(1);

/// How often to check while there are such jobs.
const CHECK_CLOSELY: Duration = Duration::from_millis(250);

/// Finds stuck jobs: those that no client waits for and that have run for longer than the request timeout.
#[derive(Debug)]
pub(super) struct StuckJobs {
    worker: WorkerContext,
    load: Load,
    connections: ConnectionLimit,
    timeout: Duration,
    /// The start times of the jobs that were reported.
    reported: Vec<Instant>,
}

impl StuckJobs {
    pub(super) fn new(worker: WorkerContext, load: Load, connections: ConnectionLimit) -> Self {
        Self {
            timeout: worker.config().http.request_timeout,
            worker,
            load,
            connections,
            reported: Vec::new(),
        }
    }

    /// Waits for a stuck job. All of them are logged.
    async fn next(&mut self) -> StuckJob {
        loop {
            let (jobs, wait) = self.check();
            for job in &jobs {
                tracing::error!(
                    server = self.worker.server(),
                    slot = self.worker.slot(),
                    method = job.method.as_str(),
                    path = job.path,
                    age_s = job.since.elapsed().as_secs_f64(),
                    thread = job.thread,
                    "stuck job: no client waits for it, and it occupies a thread"
                );
            }
            if let Some(job) = jobs.into_iter().next() {
                return job;
            }
            tokio::select! {
                () = sleep(wait) => {}
                () = self.load.given_up() => {}
            }
        }
    }

    /// The stuck jobs that were not reported yet, and when to check again. Jobs that no client waits for count as lost threads.
    fn check(&mut self) -> (Vec<StuckJob>, Duration) {
        let mut jobs = self.worker.pool_stats().stuck;
        if self.load.set_lost(jobs.len()) {
            self.connections.wake();
        }
        let wait = if jobs.is_empty() {
            CHECK
        } else {
            CHECK_CLOSELY
        };
        self.reported
            .retain(|since| jobs.iter().any(|job| job.since == *since));
        let is_new = |job: &StuckJob| !self.reported.contains(&job.since);
        jobs.retain(|job| job.since.elapsed() >= self.timeout && is_new(job));
        self.reported.extend(jobs.iter().map(|job| job.since));
        (jobs, wait)
    }
}

#[cfg(test)]
mod tests {
    use std::{os::fd::OwnedFd, sync::Mutex};

    use http::Method;
    use rustix::net::{RecvFlags, recv};
    use tower_server_info::PoolStats;

    use super::*;
    use crate::Config;

    /// The next message to the supervisor.
    async fn received(supervisor: &OwnedFd) -> (String, bool) {
        let mut bytes = [0; 4096];
        let length = loop {
            match recv(supervisor, &mut bytes, RecvFlags::DONTWAIT) {
                Ok((length, _)) => break length,
                Err(_) => sleep(Duration::from_millis(1)).await,
            }
        };
        match serde_json::from_slice(&bytes[..length]).unwrap() {
            ToSupervisor::Recycle(RecycleReason { text, stuck }) => (text, stuck),
            other => panic!("unexpected: {other:?}"),
        }
    }

    #[tokio::test]
    async fn the_supervisor_gets_each_reason_once() {
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
        let stuck_jobs = StuckJobs::new(worker, load.clone(), ConnectionLimit::new(1).unwrap());
        let (ask, asked) = tokio::sync::oneshot::channel();
        let request = StopRequest::new(async { asked.await.unwrap() });
        let watching = watch(stuck_jobs, load.clone(), request, Some(Arc::new(socket)));
        let watching = tokio::spawn(watching);

        hang(&format!("/report{}", "é".repeat(100_000)));
        let (reason, stuck) = received(&supervisor).await;
        let (start, end) = ("a job has been on thread blocking-3 for 0.", "é");
        assert!(reason.starts_with(start) && reason.ends_with(end) && stuck);
        assert!(reason.contains(" s: GET /reporté"), "{reason}");

        hang("/another");
        load.request_began();
        load.request_began();
        let enough = received(&supervisor).await;
        assert_eq!(
            enough,
            ("max_requests: it has had 2 requests".to_owned(), false)
        );
        ask.send("a handler has raised".to_owned()).unwrap();
        assert_eq!(
            received(&supervisor).await,
            ("a handler has raised".to_owned(), false)
        );
        watching.abort();
    }

    #[test]
    fn a_job_is_stuck_when_it_is_old_and_nobody_waits_for_it() {
        let worker = WorkerContext::new("test", 0, Config::default());
        let stuck_jobs = Arc::new(Mutex::new(Vec::new()));
        worker.monitor({
            let jobs = stuck_jobs.clone();
            move || {
                let mut stats = PoolStats::default();
                stats.stuck = jobs.lock().unwrap().clone();
                stats
            }
        });
        let load = Load::new(0);
        let mut stuck = StuckJobs::new(worker, load.clone(), ConnectionLimit::new(1).unwrap());
        let now = Instant::now();
        let mut check = |ages: &[u64]| {
            let jobs = ages.iter().map(|age| {
                let since = now.checked_sub(Duration::from_secs(*age)).unwrap();
                StuckJob::new(since, Method::GET, format!("/{age}"), "")
            });
            *stuck_jobs.lock().unwrap() = jobs.collect();
            let (jobs, wait) = stuck.check();
            let paths: Vec<_> = jobs.into_iter().map(|job| job.path).collect();
            (paths.join(" "), wait, load.lost())
        };
        let found = |paths: &str, lost| (paths.to_owned(), CHECK_CLOSELY, lost);
        assert_eq!(check(&[]), (String::new(), CHECK, 0));
        assert_eq!(check(&[1, 290]), found("", 2));
        assert_eq!(check(&[301, 2, 302]), found("/301 /302", 3));
        assert_eq!(check(&[301, 302]), found("", 2));
        assert_eq!(check(&[303, 302]), found("/303", 2));
        assert_eq!(check(&[]), (String::new(), CHECK, 0));
    }
}
