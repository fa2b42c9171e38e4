//! Wakes the event loop after several jobs, where there are more to run.
//!
//! To wake it for each answer has a thread and the event loop take turns on a core, and the event loop and
//! its clients, too. While a thread has more jobs, an answer waits for the next ones: for a part of the time
//! that its request has waited, so that it is no longer under way than a little. Should one of the jobs take
//! long, the event loop looks by itself.

use std::{
    cell::RefCell,
    sync::Arc,
    task::Waker,
    time::{Duration, Instant},
};

use super::wake_list::WakeList;

/// An answer waits no longer than for this part of the time that its request has waited.
const PART: u32 = 4;

/// And no longer than this.
const MOST: Duration = Duration::from_millis(2);

thread_local! {
    static DEFERRED: RefCell<Deferred> = const {
        RefCell::new(Deferred {
            patience: Duration::ZERO,
            list: None,
            until: None,
        })
    };
}

struct Deferred {
    /// How long the answer of the job that runs may wait.
    patience: Duration,
    /// Has answers that its event loop was not told of.
    list: Option<Arc<WakeList>>,
    /// The first of them waits no longer.
    until: Option<Instant>,
}

/// A job begins, and others wait. It has waited for the time `waited`, and takes about as long as the last
/// one, which `took` so long.
pub(super) fn begin(waited: Duration, took: Duration) {
    let patience = MOST.min(waited / PART);
    let is_enough = patience > took;
    DEFERRED.with_borrow_mut(|deferred| {
        deferred.patience = if is_enough { patience } else { Duration::ZERO };
    });
}

/// A job begins, and no other waits.
pub(super) fn begin_last() {
    DEFERRED.with_borrow_mut(|deferred| deferred.patience = Duration::ZERO);
}

/// Wakes a task, now or with the next ones.
pub(super) fn wake(list: &Arc<WakeList>, waker: Waker) {
    // Nothing of others runs while it is borrowed.
    if DEFERRED.with_borrow(|deferred| deferred.patience.is_zero()) {
        return list.wake(waker);
    }
    if !list.leave(waker) {
        return;
    }
    let before = DEFERRED.with_borrow_mut(|deferred| deferred.list.replace(Arc::clone(list)));
    // Of another event loop.
    if let Some(other) = before.filter(|before| !Arc::ptr_eq(before, list)) {
        other.tell();
    }
}

/// Whether the event loop is to be told of its answers, after a job that ended `now`.
pub(super) fn is_due(more: bool, now: Instant) -> bool {
    DEFERRED.with_borrow_mut(|deferred| {
        if deferred.list.is_none() {
            return false;
        }
        let until = *deferred.until.get_or_insert(now + deferred.patience);
        !more || now >= until
    })
}

/// Whether the event loop was not told of some.
pub(super) fn has_answers() -> bool {
    DEFERRED.with_borrow(|deferred| deferred.list.is_some())
}

/// Tells it. Whoever is going to wait does so before.
pub(super) fn flush() {
    let list = DEFERRED.with_borrow_mut(|deferred| {
        deferred.until = None;
        deferred.list.take()
    });
    if let Some(list) = list {
        list.tell();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::task::noop_waker;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// Whether an answer waits after a job that has waited, and takes about so long.
    fn waits(waited: Duration, took: Duration) -> bool {
        begin(waited, took);
        wake(&WakeList::looking(), noop_waker());
        let waits = has_answers();
        flush();
        waits
    }

    #[test]
    fn an_answer_waits_where_its_request_has_waited_for_much_longer() {
        let ms = Duration::from_millis;
        assert!(waits(LONG, ms(1)));
        assert!(waits(ms(5), ms(1)));
        assert!(!waits(ms(4), ms(1)));
        assert!(!waits(ms(0), ms(0)));
        assert!(!waits(LONG, MOST), "never so long");
        begin_last();
        wake(&WakeList::looking(), noop_waker());
        assert!(!has_answers(), "no other job waits");
    }

    #[test]
    fn it_waits_until_its_time_is_over_or_there_are_no_more_jobs() {
        let now = Instant::now();
        assert!(!is_due(false, now), "there is none");
        begin(LONG, Duration::ZERO);
        wake(&WakeList::looking(), noop_waker());
        assert!(!is_due(true, now));
        assert!(!is_due(true, now + MOST / 2));
        assert!(is_due(true, now + MOST));
        assert!(is_due(false, now));
        flush();
        assert!(!is_due(false, now + MOST));
    }

    #[test]
    fn the_answers_of_another_event_loop_are_told_first() {
        let (one, other) = (WakeList::looking(), WakeList::looking());
        begin(LONG, Duration::ZERO);
        wake(&one, noop_waker());
        wake(&one, noop_waker());
        assert!(!one.is_told());
        wake(&other, noop_waker());
        assert!(one.is_told() && !other.is_told());
        flush();
        assert!(other.is_told());
    }
}
