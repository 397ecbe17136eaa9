//! Reads a store, whoever wrote it, without a broker and without changing it: what is in it, and what is damaged.
//!
//! [`Store::look_at`] finds the log, the notes and the marks. [`Store::check`] walks the whole log record by record and holds
//! queues, index and tables against it on the way; [`Store::each_record`] hands out records; [`Store::copy_to`] makes a
//! consistent copy. Files are read by pread; nothing is made, locked, cut or synced. Parsers and rules are recovery's own.
//!
//! A store in use may be read, too. What is on disk below the position that the broker has noted never changes; behind it
//! its owner writes one record behind the other, so the walk ends where no record follows, and a record that looks damaged
//! is damaged only if it still is when a later one is there. Queues and index may be behind their log then.

mod backup;
mod check;
mod holes;
mod keys;
mod log;
mod queue;
mod queues;
mod tables;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use cuemq_net::message::record::Record;

pub use backup::{Copied, CopyOptions};
pub use check::Summary;

use super::StoreLayout;
use super::find;
use super::note::LogNote;
use super::scan::FoundLog;
use super::start::Start;
use crate::checkpoint::Checkpoint;
use crate::disk::Disk;
use crate::error::{Result, StoreError};
use crate::marker;
use crate::position::PhysicalOffset;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The next start of a broker mends it by itself, and no acknowledged message is lost by it.
    Mended,
    /// It is lost or wrong unless somebody does something.
    Damage,
}

/// The record that a finding is about, as far as it can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its topic.
    pub topic: String,
    /// Its queue.
    pub queue_id: i32,
    /// Its place in the queue.
    pub queue_offset: u64,
    /// Where it begins in the log.
    pub physical_offset: u64,
}

impl Place {
    fn of(record: &Record<'_>) -> Self {
        Self {
            topic: record.topic().unwrap_or_default().to_owned(),
            queue_id: record.queue_id(),
            queue_offset: record.queue_offset(),
            physical_offset: record.physical_offset(),
        }
    }
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// In which file or directory.
    pub path: PathBuf,
    /// At which byte of it.
    pub byte: u64,
    /// About which record.
    pub record: Option<Place>,
    /// What is wrong.
    pub what: String,
    /// What happens next, or what can be done.
    pub next: String,
}

/// A store as it was found.
pub struct Store {
    disk: Arc<dyn Disk>,
    layout: StoreLayout,
    found: FoundLog,
    start: Start,
    is_aborted: bool,
    is_in_use: bool,
    checkpoint: Checkpoint,
    /// What was found wrong by looking.
    findings: Vec<Finding>,
}

impl Store {
    /// Looks at the store that `layout` describes.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn look_at(disk: &Arc<dyn Disk>, layout: StoreLayout) -> Result<Self> {
        let seam = disk.as_ref();
        let lock = layout.root.join("lock");
        let is_in_use = seam.is_locked(&lock);
        let is_in_use = is_in_use.map_err(|error| StoreError::io("look for", &lock, error))?;
        let is_aborted = marker::was_aborted(seam, &layout.root)?;
        let mut findings = Vec::new();
        let checkpoint = Checkpoint::look_up(seam, &layout.root)?;
        let note = LogNote::look_up(seam, &layout).unwrap_or_else(|error| {
            findings.push(tables::damaged_note(&layout, &error));
            None
        });
        let listing = find::list_log(seam, &layout)?;
        if listing.found.starts.is_empty() && !is_aborted && note.is_none() && checkpoint == Checkpoint::default() {
            return Err(StoreError::Unsupported {
                path: layout.root.clone(),
                reason: String::from(
                    "it is no store: it has neither commit log files nor a checkpoint; give the directory that holds commitlog/",
                ),
            });
        }
        if let Err(error) = listing.check() {
            findings.push(log::unfit(&layout, error));
        }
        let found = FoundLog {
            segment_bytes: listing.found.segment_bytes.max(1),
            ..listing.found
        };
        let start = Start::find(seam, &found, note, checkpoint, is_aborted).or_else(|error| {
            findings.push(log::unfit(&layout, error));
            Start::find(seam, &found, None, checkpoint, is_aborted)
        })?;
        Ok(Self {
            disk: Arc::clone(disk),
            layout,
            found,
            start,
            is_aborted,
            is_in_use,
            checkpoint,
            findings,
        })
    }

    /// Calls `each` for every whole record from the first one at or behind `from` on until it breaks, and `damage` for what
    /// lies between them.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn each_record(
        &self,
        from: Option<PhysicalOffset>,
        mut each: impl FnMut(&Record<'_>) -> ControlFlow<()>,
        mut damage: impl FnMut(Finding),
    ) -> Result<()> {
        let mut walk = log::LogWalk::new(self, true);
        walk.run(from.unwrap_or_default(), &mut each, &mut |_| {})?;
        walk.findings().into_iter().for_each(&mut damage);
        Ok(())
    }

    /// Where the record at a place of a queue begins, as the queue says.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn find_in_queue(&self, topic: &str, queue_id: u32, queue_offset: u64) -> Result<Option<PhysicalOffset>> {
        let mut queue = queue::QueueFiles::open(self, topic, queue_id)?;
        Ok(queue
            .unit(self.disk.as_ref(), queue_offset)?
            .map(|unit| unit.physical_offset))
    }

    /// Where the log begins.
    #[must_use]
    pub fn minimum(&self) -> PhysicalOffset {
        PhysicalOffset(self.found.minimum())
    }

    /// The bytes of all files of the log: what a check reads at most.
    #[must_use]
    pub fn log_bytes(&self) -> u64 {
        self.found.segment_bytes.saturating_mul(self.found.starts.len() as u64)
    }

    /// Whether the log may be shorter than queues and index know, or longer: nobody has left it in order.
    fn is_open(&self) -> bool {
        self.is_in_use || self.is_aborted
    }
}
