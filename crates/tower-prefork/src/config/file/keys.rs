use super::{own::OwnKey, value::Value};
use crate::Config;

/// A key: its name, and what its value changes.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) set: fn(&mut Config, Value<'_>) -> Result<(), String>,
}

/// Makes the list of keys.
macro_rules! keys {
    ($($(#[$attribute:meta])* $name:ident($config:ident, $value:ident) => $change:expr,)*) => {
        /// All keys, in the order in which they are to be set.
        pub(super) const KEYS: &[Key] = &[$(
            $(#[$attribute])*
            Key {
                name: stringify!($name),
                set: |$config, $value| {
                    $change;
                    Ok(())
                },
            },
        )*];
    };
}

keys! {
    access_log(config, value) => config.log_requests(Some(&value.path()?), None),
    access_log_format(config, value) => config.log_requests(None, Some(value.choice()?)),
    backlog(config, value) => config.backlog = value.number()?,
    bind(config, value) => config.bind = value.several(Value::word)?,
    body_timeout(config, value) => config.http.body_timeout = value.duration()?,
    control_socket(config, value) => config.control_socket = Some(value.path()?),
    graceful_timeout(config, value) => config.graceful_timeout = value.duration()?,
    group(config, value) => config.group = Some(value.word()?),
    header_timeout(config, value) => config.http.header_timeout = value.duration()?,
    heartbeat_timeout(config, value) => config.heartbeat_timeout = value.duration()?,
    keep_alive_timeout(config, value) => config.http.keep_alive_timeout = value.duration()?,
    #[cfg(feature = "cli")]
    log_file(config, value) => config.log.log_file = Some(value.path()?),
    #[cfg(feature = "cli")]
    log_format(config, value) => config.log.log_format = Some(value.choice()?),
    #[cfg(feature = "cli")]
    log_level(config, value) => config.log.log_level = Some(crate::cli::log_level(value.text()?)?),
    max_connections(config, value) => config.max_connections = value.number()?,
    max_header_size(config, value) => config.http.max_header_size = value.size()?,
    max_headers(config, value) => config.http.max_headers = value.number()?,
    max_lifetime(config, value) => config.max_lifetime = Some(value.duration()?),
    max_requests(config, value) => config.max_requests = value.number()?,
    max_rss(config, value) => config.max_rss = Some(value.size()?),
    pid_file(config, value) => config.pid_file = Some(value.path()?),
    readiness_path(config, value) => config.readiness_path = Some(value.text()?.to_owned()),
    #[cfg(feature = "watch")]
    reload(config, value) => config.watch = if value.truth()? { vec![".".into()] } else { Vec::new() },
    #[cfg(feature = "watch")]
    reload_dir(config, value) => config.watch = value.several(Value::path)?,
    request_timeout(config, value) => config.http.request_timeout = value.duration()?,
    shutdown_delay(config, value) => config.shutdown_delay = value.duration()?,
    socket_mode(config, value) => config.socket_mode = value.mode()?,
    start_timeout(config, value) => config.start_timeout = value.duration()?,
    thread_workers(config, value) => config.thread_workers = value.number()?,
    #[cfg(feature = "tls")]
    tls_certificate(config, value) => config.encrypt(Some(&value.path()?), None),
    #[cfg(feature = "tls")]
    tls_key(config, value) => config.encrypt(None, Some(&value.path()?)),
    umask(config, value) => config.umask = Some(value.mode()?),
    user(config, value) => config.user = Some(value.word()?),
    workers(config, value) => config.workers = value.workers()?,
    write_timeout(config, value) => config.http.write_timeout = value.duration()?,
}

/// The name that somebody may have meant.
pub(super) fn nearest(name: &str, own: &[OwnKey]) -> Option<&'static str> {
    let name = name.to_lowercase().replace('-', "_");
    let known = KEYS.iter().map(|key| key.name);
    let distances = known
        .chain(own.iter().map(|key| key.name))
        .map(|key| (strsim::osa_distance(&name, key), key));
    let (distance, nearest) = distances.min()?;
    // A mistyped letter, and another for each five of them.
    (distance <= 1 + name.len() / 5).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised() {
        for (slip, meant) in [
            ("worker", Some("workers")),
            ("Bind", Some("bind")),
            ("graceful-timeout", Some("graceful_timeout")),
            ("gracefull_timout", Some("graceful_timeout")),
            ("max_header", Some("max_headers")),
            ("chdir", None),
            ("threads", None),
            ("", None),
        ] {
            assert_eq!(nearest(slip, &[]), meant, "{slip}");
        }
    }

    #[cfg(feature = "cli")]
    #[test]
    fn every_option_is_a_key() {
        use clap::Args as _;

        let command = crate::cli::Args::augment_args(clap::Command::new("shop"));
        let options = command.get_arguments().filter_map(clap::Arg::get_long);
        let mut options: Vec<_> = options.map(|name| name.replace('-', "_")).collect();
        options.retain(|name| name != "config");
        options.sort();
        let names: Vec<_> = KEYS.iter().map(|key| key.name).collect();
        assert_eq!(names, options);
    }
}
