use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::{AbandonedJob, Worker};

/// How soon a job that is old enough, and for whose answer somebody still waits, is looked at again.
const AGAIN: Duration = Duration::from_millis(250);

/// Watches for jobs that hang: those that have run for too long, and that nobody waits for.
#[derive(Debug)]
pub(super) struct StuckJobs {
    worker: Worker,
    limit: Duration,
    /// When the last one that was told of was given its thread.
    told: Option<Instant>,
}

impl StuckJobs {
    pub(super) fn new(worker: Worker) -> Self {
        Self {
            limit: worker.config().http.request_timeout,
            worker,
            told: None,
        }
    }

    /// Logs every job that hangs, where nobody can replace the worker.
    pub(super) async fn log(mut self) {
        loop {
            self.next().await;
        }
    }

    /// Waits for a job that hangs, and logs it. One that hides behind it is not seen.
    pub(super) async fn next(&mut self) -> AbandonedJob {
        loop {
            match self.look() {
                Ok(job) => {
                    tracing::error!(
                        server = self.worker.server(),
                        slot = self.worker.slot(),
                        method = job.method.as_str(),
                        path = job.path,
                        age_s = job.since.elapsed().as_secs_f64(),
                        thread = job.thread,
                        "a job hangs: nobody waits for it, and it keeps its thread"
                    );
                    return job;
                }
                Err(wait) => sleep(wait).await,
            }
        }
    }

    /// A job that hangs, or how long there can be none.
    fn look(&mut self) -> Result<AbandonedJob, Duration> {
        let work = self.worker.work();
        let told = self.told;
        let job = work.abandoned.filter(|job| told != Some(job.since));
        if let Some(job) = job
            && job.since.elapsed() >= self.limit
        {
            self.told = Some(job.since);
            return Ok(job);
        }
        // What runs is not older than the oldest, and what begins is younger.
        let oldest = work.oldest.unwrap_or_default();
        Err(self.limit.saturating_sub(oldest).max(AGAIN))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use http::Method;

    use super::*;
    use crate::{Config, Work};

    fn job(since: Instant) -> AbandonedJob {
        AbandonedJob {
            since,
            method: Method::GET,
            path: "/report".into(),
            thread: "blocking-3".into(),
        }
    }

    #[test]
    fn a_job_hangs_when_it_is_old_and_nobody_waits_for_it() {
        let limit = Duration::from_secs(300);
        let worker = Worker::new("test", 0, Config::default());
        let work = Arc::new(Mutex::new(Work::default()));
        worker.watch_work({
            let work = work.clone();
            move || work.lock().unwrap().clone()
        });
        let set = |oldest, abandoned| {
            let mut work = work.lock().unwrap();
            (work.oldest, work.abandoned) = (oldest, abandoned);
        };
        let mut stuck = StuckJobs::new(worker);
        let now = Instant::now();
        let ago = |seconds| now.checked_sub(Duration::from_secs(seconds)).unwrap();

        assert_eq!(stuck.look().unwrap_err(), limit, "there is none");
        set(Some(Duration::from_secs(100)), None);
        assert_eq!(stuck.look().unwrap_err(), Duration::from_secs(200));
        set(Some(Duration::from_secs(400)), None);
        assert_eq!(stuck.look().unwrap_err(), AGAIN, "somebody waits for it");
        set(Some(Duration::from_secs(400)), Some(job(ago(299))));
        assert_eq!(stuck.look().unwrap_err(), AGAIN, "it is too young");
        set(Some(Duration::from_secs(400)), Some(job(ago(301))));
        assert_eq!(stuck.look().unwrap().thread, "blocking-3");
        assert_eq!(stuck.look().unwrap_err(), AGAIN, "it was told of");
        set(Some(Duration::from_secs(400)), Some(job(ago(302))));
        assert!(stuck.look().is_ok(), "another one");
    }
}
