//! One pass over the log with everything held against it.

use std::ops::ControlFlow;

use super::keys::Keys;
use super::log::LogWalk;
use super::queues::Queues;
use super::{Finding, Severity, Store, tables};
use crate::checkpoint::Checkpoint;
use crate::error::{Result, StoreError};
use crate::position::PhysicalOffset;

/// What is in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Whether a broker has it open.
    pub is_in_use: bool,
    /// Whether the last broker on it did not stop in order, or has not yet.
    pub is_aborted: bool,
    /// Whether a note of ours counts, and not RocketMQ's checkpoint alone.
    pub is_ours: bool,
    /// The length of a file of the log in bytes.
    pub segment_bytes: u64,
    /// How many files the log has.
    pub segments: usize,
    /// Where it begins.
    pub minimum: PhysicalOffset,
    /// Behind its last whole record.
    pub end: PhysicalOffset,
    /// Up to where it is known to have been on disk.
    pub durable: PhysicalOffset,
    /// Its whole records.
    pub records: u64,
    /// The store times of the first and the last record, in milliseconds since 1970.
    pub stored_ms: Option<(i64, i64)>,
    /// What RocketMQ's checkpoint says.
    pub checkpoint: Checkpoint,
    /// How many consume queues there are.
    pub queues: usize,
    /// How many of their units were held against a record.
    pub units: u64,
    /// How many index files there are.
    pub index_files: usize,
    /// How many of their entries were looked at.
    pub entries: u64,
    /// How many tables there are.
    pub tables: usize,
    /// Records that are in no queue, since they name one that cannot be.
    pub unplaced: u64,
    /// What the next start feeds to queues and index, in units and keys.
    pub owed: u64,
}

impl Store {
    /// Checks everything and gives each finding to `found` as it comes; `passed` hears how far the log was read, in bytes.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn check(&self, mut found: impl FnMut(Finding), mut passed: impl FnMut(u64)) -> Result<Summary> {
        let mut findings = self.findings.clone();
        let tables = tables::check(self, &mut findings)?;
        let deletions = tables::deletions(self, &mut findings);
        if self.is_aborted && !self.is_in_use {
            findings.push(self.not_in_order());
        }
        let mut keys = self.layout.index.map(|layout| Keys::open(self, layout)).transpose()?;
        let mut queues = Queues::open(self, deletions)?;
        findings.drain(..).for_each(&mut found);
        let mut walk = LogWalk::new(self, self.layout.check_crc);
        let mut failure: Option<StoreError> = None;
        let (mut next, mut is_whole) = (None, true);
        let mut each = |record: &cuemq_net::message::record::Record<'_>| {
            let position = record.physical_offset();
            // Records do not cross files, so those that do not follow one another have a file's end or a hole between.
            is_whole &= next.is_none_or(|next| next == position || self.found.file_start(position) == position);
            next = Some(position + record.total_size() as u64);
            let taken = queues.take(record, is_whole);
            let taken = taken.and_then(|()| keys.as_mut().map_or(Ok(()), |keys| keys.take(record)));
            queues.findings.drain(..).for_each(&mut found);
            if let Some(keys) = &mut keys {
                keys.findings.drain(..).for_each(&mut found);
            }
            match taken {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failure = Some(error);
                    ControlFlow::Break(())
                }
            }
        };
        walk.run(PhysicalOffset(0), &mut each, &mut passed)?;
        if let Some(error) = failure {
            return Err(error);
        }
        walk.findings().into_iter().for_each(&mut found);
        let count = queues.count();
        queues.finish(walk.end, !walk.has_holes())?;
        queues.findings.drain(..).for_each(&mut found);
        if let Some(keys) = &mut keys {
            keys.finish(walk.end)?;
            keys.findings.drain(..).for_each(&mut found);
        }
        Ok(self.summary(&walk, &queues, keys.as_ref(), (count, tables)))
    }

    fn not_in_order(&self) -> Finding {
        Finding {
            severity: Severity::Mended,
            path: self.layout.root.join("abort"),
            byte: 0,
            record: None,
            what: String::from("the last broker on this store did not stop in order"),
            next: format!(
                "the next start reads the log from {} on, and puts queues and index in order",
                self.start.from
            ),
        }
    }

    fn summary(
        &self,
        walk: &LogWalk<'_>,
        queues: &Queues<'_>,
        keys: Option<&Keys<'_>>,
        (count, tables): (usize, usize),
    ) -> Summary {
        Summary {
            is_in_use: self.is_in_use,
            is_aborted: self.is_aborted,
            is_ours: !self.start.foreign,
            segment_bytes: self.found.segment_bytes,
            segments: self.found.starts.len(),
            minimum: self.minimum(),
            end: walk.end,
            durable: PhysicalOffset(self.start.durable),
            records: walk.records,
            stored_ms: walk.stored_ms,
            checkpoint: self.checkpoint,
            queues: count,
            units: queues.units,
            index_files: keys.map_or(0, Keys::files),
            entries: keys.map_or(0, |keys| keys.entries),
            tables,
            unplaced: queues.unplaced,
            owed: queues.owed + keys.map_or(0, |keys| keys.owed),
        }
    }
}
