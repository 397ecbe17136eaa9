//! How many files the consume queues have open, and in which turn they are synced: tens of thousands of queues share one
//! process's descriptors and one disk.
//!
//! A queue keeps the file open that it writes to. When descriptors run short, it lets go of it as soon as it is synced; when
//! there is none to spare, it syncs it at once, on its own thread, and lets go: slow beats refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::listener::ConnectionLimit;

/// This share of all descriptors is for what is neither a connection nor a consume queue.
const OTHERS: u64 = 16;
/// How far apart the syncs of many queues are. Each costs a core about 0.1 ms, whatever it writes.
const APART: Duration = Duration::from_micros(2500);
/// No queue waits longer for its sync: what is not synced is read again from the log after a crash.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How soon a queue is synced whose descriptor is wanted.
const SOON: Duration = Duration::from_millis(10);

/// The descriptors of a process, as the consume queues see them.
#[derive(Debug)]
pub struct OpenFiles {
    most: u64,
    connections: Vec<Arc<ConnectionLimit>>,
    open: AtomicU64,
    turns: AtomicU32,
}

/// The right of a queue to keep its file open.
#[derive(Debug)]
pub struct OpenFile(Arc<OpenFiles>);

/// The turn of a queue to be synced.
#[derive(Debug)]
pub struct Turn(Arc<OpenFiles>);

impl OpenFiles {
    /// Those of a process that may have `limit` files open, these connections among them.
    #[must_use]
    pub fn new(limit: u64, connections: Vec<Arc<ConnectionLimit>>) -> Arc<Self> {
        Arc::new(Self {
            most: limit - limit / OTHERS,
            connections,
            open: AtomicU64::new(0),
            turns: AtomicU32::new(0),
        })
    }

    /// Counts one more open file, unless there is none to spare.
    #[must_use]
    pub fn take(self: &Arc<Self>) -> Option<OpenFile> {
        (self.used() < self.most).then(|| {
            self.open.fetch_add(1, Ordering::Relaxed);
            OpenFile(Arc::clone(self))
        })
    }

    /// Whether files should be let go.
    #[must_use]
    pub fn is_tight(&self) -> bool {
        self.used() >= self.most / 4 * 3
    }

    /// The turn of one more queue, and how long it waits for it: `interval`, longer when there are many, not when files
    /// should be let go.
    #[must_use]
    pub fn turn(self: &Arc<Self>, interval: Duration) -> (Turn, Duration) {
        let before = self.turns.fetch_add(1, Ordering::Relaxed);
        let wait = if self.is_tight() {
            SOON
        } else {
            (APART * before).min(LONGEST_WAIT).max(interval)
        };
        (Turn(Arc::clone(self)), wait)
    }

    fn used(&self) -> u64 {
        let connections: usize = self.connections.iter().map(|limit| limit.open()).sum();
        self.open.load(Ordering::Relaxed) + connections as u64
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.turns.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(2);

    #[test]
    fn connections_and_queues_share_the_descriptors_and_some_are_left_for_others() {
        let connections = ConnectionLimit::new(100);
        let files = OpenFiles::new(32, vec![Arc::clone(&connections)]);
        let permits: Vec<_> = (0..10).filter_map(|_| connections.take()).collect();
        let mut open: Vec<_> = std::iter::from_fn(|| files.take()).collect();
        assert_eq!((permits.len(), open.len()), (10, 20));
        assert!(files.is_tight());
        open.truncate(10);
        assert!(!files.is_tight());
        drop(permits);
        open.extend(std::iter::from_fn(|| files.take()));
        assert_eq!(open.len(), 30);
    }

    #[test]
    fn many_queues_are_synced_one_after_the_other_and_none_waits_longer_than_ten_seconds() {
        let files = OpenFiles::new(u64::MAX, Vec::new());
        let (turns, waits): (Vec<_>, Vec<_>) = (0..20_000).map(|_| files.turn(INTERVAL)).unzip();
        assert_eq!(waits[800], INTERVAL);
        assert_eq!(waits[2_000], Duration::from_secs(5));
        assert_eq!(waits[19_999], LONGEST_WAIT);
        drop(turns);
        assert_eq!(files.turn(INTERVAL).1, INTERVAL);
    }

    #[test]
    fn a_queue_whose_descriptor_is_wanted_is_synced_soon() {
        let files = OpenFiles::new(16, Vec::new());
        let _open: Vec<_> = (0..11).filter_map(|_| files.take()).collect();
        assert_eq!(files.turn(INTERVAL).1, SOON);
    }
}
