//! Holds the consume queues against the log: each record has its unit, each unit leads to its record.
//!
//! A queue's units are read in the order of the log's records, a few at a time, so that ten thousand queues take some
//! 30 MB. Two records that claim one place are a topic that was deleted and made again: the newer one counts.

use std::collections::BTreeMap;

use cuemq_net::message::properties;
use cuemq_net::message::record::Record;

use super::queue::QueueFiles;
use super::{Finding, Place, Severity, Store};
use crate::commit_log::derive::queue_tags_code;
use crate::consume_queue::{self, Opening, Unit, code_of};
use crate::delay_level::SCHEDULE_TOPIC;
use crate::deletions::Deletions;
use crate::error::Result;
use crate::position::PhysicalOffset;
use crate::recovery::destination::{Destination, destination_of};

const REBUILD: &str =
    "stop the broker in order, move the queue's directory away, and start it: it is built anew from the log";
const LOST: &str = "the log was left in order and has lost its end: restore its last file from a replica or a backup";

/// All consume queues of a store.
pub(super) struct Queues<'a> {
    store: &'a Store,
    deletions: Deletions,
    queues: BTreeMap<(String, u32), Queue>,
    pub(super) units: u64,
    /// Units that the next start feeds.
    pub(super) owed: u64,
    /// Records that are in no queue, since none can take them.
    pub(super) unplaced: u64,
    pub(super) findings: Vec<Finding>,
}

struct Queue {
    files: QueueFiles,
    /// The first place that a record has claimed.
    first: Option<u64>,
    /// The place that the next record should claim.
    next: u64,
    /// The first record below the confirmed position without a unit, and how many there are.
    lacking: Option<(Place, u64)>,
}

impl<'a> Queues<'a> {
    /// Finds the queues of a store by their directories.
    pub(super) fn open(store: &'a Store, deletions: Deletions) -> Result<Self> {
        let mut queues = Self {
            store,
            deletions,
            queues: BTreeMap::new(),
            units: 0,
            owed: 0,
            unplaced: 0,
            findings: Vec::new(),
        };
        let found = consume_queue::discover(store.disk.as_ref(), &store.layout.root, Opening::Clean)?;
        for queue in found.queues {
            queues.add(&queue.topic, queue.queue_id)?;
        }
        Ok(queues)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.queues.len()
    }

    fn add(&mut self, topic: &str, queue_id: u32) -> Result<()> {
        let files = QueueFiles::open(self.store, topic, queue_id)?;
        if let Some(gap) = files.gap() {
            let what = format!("the file that begins at {gap} is missing");
            self.damage((files.path(gap), 0), None, what, REBUILD);
        }
        let queue = Queue {
            files,
            first: None,
            next: 0,
            lacking: None,
        };
        self.queues.insert((topic.to_owned(), queue_id), queue);
        Ok(())
    }

    fn damage(&mut self, (path, byte): (std::path::PathBuf, u64), record: Option<Place>, what: String, next: &str) {
        self.findings.push(Finding {
            severity: Severity::Damage,
            path,
            byte,
            record,
            what,
            next: next.to_owned(),
        });
    }

    /// Takes the next record of the log; `is_whole` says that the log has no hole in front of it.
    pub(super) fn take(&mut self, record: &Record<'_>, is_whole: bool) -> Result<()> {
        let (topic, queue_id, at) = match destination_of(record) {
            Destination::Queue { topic, queue_id, at } => (topic, queue_id, at.0),
            Destination::Nowhere => return Ok(()),
            Destination::Impossible => {
                self.unplaced += 1;
                return Ok(());
            }
        };
        if self.deletions.cover(topic, PhysicalOffset(record.physical_offset())) {
            return Ok(());
        }
        let key = (topic.to_owned(), queue_id);
        if !self.queues.contains_key(&key) {
            self.add(topic, queue_id)?;
        }
        let Some(queue) = self.queues.get_mut(&key) else {
            return Ok(());
        };
        let expected = queue.first.map(|_| queue.next);
        queue.first = Some(queue.first.map_or(at, |first| first.min(at)));
        queue.next = at + 1;
        let unit = queue.files.unit(self.store.disk.as_ref(), at)?;
        let unit = match unit {
            None if self.store.is_in_use => {
                queue.files.forget();
                queue.files.unit(self.store.disk.as_ref(), at)?
            }
            unit => unit,
        };
        let place = queue.files.locate(at);
        if let Some(expected) = expected.filter(|expected| *expected < at && is_whole) {
            let what = format!("a record claims place {at} of its queue, where {expected} comes next");
            let next =
                "the records between are not in the log; what it says stays as it is, and consumers go on behind it";
            let (path, byte) = self.store.place_in_log(record.physical_offset());
            self.damage((path, byte), Some(Place::of(record)), what, next);
        }
        match unit {
            Some(unit) => self.hold_against(&key, unit, record, place),
            None => self.note_lacking(&key, record),
        }
    }

