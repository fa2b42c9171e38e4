use std::{ops::RangeInclusive, time::Duration};

use tower_serve::InvalidSetting;

use super::{
    Config,
    units::{ShowDuration, ShowSize},
};
use crate::listener::socket_path;

/// No wait in this crate is longer, so that adding one to a point in time never overflows.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Worker processes of one server.
pub(crate) const MAX_WORKERS: usize = 1024;

impl Config {
    /// Checks every limit.
    pub(super) fn validate(&self) -> Result<(), InvalidSetting> {
        between("workers", self.workers.count(), 0..=MAX_WORKERS)?;
        if self.workers.count() == 0 && !self.watched().is_empty() {
            return refuse(
                "workers",
                "workers is 0, so there is none to replace when a file changes; \
                 choose 1 or more, or watch no files",
            );
        }
        if self.workers.count() == 0 && self.control_socket.is_some() {
            return refuse(
                "control_socket",
                "control_socket is given and workers is 0, so there is no supervisor to answer \
                 there; choose 1 or more workers, or no control socket",
            );
        }
        if let Some(path) = &self.control_socket
            && let Err(problem) = socket_path(&path.to_string_lossy())
        {
            return refuse(
                "control_socket",
                format!("control_socket is {path:?}: {problem}"),
            );
        }
        between("thread_workers", self.thread_workers, 0..=4096)?;
        between("backlog", self.backlog as usize, 1..=i32::MAX as usize)?;
        between("max_connections", self.max_connections, 1..=1 << 20)?;
        between("max_headers", self.http.max_headers, 1..=10_000)?;
        // hyper's read buffer is never smaller.
        let (size, low, high) = (self.http.max_header_size, 8 << 10, 16 << 20);
        if !(low..=high).contains(&size) {
            let [size, low, high] = [size, low, high].map(|bytes| ShowSize(bytes as u64));
            return refuse(
                "max_header_size",
                format!("max_header_size is {size}; choose a size from {low} to {high}"),
            );
        }

        let moment = Duration::from_millis(1);
        within("graceful_timeout", self.graceful_timeout, Duration::ZERO)?;
        within("start_timeout", self.start_timeout, moment)?;
        // Heartbeats come once a second.
        let beats = Duration::from_secs(2);
        within("heartbeat_timeout", self.heartbeat_timeout, beats)?;
        within("shutdown_delay", self.shutdown_delay, Duration::ZERO)?;
        if let Some(path) = &self.readiness_path
            && !path.starts_with('/')
        {
            return refuse(
                "readiness_path",
                format!("readiness_path is {path:?}; it begins with \"/\""),
            );
        }
        if let Some(lifetime) = self.max_lifetime {
            within("max_lifetime", lifetime, Duration::from_secs(1))?;
        }
        if let Some(rss) = self.max_rss
            && rss < 1 << 20
        {
            return refuse(
                "max_rss",
                format!("max_rss is {}; choose at least 1M", ShowSize(rss)),
            );
        }
        if let Some(umask) = self.umask
            && umask > 0o777
        {
            return refuse(
                "umask",
                format!("umask is {umask:o}; choose from 000 to 777"),
            );
        }
        if self.socket_mode > 0o777 {
            return refuse(
                "socket_mode",
                format!(
                    "socket_mode is {:o}; choose from 000 to 777",
                    self.socket_mode
                ),
            );
        }
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            tls.validate()?;
        }
        within("header_timeout", self.http.header_timeout, moment)?;
        within("keep_alive_timeout", self.http.keep_alive_timeout, moment)?;
        within("body_timeout", self.http.body_timeout, moment)?;
        within("write_timeout", self.http.write_timeout, moment)?;
        within("request_timeout", self.http.request_timeout, moment)
    }
}

fn refuse(setting: &'static str, problem: impl Into<String>) -> Result<(), InvalidSetting> {
    let problem = problem.into();
    Err(InvalidSetting { setting, problem })
}

fn between(
    name: &'static str,
    value: usize,
    limits: RangeInclusive<usize>,
) -> Result<(), InvalidSetting> {
    if limits.contains(&value) {
        return Ok(());
    }
    let (low, high) = (limits.start(), limits.end());
    let problem = format!("{name} is {value}; choose a number from {low} to {high}");
    refuse(name, problem)
}

fn within(name: &'static str, value: Duration, low: Duration) -> Result<(), InvalidSetting> {
    if (low..=LONGEST).contains(&value) {
        return Ok(());
    }
    let [value, low, high] = [value, low, LONGEST].map(ShowDuration);
    let problem = format!("{name} is {value}; choose a duration from {low} to {high}");
    refuse(name, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(Config::default().validate(), Ok(()));
    }

    fn refused(change: impl FnOnce(&mut Config)) -> InvalidSetting {
        let mut config = Config::default();
        change(&mut config);
        config.validate().unwrap_err()
    }

    #[test]
    fn limits_are_named_in_the_error() {
        let refusal = refused(|config| config.thread_workers = 5000);
        assert_eq!(refusal.setting, "thread_workers");
        assert_eq!(
            refusal.problem,
            "thread_workers is 5000; choose a number from 0 to 4096"
        );
        let refusal = refused(|config| config.graceful_timeout = Duration::MAX);
        assert!(refusal.problem.starts_with("graceful_timeout is "));
        let refusal = refused(|config| config.http.body_timeout = Duration::ZERO);
        assert_eq!(
            refusal.problem,
            "body_timeout is 0s; choose a duration from 1ms to 24h"
        );
        let refusal = refused(|config| config.http.max_header_size = 100);
        assert_eq!(refusal.setting, "max_header_size");
        assert_eq!(
            refusal.problem,
            "max_header_size is 100 bytes; choose a size from 8K to 16M"
        );
        for path in ["", "@shop", "\0shop"] {
            let refusal = refused(|config| config.control_socket = Some(path.into()));
            assert_eq!(refusal.setting, "control_socket");
        }
        let refusal = refused(|config| config.socket_mode = 0o1000);
        assert_eq!(
            refusal.problem,
            "socket_mode is 1000; choose from 000 to 777"
        );
        let refusal = refused(|config| config.umask = Some(0o1000));
        assert_eq!(refusal.problem, "umask is 1000; choose from 000 to 777");
    }
}
