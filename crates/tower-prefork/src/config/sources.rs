//! Where a server has its settings from, and how they are resolved.

use std::fmt;
#[cfg(feature = "config-file")]
use std::path::PathBuf;
use std::sync::Arc;

#[cfg(feature = "config-file")]
use super::file;
use super::{
    Config, ProgramConfig, ResolvedConfig, platform, program::ProgramChanges,
    provenance::Provenance, proxies, server::DEFAULT_ADDRESS,
};
use crate::{
    listener::Address,
    settings::{InvalidSetting, Overrides, Settings},
};

/// Where a server has its settings from: a later source goes over an earlier one.
///
/// The sources are kept, so that a reload can read them again.
#[derive(Default)]
pub(crate) struct ConfigSources {
    sources: Vec<ConfigSource>,
    /// Whether the variables of hosting platforms come before all sources.
    platform: bool,
    /// What the program sets for itself, where this is its first server.
    program: ProgramChanges,
    /// Keys of the program's own in the files.
    #[cfg(feature = "config-file")]
    own: Vec<file::OwnKey>,
}

enum ConfigSource {
    /// What the program changes.
    Change(Box<dyn Fn(&mut Config)>),
    /// The command line and its environment, or what a program says in the same form.
    #[cfg(feature = "cli")]
    Overrides {
        server: Overrides<Config>,
        program: Overrides<ProgramConfig>,
    },
    #[cfg(feature = "config-file")]
    File(PathBuf),
}

impl ConfigSources {
    pub(crate) fn change(&mut self, change: impl Fn(&mut Config) + 'static) {
        self.sources.push(ConfigSource::Change(Box::new(change)));
    }

    /// Takes what the program of the server sets for itself.
    pub(crate) fn change_program(&mut self, changes: ProgramChanges) {
        self.program = changes;
    }

    #[cfg(feature = "cli")]
    pub(crate) fn override_with(
        &mut self,
        server: Overrides<Config>,
        program: Overrides<ProgramConfig>,
    ) {
        self.sources
            .push(ConfigSource::Overrides { server, program });
    }

    #[cfg(feature = "config-file")]
    pub(crate) fn file(&mut self, path: PathBuf) {
        self.sources.push(ConfigSource::File(path));
    }

    /// Lets the files have a key of the program's own.
    #[cfg(feature = "config-file")]
    pub(crate) fn file_key<T: serde::de::DeserializeOwned>(&mut self, name: &'static str) {
        self.own.push(file::OwnKey::new::<T>(name));
    }

    /// Lets the files have settings of the program's own.
    #[cfg(feature = "config-file")]
    pub(crate) fn file_settings<S: Settings>(&mut self) {
        self.own.extend(S::TABLE.iter().map(file::OwnKey::of));
    }

    /// Lets the variables of hosting platforms set what no source does.
    pub(crate) fn platform(&mut self) {
        self.platform = true;
    }

    /// Reads all sources, and checks the result. The error is a sentence for the operator.
    pub(crate) fn resolve(&self, server: &str) -> Result<ResolvedConfig, String> {
        let mut config = Config::default();
        if self.platform
            && let Some(workers) = platform::workers()?
        {
            config.workers = workers;
        }
        if self.platform
            && let Some(peers) = proxies::forwarded_allow_ips()?
        {
            config.forwarded_allow_ips = peers;
        }
        #[cfg_attr(not(feature = "config-file"), allow(unused_mut))]
        let mut program = Overrides::default();
        let mut provenance = Provenance::default();
        for source in &self.sources {
            match source {
                ConfigSource::Change(change) => provenance.forget_changed(&mut config, change),
                #[cfg(feature = "cli")]
                ConfigSource::Overrides {
                    server,
                    program: of_program,
                } => {
                    server.apply(&mut config);
                    program.extend(of_program.clone());
                    let names = server.iter().map(|(name, _)| name);
                    for name in names.chain(of_program.iter().map(|(name, _)| name)) {
                        provenance.forget(name);
                    }
                }
                #[cfg(feature = "config-file")]
                ConfigSource::File(path) => {
                    let file = file::File::read(path, Some(&self.own))?;
                    file.server.apply(&mut config);
                    program.extend(file.program);
                    config.own.extend(file.own);
                    for (name, lines) in file.lines {
                        provenance.set(name, path, lines);
                    }
                }
            }
        }
        let checked = config.check().and_then(|()| config.check_together());
        checked.map_err(|InvalidSetting { setting, problem }| {
            let place = provenance.place(setting, 0);
            format!("{}: {problem}", place.as_deref().unwrap_or(server))
        })?;
        let addresses = self.addresses(&config, &provenance)?;
        Ok(ResolvedConfig {
            server: server.to_owned(),
            redirect: redirect(server, &config, &addresses, &provenance)?,
            addresses,
            config,
            program,
            provenance,
        })
    }

    /// The addresses to listen on.
    fn addresses(&self, config: &Config, provenance: &Provenance) -> Result<Vec<Address>, String> {
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
                .map_err(|error| match provenance.place("bind", index) {
                    Some(place) => format!("{place}: {error}"),
                    None => error,
                })
        };
        texts.iter().enumerate().map(parse).collect()
    }
}