    fn hold_against(
        &mut self,
        key: &(String, u32),
        unit: Unit,
        record: &Record<'_>,
        place: (std::path::PathBuf, u64),
    ) -> Result<()> {
        self.units += 1;
        let position = record.physical_offset();
        let claimed = Place::of(record);
        if (unit.physical_offset.0, unit.size as usize) != (position, record.total_size()) {
            // A topic that was made again, whose newer record has the place.
            if unit.physical_offset.0 > position && self.store.is_record_of(unit.physical_offset, &claimed)? {
                return Ok(());
            }
            let what = format!(
                "the unit leads to {} bytes at {}, and its record has {} at {position}",
                unit.size,
                unit.physical_offset,
                record.total_size()
            );
            self.damage(place, Some(claimed), what, REBUILD);
            return Ok(());
        }
        if key.0 == SCHEDULE_TOPIC {
            // The levels of its time decided.
            return Ok(());
        }
        let Some(queue) = self.queues.get(key) else {
            return Ok(());
        };
        let known = properties::known(record.properties());
        let expected = queue_tags_code(&key.0, &known, record.store_timestamp_ms(), &self.store.layout.levels);
        let found = code_of(&self.store.disk, &queue.files.directory, unit.tags_code)?;
        if found != Some(expected) {
            let what = match found {
                Some(found) => format!("the unit has the tags code {found}, and its record {expected}"),
                None => String::from("the unit leads to a place in consumequeue_ext where no unit is"),
            };
            self.damage((place.0, place.1 + 12), Some(claimed), what, REBUILD);
        }
        Ok(())
    }

    fn note_lacking(&mut self, key: &(String, u32), record: &Record<'_>) -> Result<()> {
        let store = self.store;
        let position = record.physical_offset();
        if store.is_open() && position >= store.start.from.0 {
            self.owed += 1;
            return Ok(());
        }
        let (log, _) = store.place_in_log(position);
        if store.is_in_use && !store.disk.exists(&log).unwrap_or(false) {
            // Retention has removed file and units meanwhile.
            return Ok(());
        }
        if let Some(queue) = self.queues.get_mut(key) {
            let (_, count) = queue.lacking.get_or_insert_with(|| (Place::of(record), 0));
            *count += 1;
        }
        Ok(())
    }

    /// Looks at what no record has asked for, when the log was walked up to `end`.
    pub(super) fn finish(&mut self, end: PhysicalOffset, is_whole: bool) -> Result<()> {
        for (_, mut queue) in std::mem::take(&mut self.queues) {
            if let Some((place, count)) = queue.lacking.take() {
                let what = format!("the queue lacks the units of {count} records from here on");
                let at = queue.files.locate(place.queue_offset);
                self.damage(at, Some(place), what, REBUILD);
            }
            self.look_in_front(&mut queue, is_whole)?;
            self.look_behind(&mut queue, end, is_whole)?;
        }
        Ok(())
    }

    /// The units in front of the first record's: those of records that are gone.
    fn look_in_front(&mut self, queue: &mut Queue, is_whole: bool) -> Result<()> {
        let minimum = self.store.minimum();
        let upto = queue.first.unwrap_or(0);
        for at in queue.files.first()..upto {
            let unit = queue.files.unit(self.store.disk.as_ref(), at)?;
            if let Some(unit) = unit.filter(|unit| is_whole && unit.physical_offset >= minimum && !unit.is_filler())
                && !self.is_deleted(queue, unit)
            {
                let what = format!(
                    "the unit of place {at} leads to {}, where its record is not",
                    unit.physical_offset
                );
                self.damage(queue.files.locate(at), None, what, REBUILD);
                break;
            }
        }
        Ok(())
    }

    /// The units behind the last record's.
    fn look_behind(&mut self, queue: &mut Queue, end: PhysicalOffset, is_whole: bool) -> Result<()> {
        let (minimum, from) = (
            self.store.minimum(),
            queue.first.map_or(queue.files.first(), |_| queue.next),
        );
        let mut odd: Option<(u64, Unit, u64)> = None;
        for at in from.. {
            let Some(unit) = queue.files.unit(self.store.disk.as_ref(), at)? else {
                break;
            };
            let is_gone = unit.is_filler() || unit.physical_offset < minimum || self.is_deleted(queue, unit);
            let is_explained = !is_whole && unit.physical_offset < end;
            if !is_gone && !is_explained {
                odd = Some(odd.map_or((at, unit, 1), |(first, unit, count)| (first, unit, count + 1)));
            }
        }
        let Some((at, unit, count)) = odd else { return Ok(()) };
        if unit.physical_offset >= end && self.store.is_open() {
            // The log goes on, or the crash took its end: what is behind it is cut.
            return Ok(());
        }
        let what = format!(
            "{count} units from place {at} on lead to records that the log does not have: the first to {}, the log ends at {end}",
            unit.physical_offset
        );
        let next = if unit.physical_offset >= end { LOST } else { REBUILD };
        self.damage(queue.files.locate(at), None, what, next);
        Ok(())
    }

    fn is_deleted(&self, queue: &Queue, unit: Unit) -> bool {
        let topic = queue.files.directory.parent().and_then(|topic| topic.file_name());
        let topic = topic.and_then(|topic| topic.to_str()).unwrap_or_default();
        self.deletions.cover(topic, unit.physical_offset)
    }
}

impl Store {
    /// The file of the log that holds a position, and the byte there.
    pub(super) fn place_in_log(&self, position: u64) -> (std::path::PathBuf, u64) {
        let start = self.found.file_start(position);
        (self.found.path(start), position - start)
    }
}
