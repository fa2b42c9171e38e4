use serde::{Deserialize, Serialize};

/// The state of the whole program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Status {
    /// Of this library.
    pub(crate) version: String,
    /// The supervisor's.
    pub(crate) pid: i32,
    /// What the program does, in a word: it starts, serves, reloads, …
    pub(crate) phase: String,
    pub(crate) uptime_s: u64,
    pub(crate) servers: Vec<ServerStatus>,
}

/// The state of one server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ServerStatus {
    pub(crate) name: String,
    /// Where it listens, as the log says it.
    pub(crate) addresses: Vec<String>,
    /// In the order of their slots. A slot has up to three processes; one that has none at present
    /// is a worker without a pid.
    pub(crate) workers: Vec<WorkerStatus>,
}

/// The state of one worker process, as its last heartbeat told it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct WorkerStatus {
    pub(crate) slot: usize,
    pub(crate) pid: Option<i32>,
    pub(crate) role: Role,
    pub(crate) state: State,
    /// Since the process was started.
    pub(crate) age_s: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) connections: usize,
    pub(crate) in_flight: usize,
    pub(crate) queued: usize,
    pub(crate) requests: u64,
    pub(crate) refused: u64,
    pub(crate) oldest_job_s: Option<f64>,
    /// How often a worker of this slot has died.
    pub(crate) restarts: u32,
}

/// What a process is to its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// Serves, or starts in the place of one that died.
    Serving,
    /// Starts while the other still serves.
    Replacement,
    /// Finishes what it has, while the other serves already.
    Retired,
    /// There is no process.
    None,
}

/// How far a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    Starting,
    Ready,
    Draining,
    /// Was told to end at once, and has not yet.
    Killed,
    /// There is no process; the next one starts after a delay.
    Waiting,
}

impl WorkerStatus {
    /// There is no process in this slot; the next one starts after a delay.
    pub(crate) fn waiting(slot: usize, restarts: u32) -> Self {
        Self {
            slot,
            pid: None,
            role: Role::None,
            state: State::Waiting,
            age_s: 0,
            memory_bytes: 0,
            connections: 0,
            in_flight: 0,
            queued: 0,
            requests: 0,
            refused: 0,
            oldest_job_s: None,
            restarts,
        }
    }
}
