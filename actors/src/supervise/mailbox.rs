//! What goes through the mailbox of a child, for whoever measures. actix tells nobody how long a mailbox is; what an actor
//! finds in it when its turn comes tells as much.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::metrics::Counter;

/// Counts messages of one child, over all its lives.
#[derive(Debug, Default)]
pub struct MailboxFigures {
    /// Messages that were handled.
    pub handled: Counter,
    /// How many were found in the last turn that found any.
    pub found: AtomicU64,
    /// Turns that ended because others wanted theirs.
    pub full_turns: Counter,
}

impl MailboxFigures {
    /// Notes a turn in which messages were found.
    pub(super) fn note(&self, found: u32, full: bool) {
        self.handled.add(found.into());
        self.found.store(found.into(), Ordering::Relaxed);
        if full {
            self.full_turns.add(1);
        }
    }
}
