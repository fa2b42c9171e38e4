//! What the parts of one connection tell each other.

mod body;
mod chunk_lines;
mod due;
mod guard;
mod idle;
mod last;
mod recent;
mod state;
mod turn;

pub(super) use body::BodyState;
pub(super) use due::Due;
pub(super) use guard::{Answering, Open, Receiving};
pub(super) use idle::{Awaits, Idle};
pub(super) use last::LastRecord;
pub(super) use recent::Recent;
pub(super) use state::Progress;
