//! The commit log as readers see it: the files and the watermarks that their owner publishes.

use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use cuemq_net::message::record::{self, Inspection, Record};

use super::head::{HEAD_BYTES, Head};
use crate::error::{Result, StoreError};
use crate::position::PhysicalOffset;
use crate::segment::{Segment, SegmentList};

/// The read-only side of the commit log, shared by everybody.
#[derive(Debug)]
pub struct LogView {
    segments: SegmentList,
    visible: AtomicU64,
    durable: AtomicU64,
    confirmed: AtomicU64,
    last_store_ms: AtomicI64,
    /// Why the store has failed.
    failure: OnceLock<String>,
}

impl LogView {
    /// A view of these files, of which nothing is visible yet.
    #[must_use]
    pub fn new(segments: Vec<Arc<Segment>>) -> Self {
        Self {
            segments: SegmentList::new(segments),
            visible: AtomicU64::new(0),
            durable: AtomicU64::new(0),
            confirmed: AtomicU64::new(0),
            last_store_ms: AtomicI64::new(0),
            failure: OnceLock::new(),
        }
    }

    /// The files.
    #[must_use]
    pub fn segments(&self) -> &SegmentList {
        &self.segments
    }

    /// The end of what may be read.
    #[must_use]
    pub fn visible(&self) -> PhysicalOffset {
        PhysicalOffset(self.visible.load(Ordering::Acquire))
    }

    /// The end of what is on disk.
    #[must_use]
    pub fn durable(&self) -> PhysicalOffset {
        PhysicalOffset(self.durable.load(Ordering::Acquire))
    }

    /// The lowest position from which a consume queue or the index may lack something after a crash.
    #[must_use]
    pub fn confirmed(&self) -> PhysicalOffset {
        PhysicalOffset(self.confirmed.load(Ordering::Acquire))
    }

    /// The first position that is still there (RocketMQ's `commitLogMinOffset`).
    #[must_use]
    pub fn minimum(&self) -> PhysicalOffset {
        self.segments
            .first_start()
            .map_or_else(|| self.visible(), PhysicalOffset)
    }

    /// The store time of the last record that was written, in milliseconds since 1970; visible or not.
    #[must_use]
    pub fn last_store_ms(&self) -> i64 {
        self.last_store_ms.load(Ordering::Acquire)
    }

