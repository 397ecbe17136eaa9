//! What one tick of the log brings to the consume queues and to the index: one group of units for each touched queue,
//! and the keys of all its records.

use std::sync::Arc;

use super::queue_table::QueueTable;
use crate::consume_queue::{StoreTimes, Unit};
use crate::index::IndexKey;
use crate::position::{PhysicalOffset, QueueOffset};

/// The units that a tick brings to one queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueUnits {
    /// The slot of the queue in the log's queue table.
    pub slot: u32,
    /// The place of the first unit.
    pub first: QueueOffset,
    /// The units, one for each record.
    pub units: Vec<Unit>,
    /// When the tick's records were stored, for a queue with an extension; `None` where none has.
    pub stored: Option<Arc<StoreTimes>>,
}

/// What a tick brings to the consume queues and to the index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dispatch {
    /// Where the tick began in the log.
    pub from: PhysicalOffset,
    /// Where it ended.
    pub upto: PhysicalOffset,
    /// One entry for each touched queue.
    pub queues: Vec<QueueUnits>,
    /// The keys for the index, in the order of the log.
    pub keys: Vec<IndexKey>,
}

/// Gathers a tick's dispatch.
#[derive(Debug, Default)]
pub(super) struct DispatchBuilder {
    building: Dispatch,
    /// The store times, where they are wanted.
    stored: Option<StoreTimes>,
}

impl DispatchBuilder {
    /// Gathers the store times of the records as well where queues have an extension.
    pub(super) fn new(extended: bool) -> Self {
        Self {
            stored: extended.then(StoreTimes::default),
            ..Self::default()
        }
    }

    /// Notes that the records from `position` on were stored at this time.
    pub(super) fn stored_at(&mut self, position: PhysicalOffset, store_timestamp_ms: i64) {
        if let Some(stored) = &mut self.stored {
            stored.note(position, store_timestamp_ms);
        }
    }

    pub(super) fn unit(
        &mut self,
        table: &mut QueueTable,
        slot: u32,
        queue_offset: QueueOffset,
        physical_offset: PhysicalOffset,
        size: u32,
        tags_code: i64,
    ) {
        let unit = Unit {
            physical_offset,
            size,
            tags_code,
        };
        let group = table.group(slot, self.building.queues.len());
        match self.building.queues.get_mut(group) {
            Some(queue) => queue.units.push(unit),
            None => self.building.queues.push(QueueUnits {
                slot,
                first: queue_offset,
                units: vec![unit],
                stored: None,
            }),
        }
    }

    pub(super) fn key(&mut self, hash: i32, physical_offset: PhysicalOffset, store_timestamp_ms: i64) {
        self.building.keys.push(IndexKey {
            hash,
            physical_offset,
            store_timestamp_ms,
        });
    }

    /// Ends the tick.
    pub(super) fn finish(&mut self, table: &mut QueueTable, from: PhysicalOffset, upto: PhysicalOffset) -> Dispatch {
        let mut finished = std::mem::take(&mut self.building);
        let stored = self.stored.as_mut().map(|stored| Arc::new(std::mem::take(stored)));
        for queue in &mut finished.queues {
            table.ungroup(queue.slot);
            queue.stored.clone_from(&stored);
        }
        Dispatch { from, upto, ..finished }
    }
}
