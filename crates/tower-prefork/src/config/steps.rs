use std::fmt;

use super::{Config, DEFAULT_ADDRESS, ProgramConfig, Refusal, Resolved};
use crate::control::ToWorker;

/// How the settings of a server come about, one step after the other: a later step goes over an
/// earlier one.
///
/// The steps are kept, so that a reload can take them again.
#[derive(Default)]
pub(crate) struct Settings {
    steps: Vec<Step>,
}

/// A change that the program, or its command line, makes.
type Step = Box<dyn Fn(&mut Config)>;

impl Settings {
    pub(crate) fn change(&mut self, change: impl Fn(&mut Config) + 'static) {
        self.steps.push(Box::new(change));
    }

    /// Takes all steps, and checks what comes out. The error is a sentence for the operator.
    pub(crate) fn resolve(&self, server: &str) -> Result<Resolved, String> {
        let mut config = Config::default();
        for step in &self.steps {
            step(&mut config);
        }
        let named = |problem| format!("{server}: {problem}");
        let limits = config.validate();
        limits.map_err(|Refusal { problem, .. }| named(problem))?;
        ToWorker::check_start(server, &config).map_err(named)?;
        let mut addresses = config.bind.iter().map(String::as_str).collect::<Vec<_>>();
        if addresses.is_empty() {
            addresses.push(DEFAULT_ADDRESS);
        }
        let addresses = addresses.into_iter().map(str::parse);
        let addresses = addresses.collect::<Result<_, String>>()?;
        Ok(Resolved { config, addresses })
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").finish_non_exhaustive()
    }
}

/// Resolves the settings of all servers of a program, each with its name. The error is a sentence
/// for the operator.
pub(crate) fn resolve_all<'a>(
    servers: impl IntoIterator<Item = (&'a str, &'a Settings)>,
) -> Result<Vec<Resolved>, String> {
    let servers = servers.into_iter();
    let all = servers.map(|(name, settings)| settings.resolve(name));
    let all = all.collect::<Result<Vec<_>, _>>()?;
    if all.iter().any(Resolved::is_alone) && !all.iter().all(Resolved::is_alone) {
        return Err("0 workers means one process: give 0 to all servers or to none".into());
    }
    ProgramConfig::of(&all)?;
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, rc::Rc};

    use super::*;
    use crate::Workers;

    fn settings(change: impl Fn(&mut Config) + 'static) -> Settings {
        let mut settings = Settings::default();
        settings.change(change);
        settings
    }

    fn refused(servers: &[(&str, &Settings)]) -> String {
        resolve_all(servers.iter().copied()).unwrap_err()
    }

    #[test]
    fn a_later_step_goes_over_an_earlier_one() {
        let mut settings = settings(|config| {
            config.backlog = 1;
            config.thread_workers = 1;
        });
        settings.change(|config| config.thread_workers += 1);
        let config = settings.resolve("shop").unwrap().config;
        assert_eq!((config.backlog, config.thread_workers), (1, 2));
    }

    #[test]
    fn the_steps_are_taken_again() {
        let threads = Rc::new(Cell::new(1));
        let settings = settings({
            let threads = threads.clone();
            move |config| {
                config.bind.push("8000".into());
                config.thread_workers = threads.get();
            }
        });
        settings.resolve("shop").unwrap();
        threads.set(2);
        let again = settings.resolve("shop").unwrap();
        assert_eq!(again.config.thread_workers, 2);
        assert_eq!(again.addresses.len(), 1);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let threads = settings(|config| config.thread_workers = 5000);
        assert!(refused(&[("a", &threads)]).starts_with("a: thread_workers is 5000"));
        let nowhere = settings(|config| config.bind = vec!["nowhere".into()]);
        assert!(refused(&[("a", &nowhere)]).starts_with("cannot listen on \"nowhere\""));
        let alone = settings(|config| config.workers = Workers::Count(0));
        assert!(refused(&[("a", &Settings::default()), ("b", &alone)]).contains("one process"));
        let first = settings(|config| config.umask = Some(0o22));
        let second = settings(|config| config.umask = Some(0o27));
        assert!(refused(&[("a", &first), ("b", &second)]).contains("two servers differ in umask"));
        let alone = settings(|config| {
            config.workers = Workers::Count(0);
            config.group = Some("daemon".into());
        });
        assert!(refused(&[("a", &alone)]).contains("workers is 0"));
    }

    #[test]
    fn what_a_worker_cannot_be_told_is_refused() {
        let long = settings(|config| config.user = Some("x".repeat(1 << 16)));
        assert!(refused(&[("a", &long)]).starts_with("a: the settings are too long"));
        let many = settings(|config| {
            let address = format!("unix:/{}", "x".repeat(100));
            config.bind = vec![address; 64];
        });
        assert!(many.resolve("a").is_ok());
    }
}
