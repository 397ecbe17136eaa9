//! Feeds records that recovery finds to the consume queues and the index, in groups, skipping what they have.

use std::path::PathBuf;
use std::sync::Arc;

use cuemq_net::message::record::Record;

use super::StoreLayout;
use super::destination::{Destination, Unplaced, destination_of};
use super::misplaced::{Place, Run};
use super::refill::unit_of;
use crate::commit_log::derive::keys_of;
use crate::commit_log::{QueueName, QueueTable};
use crate::consume_queue::{AppendError, ConsumeQueue, Cut, Opening, QueuePlace, StoreTimes, Unit};
use crate::delay_level::DelayLevels;
use crate::deletions::Deletions;
use crate::disk::Disk;
use crate::error::{Result, StoreError};
use crate::hash::{Map, Set};
use crate::index::{Index, IndexKey};
use crate::position::{PhysicalOffset, QueueOffset};

/// How many records are gathered before they are written.
pub(super) const GROUP_RECORDS: usize = 8192;

/// The consume queues and the index while recovery feeds them.
pub(super) struct Refeed {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    queue_file_bytes: u64,
    pub(super) extension_file_bytes: Option<u64>,
    levels: DelayLevels,
    /// The topics that were deleted, to be set before the first queue is opened.
    pub(super) deletions: Deletions,
    opening: Opening,
    /// Whether the walk began at the log's first record, so that a gap in a queue is not mended by an earlier start.
    pub(super) from_the_first: bool,
    pub(super) table: QueueTable,
    pub(super) queues: Vec<ConsumeQueue>,
    pub(super) index: Option<Index>,
    /// The queues that this walk has given something.
    fed: Set<u32>,
    /// By slot: the units, each with the place that its record claims.
    gathered: Map<u32, Vec<(QueueOffset, Unit)>>,
    keys: Vec<IndexKey>,
    /// When the records were stored that are gathered.
    stored: StoreTimes,
    records: usize,
    upto: PhysicalOffset,
    /// What was cut from the queues when they were opened.
    pub(super) cut_units: u64,
    /// The records that no queue can take.
    pub(super) unplaced: Unplaced,
}

