use std::path::PathBuf;

use super::{Config, Resolved};

/// The settings that belong to the whole program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProgramConfig {
    pub(crate) pid_file: Option<PathBuf>,
    pub(crate) control_socket: Option<PathBuf>,
    pub(crate) user: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) umask: Option<u32>,
}

impl ProgramConfig {
    /// What the servers say, who must agree. The error is a sentence for the operator.
    pub(super) fn of(servers: &[Resolved]) -> Result<Self, String> {
        let each = || servers.iter().map(|resolved| &resolved.config);
        let this = Self {
            pid_file: of_program(each(), "pid_file", |config| config.pid_file.as_ref())?.cloned(),
            control_socket: of_program(each(), "control_socket", |config| {
                config.control_socket.as_ref()
            })?
            .cloned(),
            user: of_program(each(), "user", |config| config.user.as_ref())?.cloned(),
            group: of_program(each(), "group", |config| config.group.as_ref())?.cloned(),
            umask: of_program(each(), "umask", |config| config.umask.as_ref())?.copied(),
        };
        let alone = servers.iter().any(Resolved::is_alone);
        if alone && (this.user.is_some() || this.group.is_some()) {
            return Err(
                "user and group are those of the workers, and workers is 0; \
                 choose 1 or more, or start the program as that user"
                    .into(),
            );
        }
        Ok(this)
    }
}

/// The one value of a setting that belongs to the whole program, if any of the servers has one.
/// The error is a sentence for the operator: two servers have different ones.
fn of_program<'a, T: PartialEq + ?Sized>(
    configs: impl IntoIterator<Item = &'a Config>,
    name: &str,
    get: impl Fn(&'a Config) -> Option<&'a T>,
) -> Result<Option<&'a T>, String> {
    let mut values = configs.into_iter().filter_map(get);
    let first = values.next();
    if values.any(|other| Some(other) != first) {
        return Err(format!(
            "two servers differ in {name}, which belongs to the whole program; \
             give both the same, or only one of them any"
        ));
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_pid_file(path: &str) -> Config {
        Config {
            pid_file: Some(path.into()),
            ..Config::default()
        }
    }

    fn pid_file(configs: &[Config]) -> Result<Option<&str>, String> {
        of_program(configs, "pid_file", |config| {
            config.pid_file.as_ref()?.to_str()
        })
    }

    #[test]
    fn one_server_may_speak_for_the_program() {
        assert_eq!(pid_file(&[]), Ok(None));
        assert_eq!(pid_file(&[Config::default()]), Ok(None));
        let configs = [Config::default(), with_pid_file("a"), with_pid_file("a")];
        assert_eq!(pid_file(&configs), Ok(Some("a")));
    }

    #[test]
    fn servers_that_differ_are_refused() {
        let configs = [
            with_pid_file("a"),
            Config::default(),
            with_pid_file("b"),
            with_pid_file("a"),
        ];
        assert!(
            pid_file(&configs)
                .unwrap_err()
                .starts_with("two servers differ in pid_file, ")
        );
    }
}
