//! Builds the commit log's owner anew within a running process, after a panic of the one before: from the files, under
//! the view that all readers keep.
//!
//! Every valid record stays, also one that was written and not yet visible: its sender may have been told that it is
//! stored. What follows the last valid record is zeroed, and everything from the confirmed position on is synced.

use std::collections::VecDeque;
use std::sync::Arc;

use super::destination::{Destination, destination_of};
use super::refill::unit_of;
use super::scan::{Checks, FoundLog};
use super::{StoreLayout, cut, find};
use crate::commit_log::derive::keys_of;
use crate::commit_log::{Dispatch, LogFiles, LogParts, LogView, QueueName, QueueTable, QueueUnits};
use crate::consume_queue::{StoreTimes, Unit};
use crate::deletions::Deletions;
use crate::disk::Disk;
use crate::error::{Result, StoreError};
use crate::hash::Map;
use crate::interrupt::Interrupt;
use crate::position::{PhysicalOffset, QueueOffset};
use crate::segment::SegmentWriter;

/// Reads the log from its confirmed position on, and gives what a log's owner goes on from. `queues` are the queues known
/// to readers with their next offsets, in the order of their slots.
///
/// # Errors
/// When a file cannot be read, written or synced, or the log ends below what readers see: nothing is written then.
pub fn resume(
    disk: &Arc<dyn Disk>,
    layout: &StoreLayout,
    view: &Arc<LogView>,
    queues: Vec<(QueueName, QueueOffset)>,
) -> Result<LogParts> {
    let found = find::log(disk.as_ref(), layout)?;
    let from = view.confirmed();
    let mut gathered = Gathered {
        table: QueueTable::default(),
        again: Dispatch::default(),
        groups: Map::default(),
        deletions: Deletions::read(disk.as_ref(), &layout.root)?,
        stored: layout.extension_file_bytes.map(|_| StoreTimes::default()),
    };
    for (name, next) in queues {
        gathered.table.insert(&name.topic, name.queue_id, next);
    }
    let checks = Checks {
        body_crc: layout.check_crc,
        // What readers see is whole.
        torn_from: view.visible(),
    };
    let end = found.walk(disk.as_ref(), from, checks, |record| {
        gathered.take(record, layout);
        Ok::<_, StoreError>(())
    })?;
    if end.position < view.visible() {
        return Err(found.damaged(
            &end,
            "readers hold what lies there; restart the broker, which then says what can be done",
        ));
    }
    cut::settle(disk.as_ref(), &found, from, end.position, &Interrupt::default())?;
    let again = gathered.finish(from, end.position);
    let files = reopen_files(disk, &found, view, end.position)?;
    let again = if again.queues.is_empty() && again.keys.is_empty() {
        Vec::new()
    } else {
        vec![again]
    };
    gathered.table.announce_all();
    Ok(LogParts {
        // Nothing may have been read, and store times never decrease.
        last_store_timestamp_ms: end.last_store_timestamp_ms.max(view.last_store_ms()),
        again,
        indexed: layout.index.is_some(),
        extended: layout.extension_file_bytes.is_some(),
        ..LogParts::of(files, gathered.table, end.position)
    })
}

/// What the walk gathers.
struct Gathered {
    table: QueueTable,
    again: Dispatch,
    groups: Map<u32, (QueueOffset, Vec<Unit>)>,
    deletions: Deletions,
    /// When the records were stored, where queues have an extension.
    stored: Option<StoreTimes>,
}

impl Gathered {
    fn take(&mut self, record: &cuemq_net::message::record::Record<'_>, layout: &StoreLayout) {
        let position = PhysicalOffset(record.physical_offset());
        if let Some(stored) = &mut self.stored {
            stored.note(position, record.store_timestamp_ms());
        }
        if let Destination::Queue { topic, queue_id, at } = destination_of(record)
            && !self.deletions.cover(topic, position)
        {
            let slot = self.table.insert(topic, queue_id, QueueOffset(0));
            let group = self.groups.entry(slot).or_insert_with(|| (at, Vec::new()));
            group.1.push(unit_of(record, &layout.levels));
            let next = self.table.next(slot).unwrap_or_default();
            self.table.set_next(slot, next.max(at.advanced(1)));
        }
        if layout.index.is_some() {
            keys_of(record, &mut self.again.keys);
        }
    }

    fn finish(&mut self, from: PhysicalOffset, upto: PhysicalOffset) -> Dispatch {
        let mut again = std::mem::take(&mut self.again);
        (again.from, again.upto) = (from, upto);
        let stored = self.stored.take().map(Arc::new);
        let mut groups: Vec<_> = self.groups.drain().collect();
        groups.sort_unstable_by_key(|(slot, _)| *slot);
        again.queues = groups
            .into_iter()
            .map(|(slot, (first, units))| QueueUnits {
                slot,
                first,
                units,
                stored: stored.clone(),
            })
            .collect();
        again
    }
}

fn reopen_files(disk: &Arc<dyn Disk>, found: &FoundLog, view: &Arc<LogView>, end: PhysicalOffset) -> Result<LogFiles> {
    let mut open = VecDeque::new();
    let mut next_start = end.0 - end.0 % found.segment_bytes;
    for start in found.starts.iter().copied().filter(|start| *start < end.0) {
        let file_end = start + found.segment_bytes;
        if file_end <= end.0 && view.visible().0 >= file_end {
            continue;
        }
        let mut writer = SegmentWriter::open_existing(disk.as_ref(), &found.directory, start)?;
        writer.publish(view.visible().0.saturating_sub(start).min(found.segment_bytes));
        view.exchange(Arc::clone(writer.segment()));
        open.push_back(writer);
        next_start = file_end;
    }
    view.drop_from(next_start.max(end.0));
    Ok(LogFiles::new(
        found.segment_bytes,
        open,
        Arc::clone(view),
        end,
        next_start,
    ))
}
