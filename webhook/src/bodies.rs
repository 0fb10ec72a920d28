//! How much memory request bodies may hold together, so that callers who send much and then stall cannot use it up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A body up to this size is always taken: the review of an ordinary pod is 5 to 30 KiB.
pub const SMALL: usize = 64 << 10;

/// What all larger bodies may hold together: some forty of the largest objects that fit into etcd.
const MOST: usize = 64 << 20;

/// Counts the bytes of larger bodies. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Budget(Arc<AtomicUsize>);

/// One body's part of the [`Budget`], given back when dropped.
#[derive(Debug)]
pub struct Share {
    budget: Budget,
    held: usize,
}

impl Budget {
    /// A part that holds nothing yet.
    pub fn share(&self) -> Share {
        Share {
            budget: self.clone(),
            held: 0,
        }
    }

    /// Bytes that larger bodies hold now.
    pub fn held(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Share {
    /// Makes room for a body of `length` bytes in all. False when there is none.
    pub fn grow_to(&mut self, length: usize) -> bool {
        if length <= SMALL || length <= self.held {
            return true;
        }
        let more = length - self.held;
        let fits = |held: usize| held.checked_add(more).filter(|sum| *sum <= MOST);
        let grown = self
            .budget
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .is_ok();
        if grown {
            self.held = length;
        }
        grown
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.0.fetch_sub(self.held, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_bodies_share_what_there_is_and_small_ones_always_pass() {
        let budget = Budget::default();
        let mut first = budget.share();
        assert!(first.grow_to(SMALL) && budget.held() == 0);
        assert!(first.grow_to(MOST - 1) && budget.held() == MOST - 1);
        let mut second = budget.share();
        assert!(second.grow_to(SMALL));
        assert!(!second.grow_to(SMALL + 1) && budget.held() == MOST - 1);
        drop(first);
        assert!(second.grow_to(SMALL + 1) && budget.held() == SMALL + 1);
        drop(second);
        assert_eq!(budget.held(), 0);
    }
}
