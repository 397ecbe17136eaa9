//! The index: which records carry a key, as files of hash chains (RocketMQ's `IndexService` and `IndexFile`).
//!
//! | bytes of a file | what |
//! |---|---|
//! | 0–39 | header |
//! | 40– | slots of 4 bytes: the number of the slot's newest entry, 0 for none |
//! | then | entries of 20 bytes; number 0 is never used |
//!
//! Files are `index/<17 digits>`, in the order of their names, which are the store time of the first record as
//! `yyyyMMddHHmmssSSS` (UTC here, local time in Java: the name only orders, and ours never falls behind the last one).
//!
//! [`Index`] is the one writer and answers queries itself. Entries are written by pwrite as they come; slots are changed
//! in memory and written on a flush; the header is written only when entries and slots are on disk, so that it never
//! claims what is not there. After a crash the newest file's slots follow from its entries.

#![deny(clippy::indexing_slicing)]

mod entry;
mod file;
mod flush;
mod header;
mod name;
mod open;
mod put;
mod query;
mod reader;
mod rebuild;
mod slots;

#[cfg(test)]
mod crash_test;
#[cfg(test)]
mod rules_test;

use std::path::PathBuf;
use std::sync::Arc;

pub use flush::{IndexSync, Synced};
pub use open::{Cut, Opening};
pub use put::IndexKey;
pub use query::{Answer, MOST_ANSWERS, Question};
pub(crate) use reader::{IndexReader, ReadEntry};

use crate::disk::{Disk, sync_directory};
use crate::error::{Result, StoreError};
use crate::position::PhysicalOffset;
use file::IndexFile;

/// The folder of the index in a store.
pub(crate) const FOLDER: &str = "index";

/// How many slots and entries a file has (Java's `maxHashSlotNum` and `maxIndexNum`). The files do not say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    slots: u32,
    entries: u32,
}

impl Layout {
    /// Java's default: 5,000,000 slots and 20,000,000 entries in 420,000,040 bytes.
    pub const DEFAULT: Self = Self {
        slots: 5_000_000,
        entries: 20_000_000,
    };

    /// A layout of so many slots and entries; `None` when a file could hold nothing, or more than Java can number.
    #[must_use]
    pub fn new(slots: u32, entries: u32) -> Option<Self> {
        let fits = slots > 0 && entries > 1 && slots <= i32::MAX as u32 && entries <= i32::MAX as u32;
        fits.then_some(Self { slots, entries })
    }

    /// The length of a file.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.entry_at(self.entries)
    }

    /// The slot of a hash.
    fn slot_of(&self, hash: i32) -> u32 {
        hash.unsigned_abs() % self.slots
    }

    /// Where the entry of a number lies.
    fn entry_at(&self, number: u32) -> u64 {
        header::HEADER_BYTES + u64::from(self.slots) * slots::SLOT_BYTES + u64::from(number) * entry::ENTRY_BYTES
    }
}

/// The index of a store.
pub struct Index {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    layout: Layout,
    /// Ascending by name; the last one is written to.
    files: Vec<IndexFile>,
    /// The newest record with a key, and how many of its keys are there.
    newest: Option<(PhysicalOffset, usize)>,
    /// Up to where the log has been put in.
    put_upto: PhysicalOffset,
    /// Up to where that is durable.
    confirmed: PhysicalOffset,
    /// Goes up when entries are dropped, which makes void what is being synced.
    generation: u32,
    /// An operation has failed half-way.
    is_failed: bool,
}

impl Index {
    /// The newest record that has an entry; records up to it are not put in again.
    #[must_use]
    pub fn newest(&self) -> Option<PhysicalOffset> {
        self.newest.map(|(physical_offset, _)| physical_offset)
    }

    /// Up to where the log is in the index durably, as far as this owner was fed.
    #[must_use]
    pub fn confirmed(&self) -> PhysicalOffset {
        self.confirmed
    }

    /// The store time of the newest record that is durably in the index, in milliseconds: Java's `indexMsgTimestamp`.
    #[must_use]
    pub fn confirmed_ms(&self) -> i64 {
        let durable = self.files.iter().rev().find(|file| file.durable.next > 1);
        durable.map_or(0, |file| file.durable.end_ms)
    }

    /// Removes the files (never the newest) whose last record begins below `log_min`, and gives their number.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn delete_before(&mut self, log_min: PhysicalOffset) -> Result<usize> {
        let newest = self.files.len().saturating_sub(1);
        let is_old = |file: &&IndexFile| file.header.end_physical < log_min;
        let count = self.files.iter().take(newest).take_while(is_old).count();
        for file in self.files.drain(..count) {
            remove(self.disk.as_ref(), &self.directory, &file)?;
        }
        Ok(count)
    }

    /// Lets go of cached slots and open files, as an idle index should; what is not flushed stays.
    pub fn release(&mut self) {
        for file in &mut self.files {
            file.release();
        }
    }
}

/// Removes a file durably.
fn remove(disk: &dyn Disk, directory: &std::path::Path, file: &IndexFile) -> Result<()> {
    let path = &file.path;
    disk.remove_file(path)
        .map_err(|error| StoreError::io("remove", path, error))?;
    sync_directory(disk, directory)
}
