//! What the tags of an entry are, for readers: the entry says it, or the unit that it leads to. And which filters want it,
//! as far as a unit says. For tools, all that a unit says.
//!
//! Units are read by pread, a few hundred at a time, and nothing is opened before the first address comes. Those of young
//! entries are in the page cache, as the entries are.

use std::sync::Arc;

use super::place_of;
use super::unit::{ExtensionUnit, HEAD_LENGTH};
use crate::consume_queue::{QueueView, Unit};
use crate::disk::DiskFile;
use crate::error::{Result, StoreError};

/// How much is read at a time, but for a unit that is longer.
const CHUNK_BYTES: u64 = 4096;

/// Tells the tags codes of one queue's entries. For one look-up: it keeps what it has read.
pub struct TagsReader<'a> {
    queue: &'a QueueView,
    /// The file that was read last, by where it begins.
    file: Option<(u64, Arc<dyn DiskFile>)>,
    /// What was read of it, and where that begins.
    chunk: Vec<u8>,
    at: u64,
    /// Whether a failure was told of.
    told: bool,
}

/// What lies behind an entry of a queue, in the queue's extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extension {
    /// Nothing: the entry holds its tags code itself.
    None,
    /// The entry leads to a unit that is not there, or is damaged.
    Missing,
    /// A unit.
    Unit {
        /// The hash of the message's tags, or a delivery time.
        tags_code: i64,
        /// When the record was stored, in milliseconds since 1970.
        stored_ms: i64,
        /// The filters that want the message, as bits; empty where none was calculated.
        bitmap: Vec<u8>,
    },
}

impl QueueView {
    /// Tells the tags codes of this queue's entries.
    #[must_use]
    pub fn tags(&self) -> TagsReader<'_> {
        TagsReader {
            queue: self,
            file: None,
            chunk: Vec::new(),
            at: 0,
            told: false,
        }
    }
}

impl TagsReader<'_> {
    /// The tags code of an entry; `None` when the unit that it leads to is missing or damaged: any tag is possible then.
    #[inline]
    pub fn code(&mut self, entry: Unit) -> Option<i64> {
        match place_of(entry.tags_code) {
            None => Some(entry.tags_code),
            Some(place) => self.look_up(place),
        }
    }

    /// When an entry's record was stored, in milliseconds since 1970, and the bitmap of the filters that want it; `None` where
    /// nobody noted it, or it cannot be read: any filter may want it then.
    #[inline]
    pub fn marks(&mut self, entry: Unit) -> Option<(i64, &[u8])> {
        place_of(entry.tags_code).and_then(|place| self.marks_at(place))
    }

    /// What lies behind an entry.
    ///
    /// # Errors
    /// When the file of the unit that it leads to cannot be opened or read.
    pub fn extension(&mut self, entry: Unit) -> Result<Extension> {
        let Some(place) = place_of(entry.tags_code) else {
            return Ok(Extension::None);
        };
        let Some(unit) = self.unit(place)? else {
            return Ok(Extension::Missing);
        };
        let (at, length) = (place + HEAD_LENGTH as u64, unit.bitmap_length());
        if self.bytes(at, length).is_none() {
            self.fill(place, CHUNK_BYTES.max(unit.length))?;
        }
        let whole = self.bytes(at, length).map(|bitmap| Extension::Unit {
            tags_code: unit.tags_code,
            stored_ms: unit.stored_ms,
            bitmap: bitmap.to_vec(),
        });
        Ok(whole.unwrap_or(Extension::Missing))
    }

    #[cold]
    fn marks_at(&mut self, place: u64) -> Option<(i64, &[u8])> {
        let unit = self.unit(place).ok().flatten()?;
        let bitmap = place + HEAD_LENGTH as u64;
        let length = unit.bitmap_length();
        if length == 0 {
            return None;
        }
        if self.bytes(bitmap, length).is_none() {
            self.fill(place, CHUNK_BYTES.max(unit.length)).ok()?;
        }
        Some((unit.stored_ms, self.bytes(bitmap, length)?))
    }

    #[cold]
    fn look_up(&mut self, place: u64) -> Option<i64> {
        let unit = self.unit(place);
        let found = unit.as_ref().ok().copied().flatten();
        if found.is_none() && !self.told {
            self.told = true;
            let (queue, error) = (self.queue.directory.display(), unit.err());
            tracing::error!(%queue, place, ?error, "a unit of a consume queue's extension cannot be read; its message is given to every consumer");
        }
        found.map(|unit| unit.tags_code)
    }

    fn unit(&mut self, place: u64) -> Result<Option<ExtensionUnit>> {
        if let Some(head) = self.head(place) {
            return Ok(ExtensionUnit::decode(&head));
        }
        self.fill(place, CHUNK_BYTES)?;
        Ok(self.head(place).as_ref().and_then(ExtensionUnit::decode))
    }

    /// The head of a unit at `place`, if it was read already.
    fn head(&self, place: u64) -> Option<[u8; HEAD_LENGTH]> {
        self.bytes(place, HEAD_LENGTH)?.first_chunk().copied()
    }

    /// The bytes at `place`, if they were read already.
    fn bytes(&self, place: u64, length: usize) -> Option<&[u8]> {
        let skip = usize::try_from(place.checked_sub(self.at)?).ok()?;
        self.chunk.get(skip..)?.get(..length)
    }

    /// Reads so many bytes from `place` on, at most to the end of its file.
    fn fill(&mut self, place: u64, wanted: u64) -> Result<()> {
        self.chunk.clear();
        let Some(files) = self.queue.extension.load_full() else {
            return Ok(());
        };
        let start = files.start(place);
        if self.file.as_ref().is_none_or(|(opened, _)| *opened != start) {
            self.file = files.open(start)?.map(|file| (start, file));
        }
        let Some((_, file)) = &self.file else { return Ok(()) };
        let left = files.file_bytes - (place - start);
        self.chunk.resize(usize::try_from(left.min(wanted)).unwrap_or(0), 0);
        let read = file.read_at(&mut self.chunk, place - start);
        let read = read.map_err(|error| StoreError::io("read", &files.path(start), error));
        self.chunk.truncate(*read.as_ref().unwrap_or(&0));
        self.at = place;
        read.map(|_| ())
    }
}
