//! The number of connections that the limit of open files allows.

use rustix::process::{Resource, getrlimit};

use super::Config;

/// File descriptors that are reserved for other uses than connections: listeners, logs, files and sockets of the
/// application. One for each of its threads is added.
const SPARE: usize = 64;

/// The server does not start with a limit below this, unless `max_connections` is lower.
const LEAST: usize = 16;

/// The limit of open files of this process.
fn limit() -> usize {
    let files = getrlimit(Resource::Nofile).current;
    files.map_or(usize::MAX, |files| {
        usize::try_from(files).unwrap_or(usize::MAX)
    })
}

/// The limit of connections, lowered to what the limit of open files allows.
pub(crate) fn max_connections(config: &Config) -> usize {
    possible(limit(), config).min(config.max_connections).max(1)
}

fn possible(limit: usize, config: &Config) -> usize {
    limit.saturating_sub(SPARE + config.thread_workers)
}

/// Logs when the limit of open files lowers `max_connections`, and refuses a limit that is too low. The error is a
/// sentence for the operator.
pub(crate) fn check_files(server: &str, config: &Config) -> Result<(), String> {
    let limit = limit();
    let possible = possible(limit, config);
    if possible >= config.max_connections {
        return Ok(());
    }
    if possible < LEAST {
        let least = LEAST + SPARE + config.thread_workers;
        return Err(format!(
            "{server}: the limit of open files is {limit}, which leaves {possible} for connections; \
             raise it with ulimit -n or LimitNOFILE to at least {least}"
        ));
    }
    let max_connections = config.max_connections;
    let needed = max_connections + SPARE + config.thread_workers;
    // The usual limit of 1024 is a little less than the usual number of connections.
    if possible < max_connections / 2 {
        tracing::warn!(
            server,
            max_connections,
            possible,
            limit,
            needed,
            "max_connections is lowered to what the limit of open files allows; raise it with ulimit -n or LimitNOFILE"
        );
    } else {
        tracing::info!(
            server,
            max_connections,
            possible,
            limit,
            needed,
            "max_connections is lowered to what the limit of open files allows"
        );
    }
    Ok(())
}
