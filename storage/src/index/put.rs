//! Putting keys in.
//!
//! Records may be fed twice: those in front of the newest one with an entry are skipped, and of that one as many keys as
//! are there, since a crash between two files can leave it with a part of its keys. Hence all keys of a record must come
//! in one batch and in the same order each time.
//!
//! Two things are not as in Java 4.3.0: a slot counts as used once (as from 4.9 on), and the first entry of a file is 0
//! seconds from its beginning (Java measures it from the end of the file before, and adds it to its own beginning).

use super::entry::Entry;
use super::file::IndexFile;
use super::header::Header;
use super::{Index, name};
use crate::error::Result;
use crate::position::PhysicalOffset;

/// A key of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexKey {
    /// The hash of topic, `#` and key, not below 0.
    pub hash: i32,
    /// Where the record begins.
    pub physical_offset: PhysicalOffset,
    /// When it was stored, in milliseconds since 1970.
    pub store_timestamp_ms: i64,
}

impl Index {
    /// Puts in the keys of all records of the log up to `upto`, in the order of the log. When the disk has no room for
    /// them, put them in again later.
    ///
    /// # Errors
    /// When a file cannot be made, read or written; but for want of room the index must then be opened anew.
    pub fn put_batch(&mut self, keys: &[IndexKey], upto: PhysicalOffset) -> Result<()> {
        self.guarded(|index| index.put_all(keys))?;
        self.put_upto = self.put_upto.max(upto);
        if self.files.iter().all(|file| file.header == file.durable) {
            self.confirmed = self.put_upto;
        }
        Ok(())
    }

    fn put_all(&mut self, keys: &[IndexKey]) -> Result<()> {
        let mut seen = 0;
        for key in keys {
            match self.newest {
                Some((newest, _)) if key.physical_offset < newest => continue,
                Some((newest, present)) if key.physical_offset == newest => {
                    seen += 1;
                    if seen <= present {
                        continue;
                    }
                }
                _ => seen = 1,
            }
            if self.files.last().is_none_or(|file| file.is_full(self.layout)) {
                self.write_entries()?;
                self.add_file(key.store_timestamp_ms)?;
            }
            self.chain(key)?;
            self.newest = Some((key.physical_offset, seen));
        }
        self.write_entries()
    }

    /// Gives a key its number in the last file, and its place in its slot's chain.
    fn chain(&mut self, key: &IndexKey) -> Result<()> {
        let (slot, layout) = (self.layout.slot_of(key.hash), self.layout);
        let Some(file) = self.files.last_mut() else {
            return Err(self.failure());
        };
        let handle = file.handle(self.disk.as_ref())?;
        let number = file.header.next;
        let previous = file.slots.replace(handle.as_ref(), &file.path, slot, number)?;
        let previous = if previous < number { previous } else { 0 };
        let header = &mut file.header;
        if number == 1 {
            header.begin_physical = key.physical_offset;
            header.begin_ms = key.store_timestamp_ms;
        }
        if previous == 0 {
            header.used_slots = header.used_slots.saturating_add(1);
        }
        header.end_physical = key.physical_offset;
        header.end_ms = key.store_timestamp_ms;
        header.next = (number + 1).min(layout.entries);
        let seconds = key.store_timestamp_ms.saturating_sub(header.begin_ms) / 1000;
        let seconds = if header.begin_ms <= 0 {
            0
        } else {
            i32::try_from(seconds).unwrap_or(i32::MAX).max(0)
        };
        file.push_entry(&Entry {
            hash: key.hash,
            physical_offset: key.physical_offset,
            seconds,
            previous,
        });
        Ok(())
    }

    /// Writes the entries that were chained last.
    fn write_entries(&mut self) -> Result<()> {
        match self.files.last_mut() {
            Some(file) => file.write_entries(self.disk.as_ref(), self.layout),
            None => Ok(()),
        }
    }

    /// Begins a file whose first record was stored at `store_ms`.
    fn add_file(&mut self, store_ms: i64) -> Result<()> {
        let last = self.files.last();
        let name = name::above(last.map(|file| file.name), store_ms);
        let header = Header::after(last.map(|file| &file.header));
        let mut file = IndexFile::new(&self.directory, name, self.layout, header, Header::after(None));
        file.create(self.disk.as_ref(), &self.directory, self.layout)?;
        self.files.push(file);
        Ok(())
    }
}
