//! Which worker is overloaded while others are idle.
//!
//! Clients that keep their connections stay with their worker, however busy it is. So it closes some of the connections, and
//! the clients connect again to a worker with capacity.

use crate::operator::{ProcessRole, ProcessState, WorkerStatus};

/// How many connections a worker is to close after a heartbeat, to even its load out with its idle siblings. `previous` is the
/// status of each worker at its last heartbeat, including this one.
///
/// A worker is overloaded when it has more requests than threads at two heartbeats in a row. A sibling is idle when half of its
/// threads are. Without threads no request delays another.
pub(super) fn surplus(now: &WorkerStatus, previous: &[WorkerStatus], threads: usize) -> usize {
    let is_serving = |worker: &&WorkerStatus| {
        worker.role == ProcessRole::Serving && worker.state == ProcessState::Ready
    };
    let serving = || previous.iter().filter(is_serving);
    let before = serving().find(|worker| worker.pid == now.pid);
    let before = before.map_or(0, |worker| worker.stats.in_flight);
    if threads == 0 || before.min(now.stats.in_flight) <= threads {
        return 0;
    }

    let requests = |worker: &WorkerStatus| worker.stats.in_flight;
    let siblings = || {
        serving()
            .filter(|worker| worker.pid != now.pid)
            .map(requests)
    };
    let idle = || siblings().filter(|requests| requests * 2 <= threads);
    // Other overloaded workers close their part.
    let busy = 1 + siblings().filter(|requests| *requests > threads).count();
    let room = idle().map(|requests| threads - requests).sum::<usize>() / busy;
    let even = (now.stats.in_flight + idle().sum::<usize>()) / (1 + idle().count());
    room.min(now.stats.in_flight.saturating_sub(even))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::WorkerStats;

    fn worker(slot: usize, in_flight: usize) -> WorkerStatus {
        WorkerStatus {
            pid: i32::try_from(slot).ok(),
            role: ProcessRole::Serving,
            state: ProcessState::Ready,
            stats: WorkerStats {
                in_flight,
                ..WorkerStats::default()
            },
            ..WorkerStatus::waiting(slot, 0)
        }
    }

    /// The result for a worker with 10 threads, with its requests before and now.
    fn shed(before: usize, now: usize, siblings: &[usize]) -> usize {
        let all = [&[before], siblings].concat();
        let board: Vec<_> = (0..)
            .zip(all)
            .map(|(slot, count)| worker(slot, count))
            .collect();
        surplus(&worker(0, now), &board, 10)
    }

    #[test]
    fn the_load_is_evened_out_with_idle_siblings() {
        assert_eq!(shed(20, 20, &[0]), 10);
        assert_eq!(shed(14, 14, &[4]), 5, "both have 9 then");
        assert_eq!(shed(40, 40, &[0]), 10, "it has 10 threads");
        assert_eq!(shed(20, 20, &[2, 2, 2]), 14);
        assert_eq!(shed(100, 100, &[5, 5, 0]), 20);
    }

    #[test]
    fn nothing_is_closed_without_capacity_or_need() {
        assert_eq!(shed(10, 10, &[0]), 0, "each has its thread");
        assert_eq!(shed(10, 30, &[0]), 0, "it may be over at once");
        assert_eq!(shed(30, 10, &[0]), 0, "it is over");
        assert_eq!(shed(30, 30, &[6, 9, 40]), 0, "no sibling is idle");
        assert_eq!(shed(30, 30, &[]), 0, "there are no siblings");
        assert_eq!(surplus(&worker(0, 9), &[worker(0, 9), worker(1, 0)], 0), 0);
    }

    #[test]
    fn several_busy_workers_share_the_room() {
        assert_eq!(shed(30, 30, &[30, 0]), 5);
        assert_eq!(shed(30, 30, &[30, 30, 1]), 3);
    }

    #[test]
    fn only_serving_workers_have_capacity() {
        let starts = WorkerStatus {
            state: ProcessState::Starting,
            ..worker(1, 0)
        };
        let retired = WorkerStatus {
            role: ProcessRole::Retired,
            ..worker(2, 0)
        };
        let board = [worker(0, 30), starts, retired, WorkerStatus::waiting(3, 0)];
        assert_eq!(surplus(&worker(0, 30), &board, 10), 0);
    }
}
