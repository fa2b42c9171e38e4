use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::{config::Config, listener::Bound};

/// One server, as the supervisor and its slots see it.
#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) index: usize,
    pub(super) name: String,
    pub(super) program: Program,
    /// Held by the supervisor alone, so that it can close them.
    pub(super) bound: Weak<Bound>,
    pub(super) start_timeout: Duration,
    pub(super) heartbeat_timeout: Duration,
    established: AtomicBool,
}

impl Fleet {
    pub(super) fn new(
        index: usize,
        name: String,
        program: Program,
        bound: &Arc<Bound>,
        config: &Config,
    ) -> Self {
        Self {
            index,
            name,
            program,
            bound: Arc::downgrade(bound),
            start_timeout: config.start_timeout,
            heartbeat_timeout: config.heartbeat_timeout,
            established: AtomicBool::new(false),
        }
    }

    /// All workers were ready at once: from now on a worker that dies is replaced.
    pub(super) fn establish(&self) {
        self.established.store(true, Relaxed);
    }

    pub(super) fn is_established(&self) -> bool {
        self.established.load(Relaxed)
    }
}

/// What a worker executes.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) path: PathBuf,
}

impl Program {
    /// This program. The path is kept: when another binary is put there, later workers run it.
    pub(super) fn current() -> std::io::Result<Self> {
        let path = std::env::current_exe()?;
        // The kernel's remark on a binary that was deleted, or replaced by another.
        let kept = path
            .to_str()
            .and_then(|path| path.strip_suffix(" (deleted)"));
        let path = match kept {
            Some(kept) if !path.exists() => Path::new(kept).to_owned(),
            _ => path,
        };
        Ok(Self { path })
    }
}
