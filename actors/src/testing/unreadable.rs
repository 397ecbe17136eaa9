//! A log whose records are visible and cannot be read: its file is gone.

use std::collections::VecDeque;
use std::sync::Arc;

use cuemq_storage::commit_log::{CommitLog, Dispatch, LogFiles, LogParts, LogView, QueueTable};
use cuemq_storage::index::IndexKey;
use cuemq_storage::log_state::FlushMode;
use cuemq_storage::position::{FlushEpoch, PhysicalOffset};

/// The view of such a log of 100 bytes, of which the index has confirmed nothing.
pub(crate) fn unreadable_log() -> Arc<LogView> {
    let (begin, end) = (PhysicalOffset(0), PhysicalOffset(100));
    let view = Arc::new(LogView::new(Vec::new()));
    let files = LogFiles::new(4096, VecDeque::new(), Arc::clone(&view), end, 0);
    let key = IndexKey {
        hash: 7,
        physical_offset: begin,
        store_timestamp_ms: 5,
    };
    let again = Dispatch {
        from: begin,
        upto: end,
        keys: vec![key],
        ..Dispatch::default()
    };
    let parts = LogParts {
        last_store_timestamp_ms: 5,
        again: vec![again],
        ..LogParts::of(files, QueueTable::default(), end)
    };
    drop(CommitLog::<()>::new(FlushMode::Sync, FlushEpoch(0), parts));
    assert!(view.confirmed() < view.visible());
    view
}