/// Why a walk has to stop.
#[derive(Debug, thiserror::Error)]
pub(super) enum WalkError {
    /// A queue lacks what lies before the walk's start, or is no queue of this log: walk from the log's first record.
    #[error("a consume queue and the log do not fit together")]
    Gap,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refeed {
    pub(super) fn new(
        disk: &Arc<dyn Disk>,
        layout: &StoreLayout,
        queue_file_bytes: u64,
        opening: Opening,
        index: Option<Index>,
    ) -> Self {
        Self {
            disk: Arc::clone(disk),
            root: layout.root.clone(),
            queue_file_bytes,
            extension_file_bytes: layout.extension_file_bytes,
            levels: layout.levels.clone(),
            deletions: Deletions::default(),
            opening,
            from_the_first: false,
            table: QueueTable::default(),
            queues: Vec::new(),
            index,
            fed: Set::default(),
            gathered: Map::default(),
            keys: Vec::new(),
            stored: StoreTimes::default(),
            records: 0,
            upto: PhysicalOffset(0),
            cut_units: 0,
            unplaced: Unplaced::default(),
        }
    }

    /// Opens a queue that is found on disk, or that a record asks for; gives its slot. One that was left of a deleted topic
    /// goes now.
    pub(super) fn open(&mut self, topic: &str, queue_id: u32) -> Result<u32> {
        if let Some(slot) = self.table.find(topic, queue_id) {
            return Ok(slot);
        }
        let place = QueuePlace {
            root: &self.root,
            topic,
            queue_id,
        };
        let (mut queue, cut) = ConsumeQueue::open(&self.disk, place, self.queue_file_bytes, self.opening)?;
        if let Some(file_bytes) = self.extension_file_bytes {
            queue.open_extension(file_bytes, self.opening)?;
        }
        let end_of_deleted = self.deletions.end_of(topic).unwrap_or_default();
        if queue.end_physical() != PhysicalOffset(0) && queue.end_physical() <= end_of_deleted {
            queue.clear()?;
        }
        self.note_cut(&cut);
        let slot = self.table.insert(topic, queue_id, queue.end());
        self.queues.push(queue);
        Ok(slot)
    }

    fn note_cut(&mut self, cut: &Cut) {
        self.cut_units += cut.units;
    }

    /// Takes one record.
    pub(super) fn feed(&mut self, record: &Record<'_>) -> std::result::Result<(), WalkError> {
        let position = PhysicalOffset(record.physical_offset());
        self.stored.note(position, record.store_timestamp_ms());
        match destination_of(record) {
            Destination::Queue { topic, .. } if self.deletions.cover(topic, position) => {}
            Destination::Queue { topic, queue_id, at } => {
                let slot = self.open(topic, queue_id)?;
                let unit = unit_of(record, &self.levels);
                self.gathered.entry(slot).or_default().push((at, unit));
            }
            Destination::Nowhere => {}
            Destination::Impossible => self.unplaced.note(position),
        }
        self.gather_keys(record);
        self.records += 1;
        if self.records >= GROUP_RECORDS {
            self.write_group(false)
        } else {
            Ok(())
        }
    }

    /// Takes the keys of one record, and nothing else of it.
    pub(super) fn feed_keys(&mut self, record: &Record<'_>) -> Result<()> {
        self.gather_keys(record);
        if self.keys.len() >= GROUP_RECORDS {
            self.write_keys()
        } else {
            Ok(())
        }
    }

    fn gather_keys(&mut self, record: &Record<'_>) {
        keys_of(record, &mut self.keys);
        self.upto = PhysicalOffset(record.physical_offset()).advanced(record.total_size() as u64);
    }

    fn write_keys(&mut self) -> Result<()> {
        if let Some(index) = &mut self.index {
            index.put_batch(&self.keys, self.upto)?;
        }
        self.keys.clear();
        Ok(())
    }

    /// Writes what was gathered: the walk is over.
    pub(super) fn finish(&mut self) -> std::result::Result<(), WalkError> {
        self.write_group(true)
    }

    /// Writes what was gathered, but for units of which only the next group can tell where they go.
    fn write_group(&mut self, is_last: bool) -> std::result::Result<(), WalkError> {
        let mut slots: Vec<u32> = self.gathered.keys().copied().collect();
        slots.sort_unstable();
        for slot in slots {
            self.finish_queue(slot, is_last)?;
        }
        self.write_keys()?;
        if self.gathered.is_empty() {
            self.stored = StoreTimes::default();
        }
        self.records = 0;
        Ok(())
    }

    /// Writes a queue's units, run by run of places that follow one another. A last one that claims the first place of a
    /// queue which has others waits for those behind it: they tell whether the queue begins anew.
    fn finish_queue(&mut self, slot: u32, is_last: bool) -> std::result::Result<(), WalkError> {
        let gathered = self.gathered.remove(&slot).unwrap_or_default();
        let mut runs = gathered
            .chunk_by(|(at, _), (next, _)| at.advanced(1) == *next)
            .peekable();
        let mut units = Vec::new();
        while let Some(run) = runs.next() {
            let has_units = |queue: &ConsumeQueue| queue.end() != QueueOffset(0);
            if let ([(QueueOffset(0), unit)], None, false) = (run, runs.peek(), is_last)
                && self.queues.get(slot as usize).is_some_and(has_units)
            {
                self.gathered.insert(slot, vec![(QueueOffset(0), *unit)]);
                break;
            }
            units.clear();
            units.extend(run.iter().map(|(_, unit)| *unit));
            let claimed_by = |run: &[(QueueOffset, Unit)]| run.first().map(|(at, _)| *at);
            let behind = runs.peek().and_then(|run| Some((claimed_by(run)?, run.len())));
            if let Some(claimed) = claimed_by(run) {
                self.write_run(slot, claimed, &units, behind)?;
            }
        }
        Ok(())
    }

    /// Writes units whose records claim the places from `claimed` on. `behind` is what the queue's next run claims and how
    /// many units it has, as far as that is known.
    fn write_run(
        &mut self,
        slot: u32,
        claimed: QueueOffset,
        units: &[Unit],
        behind: Option<(QueueOffset, usize)>,
    ) -> std::result::Result<(), WalkError> {
        let Some(queue) = self.queues.get_mut(slot as usize) else {
            return Ok(());
        };
        let stored = Some(&self.stored);
        let run = Run {
            count: units.len(),
            behind,
            is_first: self.fed.insert(slot),
            is_alone: queue.end_physical() == PhysicalOffset(0),
            from_the_first: self.from_the_first,
        };
        let first = run.place(claimed);
        let (expected, found) = match queue.append(first, units, stored) {
            Ok(_) => return Ok(()),
            Err(AppendError::Gap { expected, found } | AppendError::Conflict { expected, found }) => (expected, found),
            Err(AppendError::Store(error)) => return Err(error.into()),
        };
        let name = self.table.name(slot);
        let skipped = usize::try_from(found.0 - first.0).unwrap_or(usize::MAX);
        let units = units.get(skipped..).unwrap_or_default();
        let count = units.len();
        match (Run { count, ..run }).answer(expected, found) {
            Place::Next => {
                tracing::error!(?name, %expected, %found, "a record claims another place than the one that it has in its queue");
                queue.append(expected, units, stored)?;
            }
            Place::Anew => {
                tracing::warn!(?name, %expected, %found, "the log has a consume queue begin at another place");
                queue.restart(found, units, stored)?;
            }
            Place::Unknown => return Err(WalkError::Gap),
        }
        Ok(())
    }

    /// Calls `each` with every queue's name and end.
    pub(super) fn each_end(&self, mut each: impl FnMut(&QueueName, QueueOffset) -> Result<()>) -> Result<()> {
        (0..)
            .zip(&self.queues)
            .try_for_each(|(slot, queue)| match self.table.name(slot) {
                Some(name) => each(name, queue.end()),
                None => Ok(()),
            })
    }

    /// Makes the queues' next offsets known to the table: what the log's next records get.
    pub(super) fn into_parts(mut self) -> (QueueTable, Vec<ConsumeQueue>, Option<Index>) {
        for (slot, queue) in (0..).zip(&self.queues) {
            self.table.set_next(slot, queue.end());
        }
        (self.table, self.queues, self.index)
    }
}

impl From<AppendError> for WalkError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Gap { .. } | AppendError::Conflict { .. } => Self::Gap,
            AppendError::Store(error) => Self::Store(error),
        }
    }
}
