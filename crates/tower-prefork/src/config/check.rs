//! Checks of several settings together. Each alone is checked by its entry in the table.

use super::Config;
use crate::settings::InvalidSetting;

impl Config {
    /// Checks the settings that depend on each other.
    pub(super) fn check_together(&self) -> Result<(), InvalidSetting> {
        if self.workers.count() == 0 && !self.watched().is_empty() {
            return Err(InvalidSetting {
                setting: "workers",
                problem: "workers is 0, so there is no worker to replace when a file changes; choose 1 or more, or \
                          watch no files"
                    .into(),
            });
        }
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            tls.validate()?;
        } else if self.redirect_http.is_some() {
            return Err(InvalidSetting {
                setting: "redirect_http",
                problem: "redirect_http is given and tls_certificate is not, so there is no HTTPS to redirect to; give both, \
                          or none"
                    .into(),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{ProgramConfig, settings::Settings};

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(Config::default().check(), Ok(()));
        assert_eq!(Config::default().check_together(), Ok(()));
        assert_eq!(ProgramConfig::default().check(), Ok(()));
    }

    fn invalid<S: Settings>(change: impl FnOnce(&mut S)) -> InvalidSetting {
        let mut settings = S::default();
        change(&mut settings);
        settings.check().unwrap_err()
    }

    #[test]
    fn limits_are_named_in_the_error() {
        let error = invalid(|config: &mut Config| config.thread_workers = 5000);
        assert_eq!(error.setting, "thread_workers");
        assert_eq!(
            error.problem,
            "thread_workers is 5000; choose a number from 0 to 4096"
        );
        let error = invalid(|config: &mut Config| config.graceful_timeout = Duration::MAX);
        assert!(error.problem.starts_with("graceful_timeout is "));
        let error = invalid(|config: &mut Config| config.http.body_timeout = Duration::ZERO);
        assert_eq!(
            error.problem,
            "body_timeout is 0s; choose a duration from 1ms to 24h"
        );
        let error = invalid(|config: &mut Config| config.http.max_header_size = 100);
        assert_eq!(error.setting, "max_header_size");
        assert_eq!(
            error.problem,
            "max_header_size is 100 bytes; choose a size from 8K to 16M"
        );
        let error = invalid(|config: &mut Config| config.readiness_path = Some("ready".into()));
        assert_eq!(
            error.problem,
            "readiness_path is \"ready\": choose a path that begins with \"/\""
        );
        for path in ["", "@shop", "\0shop"] {
            let error =
                invalid(|config: &mut ProgramConfig| config.control_socket = Some(path.into()));
            assert_eq!(error.setting, "control_socket");
        }
        let error = invalid(|config: &mut Config| config.socket_mode = 0o1000);
        assert_eq!(error.problem, "socket_mode is 1000; choose from 000 to 777");
        let error = invalid(|config: &mut ProgramConfig| config.umask = Some(0o1000));
        assert_eq!(error.problem, "umask is 1000; choose from 000 to 777");
    }
}
