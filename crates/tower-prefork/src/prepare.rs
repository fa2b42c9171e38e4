//! What a server needs before its workers start: settings that are valid, the certificates, the files of its logs, its
//! listeners. A reload does the same again.

use std::{path::Path, sync::Arc};

use tower_serve::internal::log_writer::{self, Target};

use crate::{
    config::{self, Config, ConfigSources, ProgramConfig, ResolvedConfig},
    control::check_config_size,
    listener::Bound,
    system::Credentials,
};

/// Resolves the settings of all servers, each with its name, and those of the program. The error is a sentence for the
/// operator.
pub(crate) fn resolve<'a>(
    servers: impl IntoIterator<Item = (&'a str, &'a ConfigSources)>,
) -> Result<(Vec<ResolvedConfig>, Arc<ProgramConfig>), String> {
    let (all, program) = config::resolve_all(servers)?;
    for resolved in &all {
        check_size(resolved).map_err(|problem| format!("{}: {problem}", resolved.server()))?;
    }
    Ok((all, program))
}

/// Reads the files of one server, opens its logs, and listens. The sockets of `before` are kept for the addresses that it
/// listens on already. The error is a sentence for the operator.
pub(crate) fn bind(
    resolved: &mut ResolvedConfig,
    before: &Bound,
    credentials: Option<&Credentials>,
) -> Result<Bound, String> {
    #[cfg(feature = "tls")]
    resolved.read_certificates()?;
    for (setting, target, path) in logs(&resolved.config) {
        prepare_log(&target, path, credentials)
            .map_err(|error| format!("{}: {error}", resolved.place(setting)))?;
    }
    config::check_files(resolved.server(), &resolved.config)?;
    let bound = resolved.bind(before)?;
    if let Some(owner) = credentials {
        owner.give_sockets(&bound)?;
    }
    Ok(bound)
}

/// Checks that the settings of a server fit into the message to its workers.
fn check_size(resolved: &ResolvedConfig) -> Result<(), String> {
    check_config_size(resolved.server(), resolved.config.to_message())
}

/// Opens the log files of a server again, in this process. If the workers run as another user, it is made the owner of the
/// new files.
pub(crate) fn reopen_logs(config: &Config, credentials: Option<&Credentials>) {
    for (_, target, path) in logs(config) {
        if let Err(error) = prepare_log(&target, path, credentials) {
            tracing::warn!(error, "a log file cannot be opened again");
        }
    }
    log_writer::reopen_all();
}

/// The logs of a server: the names of their settings, their targets, and their files.
fn logs(config: &Config) -> impl Iterator<Item = (&'static str, Target, &Path)> {
    let access_log = config.access_log.as_ref().map(|log| {
        let path = log.path.as_path();
        ("access_log", Target::access_log(path), path)
    });
    #[cfg(feature = "cli")]
    let server_log = config.program.log_file.as_deref();
    #[cfg(feature = "cli")]
    let server_log = server_log.map(|path| ("log_file", Target::server_log(path), path));
    #[cfg(not(feature = "cli"))]
    let server_log = None;
    access_log.into_iter().chain(server_log)
}

/// Creates the file of a log if it does not exist, and makes the user that writes to it the owner.
fn prepare_log(
    target: &Target,
    path: &Path,
    credentials: Option<&Credentials>,
) -> Result<(), String> {
    log_writer::check(target)?;
    credentials.map_or(Ok(()), |owner| owner.give_file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(change: impl Fn(&mut Config) + 'static) -> Result<usize, String> {
        let mut sources = ConfigSources::default();
        sources.change(change);
        resolve([("a", &sources)]).map(|(all, _)| all.len())
    }

    #[test]
    fn settings_that_do_not_fit_into_a_message_are_refused() {
        let path = Some(format!("/{}", "x".repeat(1 << 16)));
        let long = resolved(move |config| config.readiness_path.clone_from(&path));
        let error = long.unwrap_err();
        assert!(error.starts_with("a: the settings are too long"), "{error}");
        let many = |config: &mut Config| {
            config.bind = vec![format!("unix:/{}", "x".repeat(100)); 64];
        };
        assert_eq!(resolved(many), Ok(1));
    }
}
