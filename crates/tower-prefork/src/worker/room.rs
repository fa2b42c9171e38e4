//! Room in a full table of connections, and what the log says of it.

use std::time::{Duration, Instant};

use super::{WorkerContext, gate::Gate};
use tower_serve::Load;

/// How often the log tells that there is no room.
const WARN_AGAIN: Duration = Duration::from_secs(60);

/// Makes room for connections that wait while all places are taken, and warns of it at most once a minute.
pub(super) async fn make_room(worker: WorkerContext, gate: Gate, load: Load) {
    let max_connections = gate.limit();
    let (mut of_idle, mut of_none) = (Warning::default(), Warning::default());
    let mut closed = 0;
    loop {
        let places = gate.room_wanted().await;
        closed += load.make_room(places);
        let (server, slot) = (worker.server(), worker.slot());
        if closed > 0 && of_idle.is_due() {
            tracing::warn!(
                server,
                slot,
                max_connections,
                closed,
                "all connections are taken; those that have been idle for longest are closed for new ones"
            );
            closed = 0;
        } else if closed == 0 && of_none.is_due() {
            tracing::warn!(
                server,
                slot,
                max_connections,
                "all connections are taken and none is idle; new ones wait"
            );
        }
    }
}

/// A warning that is not repeated all the time.
#[derive(Debug, Default)]
struct Warning(Option<Instant>);

impl Warning {
    fn is_due(&mut self) -> bool {
        let is_due = self.0.is_none_or(|last| last.elapsed() >= WARN_AGAIN);
        if is_due {
            self.0 = Some(Instant::now());
        }
        is_due
    }
}
