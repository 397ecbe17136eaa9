//! Bytes that are under way in the whole process: one budget for each class of requests, shared by all I/O threads.
//!
//! | budget | holds | limit |
//! |---|---|---|
//! | sends in the log | batches between the connection and their answer | `limits.in_flight_bytes` |
//! | sends that wait | long frames as far as they have come, frames whose topic is being made, sends held back | as much again |
//! | controls | all other requests: long ones as far as they have come, and what an actor works on | a quarter of it |
//! | answers | answers of more than 256 KiB to other requests, until their clients have taken them | a quarter of it |
//! | filters | expressions that pulls bring along, compiled, for as long as anybody uses them | an eighth of it |
//! | idle bytes | what connections hold that wait for their clients: beginnings of frames, answers that are not taken | half of it |
//!
//! They are apart so that no class can spend another's, and so that what waits for the log never counts as being in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A bound on bytes, shared by all I/O threads.
#[derive(Debug)]
pub struct Budget {
    used: AtomicUsize,
    limit: usize,
}

/// Bytes of a budget, given back when this is dropped.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

/// The budgets of a process.
#[derive(Clone, Debug)]
pub struct Budgets {
    /// Sends that the log has and that are not answered.
    pub log: Arc<Budget>,
    /// Sends on their way to the log.
    pub waiting: Arc<Budget>,
    /// Requests that are neither sends nor pulls.
    pub controls: Arc<Budget>,
    /// Long answers to them.
    pub answers: Arc<Budget>,
    /// The expressions that pulls bring along.
    pub filters: Arc<Budget>,
    /// What waits for clients to go on. It is exceeded for a moment, and then taken from those that stand still.
    pub idle: Arc<Budget>,
}

impl Budgets {
    /// The budgets of a process whose log may have `in_flight_bytes` of sends.
    #[must_use]
    pub fn new(in_flight_bytes: usize) -> Self {
        Self {
            log: Arc::new(Budget::new(in_flight_bytes)),
            waiting: Arc::new(Budget::new(in_flight_bytes)),
            controls: Arc::new(Budget::new(in_flight_bytes / 4)),
            answers: Arc::new(Budget::new(in_flight_bytes / 4)),
            filters: Arc::new(Budget::new(in_flight_bytes / 8)),
            idle: Arc::new(Budget::new(in_flight_bytes / 2)),
        }
    }
}

impl Budget {
    /// A budget of `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            used: AtomicUsize::new(0),
            limit,
        }
    }

    /// Whether nothing more should be taken. What is taken nevertheless (a batch that is already read) is counted.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.used.load(Ordering::Relaxed) >= self.limit
    }

    /// Whether twice as much is taken as there is.
    #[must_use]
    pub fn is_overdrawn(&self) -> bool {
        self.used() > 2 * self.limit
    }

    /// Takes bytes.
    pub fn take(&self, bytes: usize) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Takes bytes that are given back by themselves.
    #[must_use]
    pub fn share(self: &Arc<Self>, bytes: usize) -> Share {
        self.take(bytes);
        Share {
            budget: Arc::clone(self),
            bytes,
        }
    }

    /// Gives bytes back.
    pub fn release(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// How many bytes may be under way.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// How many bytes are under way.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

impl Share {
    /// How much it is.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes more or gives back, so that it is this much.
    pub fn set(&mut self, bytes: usize) {
        self.budget.take(bytes);
        self.budget.release(self.bytes);
        self.bytes = bytes;
    }

    /// Takes more.
    pub fn grow(&mut self, bytes: usize) {
        self.budget.take(bytes);
        self.bytes += bytes;
    }

    /// Whether others have taken twice as much as there is.
    #[must_use]
    pub fn is_overdrawn(&self) -> bool {
        self.budget.used().saturating_sub(self.bytes) > 2 * self.budget.limit
    }

    /// Whether the budget is spent, and not by this share alone.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.budget.is_spent() && self.budget.used() > self.bytes
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.release(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_given_back_when_it_is_dropped() {
        let budget = Arc::new(Budget::new(10));
        let share = budget.share(10);
        assert!(budget.is_spent());
        drop(share);
        assert_eq!(budget.used(), 0);
    }
}
