//! The open connections of a worker, among which room can be made for a new one.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::progress::{Awaits, Progress};

/// A connection that was never served is left alone for so many milliseconds: its request may be on its way. One
/// that was served is noted as idle a second after its last response.
const LEAST: u64 = 2000;

/// All connections; those that have ended are forgotten by and by.
#[derive(Debug, Default)]
pub(super) struct Table(Mutex<Vec<Weak<Progress>>>);

impl Table {
    pub(super) fn enter(&self, connection: &Arc<Progress>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() == all.capacity() {
            all.retain(|one| one.strong_count() > 0);
            // So that it is seldom looked for those that have ended.
            let room = all.len().max(16);
            all.reserve(room);
        }
        all.push(Arc::downgrade(connection));
    }

    /// Has so many idle connections close: those that wait for their next request before those that have yet to
    /// send one, then those in a handshake, then those with a part of a head; of each kind the ones that have been
    /// idle for longest. Gives how many there were.
    pub(super) fn give_up(&self, places: usize, now: u64) -> usize {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut idle = Vec::new();
        all.retain(|one| {
            let Some(connection) = one.upgrade() else {
                return false;
            };
            if let Some((awaits, since)) = connection.idle_since()
                && (awaits == Awaits::NextRequest || now.saturating_sub(since) >= LEAST)
            {
                idle.push((awaits, since, connection));
            }
            true
        });
        drop(all);
        idle.sort_unstable_by_key(|(awaits, since, _): &(Awaits, u64, _)| (*awaits, *since));
        idle.iter()
            .filter(|(_, _, connection)| connection.give_up())
            .take(places)
            .count()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tower_server_info::ClientInput;

    use super::*;
    use crate::connection::Load;

    #[tokio::test]
    async fn who_was_served_and_is_idle_longest_goes_first() {
        let load = Load::new(0);
        let table = Table::default();
        let connect = |awaits, since| {
            let progress = Arc::new(Progress::new(
                ClientInput::new(),
                load.clone(),
                Duration::ZERO,
            ));
            progress.note_idle_at(awaits, since);
            table.enter(&progress);
            progress
        };
        let head = connect(Awaits::RestOfHead, 0);
        let handshake = connect(Awaits::Handshake, 1);
        let silent = connect(Awaits::FirstRequest, 2);
        let closing = connect(Awaits::Nothing, 0);
        let new = connect(Awaits::FirstRequest, 5000);
        let late = connect(Awaits::NextRequest, 4);
        let early = connect(Awaits::NextRequest, 3);
        let gone = connect(Awaits::NextRequest, 0);
        drop(gone);
        let all = [&early, &late, &silent, &handshake, &head];
        for (index, next) in all.iter().enumerate() {
            assert!(!next.idle().is_given_up(), "{index}");
            assert_eq!(table.give_up(1, 6999), 1);
            assert!(next.idle().is_given_up(), "{index}");
        }
        assert_eq!(table.give_up(9, 6999), 0, "they are asked once");
        assert!(!new.idle().is_given_up() && !closing.idle().is_given_up());
        assert_eq!(table.give_up(9, 7000), 1);
        assert!(new.idle().is_given_up());
    }

    #[tokio::test]
    async fn those_that_have_ended_take_no_room() {
        let load = Load::new(0);
        let table = Table::default();
        for _ in 0..10_000 {
            table.enter(&Arc::new(Progress::new(
                ClientInput::new(),
                load.clone(),
                Duration::ZERO,
            )));
        }
        assert!(table.0.lock().unwrap().len() < 100);
    }
}
