//! Watches whether a loop is held up by code that neither awaits nor returns.

use std::{
    sync::{Arc, PoisonError, atomic::Ordering::SeqCst},
    time::{Duration, Instant},
};

use pyo3::{prelude::*, types::PyDict};

use super::{
    commands::LoopCommand,
    handle::{LoopState, SCRIPT},
};

/// How often the watch checks.
const INTERVAL: Duration = Duration::from_millis(500);

/// A loop that takes longer than this to take a command is reported.
const HELD_UP: Duration = Duration::from_secs(1);

/// The number of frames in a report.
const FRAMES: usize = 8;

/// A command that shows whether the loop takes commands.
#[derive(Default)]
pub(super) struct Tick {
    /// Python's identifier of the loop's thread.
    pub(super) thread: Option<u64>,
    state: TickState,
}

#[derive(Clone, Copy, Default)]
enum TickState {
    #[default]
    Taken,
    /// Since when it is queued.
    Queued(Instant),
    /// The same, and it was reported that the loop is held up.
    Reported(Instant),
}

impl Tick {
    /// The loop has taken it.
    pub(super) fn ticked(&mut self) {
        if let TickState::Reported(since) = self.state {
            let seconds = since.elapsed().as_secs_f64();
            tracing::warn!(seconds, "the event loop runs again");
        }
        self.state = TickState::Taken;
    }
}

/// Watches a loop until it ends. To be called on a thread of its own.
pub(super) fn watch(state: &Arc<LoopState>) {
    while !state.has_ended_within(INTERVAL) {
        let mut tick = state.tick.lock().unwrap_or_else(PoisonError::into_inner);
        match tick.state {
            TickState::Taken if state.tasks.running() > 0 && !state.is_loading.load(SeqCst) => {
                tick.state = TickState::Queued(Instant::now());
                drop(tick);
                state.commands.push(LoopCommand::Tick);
            }
            TickState::Queued(since) if since.elapsed() >= HELD_UP => {
                tick.state = TickState::Reported(since);
                let thread = tick.thread;
                drop(tick);
                report(state, since, thread);
            }
            _ => {}
        }
    }
}

fn report(state: &LoopState, since: Instant, thread: Option<u64>) {
    // It waits here if an extension holds the interpreter's lock.
    let stack = Python::attach(|py| thread.map(|thread| stack(py, thread)));
    let stack = stack.transpose().ok().flatten().unwrap_or_default();
    tracing::error!(
        event_loop = state.driver.name(),
        seconds = since.elapsed().as_secs_f64(),
        tasks = state.tasks.running(),
        stack,
        "code of the application holds up the event loop, and all its requests wait: {}",
        state.driver.advice()
    );
}

/// The functions that the thread runs, the innermost first.
fn stack(py: Python<'_>, thread: u64) -> PyResult<String> {
    let frames = py.import("sys")?.call_method0("_current_frames")?;
    let frames = frames.cast_into::<PyDict>().map_err(PyErr::from)?;
    let mut next = frames.get_item(thread)?;
    let mut lines = Vec::new();
    while let Some(frame) = next
        && !frame.is_none()
        && lines.len() < FRAMES
    {
        let code = frame.getattr("f_code")?;
        let function = code.getattr("co_name")?;
        let file = code.getattr("co_filename")?.to_string();
        let line = frame.getattr("f_lineno")?;
        // Everything below is the loop itself.
        if file == SCRIPT {
            break;
        }
        lines.push(format!("{function} ({file}:{line})"));
        next = Some(frame.getattr("f_back")?);
    }
    Ok(lines.join(" < "))
}
