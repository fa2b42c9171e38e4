//! Signals: what they ask of a process, those that are unexpected, and their names.

mod requests;
mod stray;

pub(crate) use requests::{SignalRequest, Signals, StopRequest, leave_to_supervisor};
pub(crate) use stray::{StraySignals, ignore_stray_signals, signal_name};
