//! A budget of bytes, of memory or of disk, that many requests share.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// A number of bytes that a setting may change.
#[cfg(feature = "blocking")]
#[derive(Debug)]
pub(crate) struct ByteLimit(AtomicUsize);

#[cfg(feature = "blocking")]
impl ByteLimit {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(AtomicUsize::new(bytes))
    }

    pub(crate) fn set(&self, bytes: usize) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// The number of bytes that all requests may use together.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: AtomicUsize,
    used: AtomicUsize,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit: AtomicUsize::new(limit),
            used: AtomicUsize::new(0),
        })
    }

    #[cfg(feature = "blocking")]
    pub(crate) fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Whether `bytes` more fit in.
    #[cfg(feature = "wait-for-body")]
    pub(crate) fn has(&self, bytes: usize) -> bool {
        let used = self.used.load(Ordering::Relaxed);
        let limit = self.limit.load(Ordering::Relaxed);
        used.checked_add(bytes).is_some_and(|sum| sum <= limit)
    }

    /// Takes `bytes` if they fit in.
    fn take(&self, bytes: usize) -> bool {
        let limit = self.limit.load(Ordering::Relaxed);
        let take = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= limit);
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_ok()
    }
}

/// The share of one request in a budget, which is released when it is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Reservation {
    pub(crate) fn new(budget: &Arc<Budget>) -> Self {
        Self {
            budget: Arc::clone(budget),
            bytes: 0,
        }
    }

    /// Grows to `total` bytes. Returns `false` if they do not fit in.
    pub(crate) fn grow_to(&mut self, total: usize) -> bool {
        let Some(more) = total.checked_sub(self.bytes) else {
            return true;
        };
        let taken = self.budget.take(more);
        if taken {
            self.bytes = total;
        }
        taken
    }

    /// Releases what exceeds `total`.
    #[cfg(feature = "blocking")]
    pub(crate) fn shrink_to(&mut self, total: usize) {
        let less = self.bytes.saturating_sub(total);
        self.budget.used.fetch_sub(less, Ordering::Relaxed);
        self.bytes -= less;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_share_the_budget_and_give_it_back() {
        let budget = Budget::new(100);
        let mut first = Reservation::new(&budget);
        let mut second = Reservation::new(&budget);
        assert!(first.grow_to(60));
        assert!(first.grow_to(50), "never shrinks, never fails");
        assert!(!second.grow_to(41));
        assert!(second.grow_to(40));
        assert!(!first.grow_to(61));
        #[cfg(feature = "wait-for-body")]
        assert!(budget.has(0) && !budget.has(1));
        drop(second);
        assert!(first.grow_to(100));
        first.shrink_to(70);
        first.shrink_to(80);
        assert!(Reservation::new(&budget).grow_to(30));
        assert!(!Reservation::new(&budget).grow_to(31));
    }
}