/// Where clients are redirected to HTTPS, which is none of the addresses for HTTPS.
fn redirect(
    server: &str,
    config: &Config,
    addresses: &[Address],
    provenance: &Provenance,
) -> Result<Option<Address>, String> {
    let place = || provenance.place("redirect_http", 0);
    let place = || place().unwrap_or_else(|| server.to_owned());
    let redirect = config.redirect();
    let redirect = redirect.map_err(|error| format!("{}: {error}", place()))?;
    match redirect {
        Some(address) if addresses.contains(&address) => Err(format!(
            "{}: redirect_http is {address}, but the server listens for HTTPS there; choose another address",
            place()
        )),
        redirect => Ok(redirect),
    }
}

impl fmt::Debug for ConfigSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigSources").finish_non_exhaustive()
    }
}

/// Resolves the settings of all servers of a program, each with its name, and those of the program itself.
/// The error is a sentence for the operator.
pub(crate) fn resolve_all<'a>(
    servers: impl IntoIterator<Item = (&'a str, &'a ConfigSources)>,
) -> Result<(Vec<ResolvedConfig>, Arc<ProgramConfig>), String> {
    let servers: Vec<_> = servers.into_iter().collect();
    let all = servers.iter().map(|(name, sources)| sources.resolve(name));
    let mut all = all.collect::<Result<Vec<_>, _>>()?;
    if all.iter().any(ResolvedConfig::is_standalone)
        && !all.iter().all(ResolvedConfig::is_standalone)
    {
        return Err("0 workers means one process: give 0 to all servers or to none".into());
    }
    let changes = servers.iter().map(|(_, sources)| &sources.program);
    let program = Arc::new(ProgramConfig::resolve(changes, &all)?);
    for server in &mut all {
        server.config.program = program.clone();
    }
    Ok((all, program))
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, rc::Rc};

    use super::*;
    use crate::Workers;

    fn sources(change: impl Fn(&mut Config) + 'static) -> ConfigSources {
        let mut sources = ConfigSources::default();
        sources.change(change);
        sources
    }

    fn standalone() -> ConfigSources {
        sources(|config| config.workers = Workers::Count(0))
    }

    fn refused(servers: &[(&str, &ConfigSources)]) -> String {
        resolve_all(servers.iter().copied()).unwrap_err()
    }

    #[test]
    fn a_later_source_goes_over_an_earlier_one() {
        let mut sources = sources(|config| {
            config.backlog = 1;
            config.thread_workers = 1;
        });
        sources.change(|config| config.thread_workers += 1);
        let config = sources.resolve("shop").unwrap().config;
        assert_eq!((config.backlog, config.thread_workers), (1, 2));
    }

    #[test]
    fn the_sources_are_read_again() {
        let threads = Rc::new(Cell::new(1));
        let sources = sources({
            let threads = threads.clone();
            move |config| {
                config.bind.push("8000".into());
                config.thread_workers = threads.get();
            }
        });
        sources.resolve("shop").unwrap();
        threads.set(2);
        let again = sources.resolve("shop").unwrap();
        assert_eq!(again.config.thread_workers, 2);
        assert_eq!(again.addresses.len(), 1);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let threads = sources(|config| config.thread_workers = 5000);
        assert!(refused(&[("a", &threads)]).starts_with("a: thread_workers is 5000"));
        let nowhere = sources(|config| config.bind = vec!["nowhere".into()]);
        assert!(refused(&[("a", &nowhere)]).starts_with("cannot listen on \"nowhere\""));
        let default = ConfigSources::default();
        assert!(refused(&[("a", &default), ("b", &standalone())]).contains("one process"));
    }

    #[cfg(feature = "cli")]
    #[test]
    fn the_program_has_one_value_that_makes_sense() {
        let first = giving("umask", "022", ConfigSources::default());
        let second = giving("umask", "027", ConfigSources::default());
        assert!(refused(&[("a", &first), ("b", &second)]).contains("two servers differ in umask"));
        for (name, text) in [("group", "daemon"), ("control_socket", "c")] {
            let given = giving(name, text, standalone());
            assert!(refused(&[("a", &given)]).contains("workers is 0"));
        }
        let given = giving("control_socket", "@shop", ConfigSources::default());
        assert!(
            refused(&[("a", &given)])
                .starts_with("a: control_socket is \"@shop\": abstract sockets")
        );
    }

    /// The sources, and after them one for a setting of the program.
    #[cfg(feature = "cli")]
    fn giving(name: &str, text: &str, mut sources: ConfigSources) -> ConfigSources {
        let setting = ProgramConfig::find(name).unwrap();
        let mut given = Overrides::default();
        given.insert(setting, setting.parse(text).unwrap());
        sources.override_with(Overrides::default(), given);
        sources
    }

    #[cfg(feature = "cli")]
    #[test]
    fn a_server_goes_over_what_the_program_sets_for_itself() {
        let mut changes = ProgramChanges::default();
        changes.push(|config| config.umask = Some(0o22));
        changes.push(|config| config.user = Some("daemon".into()));
        let mut given = giving("umask", "027", ConfigSources::default());
        given.change_program(changes);
        let (_, config) = resolve_all([("a", &given)]).unwrap();
        assert_eq!(config.umask, Some(0o27));
        assert_eq!(config.user.as_deref(), Some("daemon"));
    }
}
