use std::fmt;
#[cfg(feature = "config-file")]
use std::path::PathBuf;

#[cfg(feature = "config-file")]
use super::file;
use super::{Config, DEFAULT_ADDRESS, ProgramConfig, Resolved, origins::Origins, platform};
use tower_serve::InvalidSetting;

use crate::{control::ToWorker, listener::Address};

/// How the settings of a server come about, one step after the other: a later step goes over an
/// earlier one.
///
/// The steps are kept, so that a reload can take them again.
#[derive(Default)]
pub(crate) struct Settings {
    steps: Vec<Step>,
    /// Whether the variables of hosting platforms come before all.
    platform: bool,
    /// Keys of the program's own in the files.
    #[cfg(feature = "config-file")]
    own: Vec<file::OwnKey>,
}

enum Step {
    /// What the program, or its command line, changes.
    Change(Box<dyn Fn(&mut Config)>),
    #[cfg(feature = "config-file")]
    File(PathBuf),
}

impl Settings {
    pub(crate) fn change(&mut self, change: impl Fn(&mut Config) + 'static) {
        self.steps.push(Step::Change(Box::new(change)));
    }

    #[cfg(feature = "config-file")]
    pub(crate) fn file(&mut self, path: PathBuf) {
        self.steps.push(Step::File(path));
    }

    /// Lets the files have a key of the program's own.
    #[cfg(feature = "config-file")]
    pub(crate) fn file_key<T: serde::de::DeserializeOwned>(&mut self, name: &'static str) {
        self.own.push(file::OwnKey::new::<T>(name));
    }

    /// Lets the variables of hosting platforms say what nothing else says.
    pub(crate) fn platform(&mut self) {
        self.platform = true;
    }

    /// Takes all steps, and checks what comes out. The error is a sentence for the operator.
    pub(crate) fn resolve(&self, server: &str) -> Result<Resolved, String> {
        let mut config = Config::default();
        if self.platform
            && let Some(workers) = platform::workers()?
        {
            config.workers = workers;
        }
        let mut origins = Origins::default();
        for step in &self.steps {
            match step {
                Step::Change(change) => {
                    let before = config.clone();
                    change(&mut config);
                    origins.forget_changed(&before, &config);
                }
                #[cfg(feature = "config-file")]
                Step::File(path) => file::apply(path, &self.own, &mut config, &mut origins)?,
            }
        }
        config
            .validate()
            .map_err(|InvalidSetting { setting, problem }| {
                let place = origins.place(setting, 0);
                format!("{}: {problem}", place.as_deref().unwrap_or(server))
            })?;
        ToWorker::check_start(server, &config).map_err(|problem| format!("{server}: {problem}"))?;
        Ok(Resolved {
            server: server.to_owned(),
            addresses: self.addresses(&config, &origins)?,
            config,
            origins,
        })
    }

    /// The addresses to listen on.
    fn addresses(&self, config: &Config, origins: &Origins) -> Result<Vec<Address>, String> {
        if config.bind.is_empty()
            && self.platform
            && let Some(address) = platform::address()?
        {
            return Ok(vec![address]);
        }
        let default = [DEFAULT_ADDRESS.to_owned()];
        let texts = match &*config.bind {
            [] => &default,
            texts => texts,
        };
        let parse = |(index, text): (usize, &String)| {
            text.parse()
                .map_err(|error| match origins.place("bind", index) {
                    Some(place) => format!("{place}: {error}"),
                    None => error,
                })
        };
        texts.iter().enumerate().map(parse).collect()
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").finish_non_exhaustive()
    }
}

/// Resolves the settings of all servers of a program, each with its name, and those of the program itself.
/// The error is a sentence for the operator.
pub(crate) fn resolve_all<'a>(
    servers: impl IntoIterator<Item = (&'a str, &'a Settings)>,
) -> Result<(Vec<Resolved>, ProgramConfig), String> {
    let servers = servers.into_iter();
    let all = servers.map(|(name, settings)| settings.resolve(name));
    let all = all.collect::<Result<Vec<_>, _>>()?;
    if all.iter().any(Resolved::is_alone) && !all.iter().all(Resolved::is_alone) {
        return Err("0 workers means one process: give 0 to all servers or to none".into());
    }
    let program = ProgramConfig::of(&all)?;
    Ok((all, program))
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