    /// Whether a write or a flush has failed: reads go on, sends are refused until the process restarts.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.failure.get().is_some()
    }

    /// Why a write or a flush has failed; `None` as long as none has.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// The bytes of one record, without a copy; `None` when they are not visible or were deleted.
    pub fn read<R>(&self, position: PhysicalOffset, length: u32, with: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let segment = self.mapped(position)?;
        let start = position.0 - segment.start();
        segment.read(start..start + u64::from(length)).map(with)
    }

    /// The store time of the record at a position, in milliseconds since 1970, by pread: for whoever may wait for the disk.
    /// `None` when no visible record begins there, or it was deleted.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn store_time(&self, position: PhysicalOffset) -> Result<Option<i64>> {
        let found = self.unless_deleted(position, self.head_at(position))?;
        Ok(found.map(|(_, head)| head.store_timestamp_ms))
    }

    /// The whole record at a position, by pread: for whoever may wait for the disk. `None` when no visible record begins
    /// there, or it was deleted.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn record(&self, position: PhysicalOffset) -> Result<Option<Vec<u8>>> {
        // Anybody may ask for any position: nothing is allocated before a record says that it lies there.
        let Some((segment, head)) = self.unless_deleted(position, self.head_at(position))? else {
            return Ok(None);
        };
        let start = position.0 - segment.start();
        if head.total_size as u64 > segment.readable().saturating_sub(start) {
            return Ok(None);
        }
        let mut bytes = vec![0; head.total_size];
        let copied = segment.copy(start, &mut bytes).map(|copied| copied.then_some(bytes));
        let bytes = self.unless_deleted(position, copied)?;
        Ok(bytes.filter(|bytes| Record::parse(bytes).is_ok()))
    }

    /// The fixed part of the record that lies at a position.
    fn head_at(&self, position: PhysicalOffset) -> Result<Option<(Arc<Segment>, Head)>> {
        let Some(segment) = self.segments.find(position.0) else {
            return Ok(None);
        };
        let start = position.0 - segment.start();
        // The last record may be shorter than what a fixed part takes at most.
        let length = segment.readable().saturating_sub(start).min(HEAD_BYTES as u64);
        let mut bytes = [0; HEAD_BYTES];
        let bytes = bytes
            .get_mut(..usize::try_from(length).unwrap_or(0))
            .unwrap_or_default();
        let head = if segment.copy(start, bytes)? {
            Head::read(bytes)
        } else {
            None
        };
        let head = head.filter(|head| head.physical_offset == position);
        Ok(head.map(|head| (segment, head)))
    }

    /// A file that was deleted meanwhile has nothing, rather than a fault.
    fn unless_deleted<T>(&self, position: PhysicalOffset, read: Result<Option<T>>) -> Result<Option<T>> {
        match read {
            Err(_) if position < self.minimum() => Ok(None),
            read => read,
        }
    }

    /// The file that holds a position, mapped; an older one is mapped on its first use.
    #[must_use]
    pub fn mapped(&self, position: PhysicalOffset) -> Option<Arc<Segment>> {
        let segment = self.segments.find(position.0)?;
        match segment.map() {
            Ok(()) => Some(segment),
            Err(error) => {
                tracing::error!(%error, "a commit log file cannot be mapped");
                None
            }
        }
    }

    /// Calls `each` with every record from `from`, the beginning of a record, up to what is visible; `each` says whether
    /// to go on. Gives where the walk ended: in front of the record at which `each` ended it, or else at what was visible.
    ///
    /// # Errors
    /// When a file cannot be mapped, or a record cannot be read.
    pub fn walk(&self, from: PhysicalOffset, mut each: impl FnMut(&Record<'_>) -> bool) -> Result<PhysicalOffset> {
        let visible = self.visible().0;
        let mut position = from.0;
        while position < visible {
            let Some(segment) = self.segments.find(position) else {
                return Err(unreadable(Path::new("commitlog"), position));
            };
            segment.map()?;
            let at = position - segment.start();
            let bytes = segment.read(at..visible.min(segment.end()) - segment.start());
            match record::inspect(bytes.unwrap_or_default()) {
                Inspection::Record(record) if !each(&record) => break,
                Inspection::Record(record) => position += record.total_size() as u64,
                Inspection::Blank { .. } => position = segment.end(),
                _ => return Err(unreadable(segment.path(), at)),
            }
        }
        Ok(PhysicalOffset(position.min(visible)))
    }

    pub(super) fn publish(&self, visible: PhysicalOffset) {
        self.visible.store(visible.0, Ordering::Release);
    }

    pub(super) fn stored_at(&self, store_timestamp_ms: i64) {
        self.last_store_ms.store(store_timestamp_ms, Ordering::Release);
    }

    pub(super) fn make_durable(&self, durable: PhysicalOffset) {
        self.durable.store(durable.0, Ordering::Release);
    }

    pub(super) fn confirm(&self, confirmed: PhysicalOffset) {
        self.confirmed.store(confirmed.0, Ordering::Release);
    }

    /// Notes that the store has failed; the first reason counts.
    pub(super) fn poison(&self, reason: &StoreError) {
        self.failure.get_or_init(|| reason.to_string());
    }

    /// Puts a file in the place of the one that begins at the same position, or behind the last one. What readers hold of
    /// the old one stays readable.
    pub(crate) fn exchange(&self, segment: Arc<Segment>) {
        let mut segments = self.segments.load().as_slice().to_vec();
        match segments.iter_mut().find(|known| known.start() == segment.start()) {
            Some(known) => *known = segment,
            None => segments.push(segment),
        }
        self.segments.replace(segments);
    }

    /// Forgets the files that begin at or behind `position`.
    pub(crate) fn drop_from(&self, position: u64) {
        let mut segments = self.segments.load().as_slice().to_vec();
        segments.retain(|segment| segment.start() < position);
        self.segments.replace(segments);
    }

    /// Forgets the files that end at or before `limit`, and gives them.
    pub(super) fn drop_before(&self, limit: PhysicalOffset) -> Vec<Arc<Segment>> {
        let mut dropped = self.segments.load().as_slice().to_vec();
        let kept = dropped.split_off(dropped.partition_point(|segment| segment.end() <= limit.0));
        if !dropped.is_empty() {
            self.segments.replace(kept);
        }
        dropped
    }

    pub(super) fn add(&self, segment: Arc<Segment>) {
        let mut segments = self.segments.load().as_slice().to_vec();
        segments.push(segment);
        self.segments.replace(segments);
    }
}

fn unreadable(path: &Path, position: u64) -> StoreError {
    StoreError::Damaged {
        path: path.to_owned(),
        position,
        reason: String::from("no record can be read there, and what follows is wanted; restart the broker"),
    }
}
