//! The writer of a queue's extension: puts units behind the last one, for the entries that are about to be written.

use std::path::PathBuf;
use std::sync::Arc;

use smallvec::SmallVec;

use super::files::ExtensionFiles;
use super::store_times::StoreTimes;
use super::unit::ExtensionUnit;
use super::{END_BYTES, END_MARK, address_of};
use crate::consume_queue::Unit;
use crate::consume_queue::sync::UnsyncedFiles;
use crate::consume_queue::tail::Tail;
use crate::error::Result;

/// How many entries of a batch are changed without allocating.
const INLINE_UNITS: usize = 64;
/// How many bytes of units are encoded without allocating.
const INLINE_BYTES: usize = 2048;

/// The writer of one queue's extension.
pub(in crate::consume_queue) struct ExtensionWriter {
    pub(super) files: Arc<ExtensionFiles>,
    /// The place of the next unit.
    end: u64,
    tail: Option<Tail>,
    unsynced: UnsyncedFiles,
}

/// What was put for a run of entries: they count as there only when [`ExtensionWriter::keep`] says so.
pub(in crate::consume_queue) struct Put {
    /// The entries, with addresses in place of tags codes.
    pub(in crate::consume_queue) entries: SmallVec<[Unit; INLINE_UNITS]>,
    end: u64,
}

/// A sync of an extension that is to be done.
pub(in crate::consume_queue) struct ExtensionSync {
    files: Arc<ExtensionFiles>,
    unsynced: UnsyncedFiles,
    upto: SyncedExtension,
}

/// A sync of an extension that was done.
#[derive(Clone, Copy, Debug)]
pub(in crate::consume_queue) struct SyncedExtension {
    end: u64,
    new_file: Option<u64>,
}

impl ExtensionWriter {
    pub(super) fn new(files: Arc<ExtensionFiles>, end: u64) -> Self {
        Self {
            files,
            end,
            tail: None,
            unsynced: UnsyncedFiles::default(),
        }
    }

    /// Writes a unit for each of these entries.
    pub(in crate::consume_queue) fn put(&mut self, entries: &[Unit], stored: &StoreTimes) -> Result<Put> {
        let mut put = Put {
            entries: SmallVec::with_capacity(entries.len()),
            end: self.end,
        };
        let mut rest = entries;
        while !rest.is_empty() {
            let start = self.files.start(put.end);
            let (at, file_end) = (put.end - start, start + self.files.file_bytes);
            let mut bytes = SmallVec::<[u8; INLINE_BYTES]>::new();
            while let Some((entry, behind)) = rest.split_first() {
                let (unit, bitmap) = self.unit(entry, stored);
                if put.end + unit.length + END_BYTES > file_end {
                    break;
                }
                bytes.extend_from_slice(&unit.encode());
                bytes.extend_from_slice(bitmap);
                let tags_code = address_of(put.end);
                put.entries.push(Unit { tags_code, ..*entry });
                put.end += unit.length;
                rest = behind;
            }
            if !rest.is_empty() {
                bytes.extend_from_slice(&END_MARK);
                put.end = file_end;
            }
            self.write(start, at, &bytes)?;
        }
        Ok(put)
    }

    /// The unit of an entry and its bitmap, which is left out where no file could hold it.
    fn unit<'a>(&self, entry: &Unit, stored: &'a StoreTimes) -> (ExtensionUnit, &'a [u8]) {
        let unit = ExtensionUnit::new(entry.tags_code, stored.at(entry.physical_offset));
        let bitmap = stored.bitmap(entry.physical_offset);
        let marked = unit.with_bitmap(bitmap);
        let fits = marked.bitmap_length() == bitmap.len() && marked.length + END_BYTES <= self.files.file_bytes;
        if fits { (marked, bitmap) } else { (unit, &[]) }
    }

    /// Notes that the entries of this put are written: the next one goes behind its units, and not over them.
    pub(in crate::consume_queue) fn keep(&mut self, put: &Put) {
        self.end = put.end;
    }

    /// Lets go of the open file.
    pub(in crate::consume_queue) fn release(&mut self) {
        self.tail = None;
    }

    /// What must be synced to make all units durable.
    pub(in crate::consume_queue) fn dirty(&self) -> ExtensionSync {
        ExtensionSync {
            files: Arc::clone(&self.files),
            unsynced: self.unsynced.clone(),
            upto: SyncedExtension {
                end: self.end,
                new_file: self.unsynced.new_file(),
            },
        }
    }

    /// Notes that a sync was done.
    pub(in crate::consume_queue) fn confirm(&mut self, synced: SyncedExtension) {
        let (end, file_bytes) = (self.end, self.files.file_bytes);
        self.unsynced.confirm(synced.end, synced.new_file, end, file_bytes);
    }

    /// Has all files synced once more: which of them were is not known.
    pub(super) fn distrust(&mut self) -> Result<()> {
        for (start, _) in self.files.list()? {
            self.unsynced.note(start, &self.files.open_to_write(start)?);
            self.unsynced.note_new_file(start);
        }
        Ok(())
    }

    /// Writes within the file that begins at `start`, and makes it when this is its first byte.
    fn write(&mut self, start: u64, at: u64, bytes: &[u8]) -> Result<()> {
        let files = Arc::clone(&self.files);
        let path = || -> PathBuf { files.path(start) };
        let tail = match self.tail.take().filter(|tail| tail.start() == start) {
            Some(tail) => tail,
            None if at == 0 => {
                let made = files.make(start)?;
                self.unsynced.note_new_file(start);
                Tail::new(start, made, at, files.file_bytes)
            }
            None => Tail::new(start, files.open_to_write(start)?, at, files.file_bytes),
        };
        let tail = self.tail.insert(tail);
        tail.reserve(at + bytes.len() as u64, path)?;
        self.unsynced.note(start, tail.file());
        tail.write(bytes, at, path)
    }
}

impl ExtensionSync {
    /// Syncs the files and, when some are new, the directory.
    pub(in crate::consume_queue) fn run(&self) -> Result<()> {
        self.unsynced.sync(|start| self.files.path(start))?;
        if self.upto.new_file.is_some() {
            self.files.sync_directory()?;
        }
        Ok(())
    }

    /// What it makes durable.
    pub(in crate::consume_queue) fn upto(&self) -> SyncedExtension {
        self.upto
    }
}
