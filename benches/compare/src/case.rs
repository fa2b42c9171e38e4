//! The measurements: a row of the table has cases, and a case has contenders.

use crate::{load::Load, program::Program, target::Target};

/// A row of the table.
pub(crate) struct Row {
    pub(crate) number: u8,
    pub(crate) group: Group,
    /// What the row says ours is measured against.
    pub(crate) against: &'static str,
    pub(crate) cases: Vec<Case>,
}

/// The rows that are run together by a word on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Group {
    /// The layers and the server in Rust
    Rust,
    /// Python applications
    Python,
    /// Awaited responses and WebSocket connections
    Asynchronous,
    /// The access log, connections, memory and start
    Resources,
    /// HTTP/2, TLS and static files
    Edge,
}

/// Contenders with the same task.
pub(crate) struct Case {
    /// Unlike that of any other case of the row.
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Where the target counts.
    pub(crate) judged: Mode,
    /// It is measured in the other mode as well, which is only shown.
    pub(crate) in_both_modes: bool,
    /// All of them have to be met. None: the case is only shown.
    pub(crate) targets: Vec<Target>,
    /// The first is the one whose ratio to each of the others is the result.
    pub(crate) contenders: Vec<Contender>,
}

/// How it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Each connection sends its next request when it has the response to the last.
    Load,
    /// The memory of idle connections.
    Idle,
    /// The memory of an idle worker.
    Memory,
    /// The time until the first response.
    Start,
}

/// Where the processes run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The server on one core, the load on another.
    Pinned,
    /// Both on any core.
    Free,
}

impl Mode {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pinned => "pinned",
            Self::Free => "free",
        }
    }
}

/// A server and its load.
pub(crate) struct Contender {
    pub(crate) program: Program,
    pub(crate) load: Load,
}

impl Case {
    /// A case of throughput, judged with the server on one core.
    pub(crate) fn load(name: impl Into<String>, load: &Load, programs: Vec<Program>) -> Self {
        let contenders = programs.into_iter().map(|program| Contender {
            program,
            load: load.clone(),
        });
        Self {
            name: name.into(),
            kind: Kind::Load,
            judged: Mode::Pinned,
            in_both_modes: true,
            targets: Vec::new(),
            contenders: contenders.collect(),
        }
    }

    /// Memory and start do not depend on the mode.
    pub(crate) fn kind(self, kind: Kind) -> Self {
        Self {
            kind,
            in_both_modes: kind == Kind::Load,
            ..self
        }
    }

    pub(crate) fn judged(self, judged: Mode) -> Self {
        Self { judged, ..self }
    }

    /// To save time.
    pub(crate) fn in_one_mode(self) -> Self {
        Self {
            in_both_modes: false,
            ..self
        }
    }

    pub(crate) fn target(mut self, target: Target) -> Self {
        self.targets.push(target);
        self
    }

    /// The modes in which it is measured.
    pub(crate) fn modes(&self) -> Vec<Mode> {
        if self.in_both_modes {
            vec![Mode::Pinned, Mode::Free]
        } else {
            vec![self.judged]
        }
    }
}
