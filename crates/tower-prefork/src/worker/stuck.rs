use std::time::{Duration, Instant};

use tokio::time::sleep;
use tower_server_info::StuckJob;

use super::{WorkerContext, gate::Gate};
use tower_serve::Load;

/// How often to look whether clients have left their jobs.
const LOOK: Duration = Duration::from_secs(1);

/// How often to look at jobs that nobody waits for.
const LOOK_CLOSELY: Duration = Duration::from_millis(250);

/// Watches for jobs that hang: those that have run for too long, and that nobody waits for.
#[derive(Debug)]
pub(super) struct StuckJobs {
    worker: WorkerContext,
    load: Load,
    gate: Gate,
    limit: Duration,
    /// When those that were told of were given their threads.
    told: Vec<Instant>,
}

impl StuckJobs {
    pub(super) fn new(worker: WorkerContext, load: Load, gate: Gate) -> Self {
        Self {
            limit: worker.config().http.request_timeout,
            worker,
            load,
            gate,
            told: Vec::new(),
        }
    }

    /// Waits for a job that hangs. All of them are logged.
    pub(super) async fn next(&mut self) -> StuckJob {
        loop {
            let (jobs, wait) = self.look();
            for job in &jobs {
                tracing::error!(
                    server = self.worker.server(),
                    slot = self.worker.slot(),
                    method = job.method.as_str(),
                    path = job.path,
                    age_s = job.since.elapsed().as_secs_f64(),
                    thread = job.thread,
                    "a job hangs: nobody waits for it, and it keeps its thread"
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

    /// Jobs that hang and were not told of, and when to look again. The threads that are lost for now are
    /// not counted on.
    fn look(&mut self) -> (Vec<StuckJob>, Duration) {
        let mut jobs = self.worker.pool_stats().stuck;
        if self.load.set_lost(jobs.len()) {
            self.gate.wake();
        }
        let wait = if jobs.is_empty() { LOOK } else { LOOK_CLOSELY };
        self.told
            .retain(|told| jobs.iter().any(|job| job.since == *told));
        let is_new = |job: &StuckJob| !self.told.contains(&job.since);
        jobs.retain(|job| job.since.elapsed() >= self.limit && is_new(job));
        self.told.extend(jobs.iter().map(|job| job.since));
        (jobs, wait)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use http::Method;
    use tower_server_info::PoolStats;

    use super::*;
    use crate::Config;

    #[test]
    fn a_job_hangs_when_it_is_old_and_nobody_waits_for_it() {
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
        let mut stuck = StuckJobs::new(worker, load.clone(), Gate::new(1).unwrap());
        let now = Instant::now();
        let mut look = |ages: &[u64]| {
            let jobs = ages.iter().map(|age| {
                let since = now.checked_sub(Duration::from_secs(*age)).unwrap();
                StuckJob::new(since, Method::GET, format!("/{age}"), "")
            });
            *stuck_jobs.lock().unwrap() = jobs.collect();
            let (jobs, wait) = stuck.look();
            let paths: Vec<_> = jobs.into_iter().map(|job| job.path).collect();
            (paths.join(" "), wait, load.lost())
        };
        let told = |paths: &str, lost| (paths.to_owned(), LOOK_CLOSELY, lost);
        assert_eq!(look(&[]), (String::new(), LOOK, 0));
        assert_eq!(look(&[1, 290]), told("", 2));
        assert_eq!(look(&[301, 2, 302]), told("/301 /302", 3));
        assert_eq!(look(&[301, 302]), told("", 2));
        assert_eq!(look(&[303, 302]), told("/303", 2));
        assert_eq!(look(&[]), (String::new(), LOOK, 0));
    }
}
