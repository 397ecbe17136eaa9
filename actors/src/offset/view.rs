//! The readers' side of the table of consumer offsets: what groups have committed, as it is now.
//!
//! The owner has the lock for one message at a time, a reader for one group at a time, so that neither waits long for the
//! other. A table of that many small numbers is no place for a copy at each commit.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::OffsetTable;

/// Shows all offsets as they are now. Clones show the same.
#[derive(Clone, Debug, Default)]
pub struct OffsetView(Arc<Mutex<OffsetTable>>);

impl OffsetView {
    /// The table, for its owner.
    pub(super) fn own(&self) -> MutexGuard<'_, OffsetTable> {
        // What a handler that panicked has left is replaced by the file when the owner is built anew.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `each` for every topic of every group, with queues and offsets, sorted by queue; not in an order. What changes
    /// meanwhile may be seen or not.
    pub fn for_each(&self, mut each: impl FnMut(&Arc<str>, &Arc<str>, &[(i32, i64)])) {
        let groups = self.own().groups();
        for group in groups {
            let topics = self.own().of_group(&group);
            for (topic, queues) in topics {
                each(&group, &topic, &queues);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_was_committed_is_shown() {
        let view = OffsetView::default();
        for (group, topic, queue_id) in [("g", "T", 1), ("g", "T", 0), ("g", "U", 0), ("h", "T", 3)] {
            view.own().commit(group, topic, queue_id, 7).unwrap();
        }
        let mut shown = Vec::new();
        view.for_each(|group, topic, queues| shown.push(format!("{group} {topic} {queues:?}")));
        shown.sort_unstable();
        assert_eq!(shown, ["g T [(0, 7), (1, 7)]", "g U [(0, 7)]", "h T [(3, 7)]"]);
    }
}
