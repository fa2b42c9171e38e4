//! Whether temporary files can be written: asked once, at the start.

use std::error::Error;

use crate::spool::{self, Spool};

/// Logs a warning if no temporary file can be written where `TMPDIR` says. For the start of a server: request
/// bodies and responses that do not fit in memory go to such files.
///
/// `WsgiHandler` of `tower-wsgi` calls it when it is built. Blocks while it writes a few bytes.
pub fn probe_temporary_directory() {
    let directory = spool::directory();
    let spool = Spool::create_in(&directory);
    if let Err(error) = spool.and_then(|spool| spool.write_at(&[0; 4096], 0)) {
        tracing::warn!(
            error = &error as &dyn Error,
            directory = %directory.display(),
            "no temporary file can be written: request bodies that do not fit in memory get 503, and responses wait for \
             their readers; free space there or set TMPDIR"
        );
    }
}
