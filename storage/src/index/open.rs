//! Opening the index, and what it takes after a crash.
//!
//! What the headers claim is on disk, since they are written last. After a crash, files behind one that is not full are
//! removed (they were never confirmed), entries of records that the log lost are dropped, and the newest file's slots
//! are computed from its entries: slots may have reached the disk that point to entries which did not. The records are
//! fed again from [`Index::newest`] on.

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use super::entry::{ENTRY_BYTES, ENTRY_LENGTH, Entry};
use super::file::IndexFile;
use super::header::{HEADER_BYTES, Header};
use super::slots::SLOT_BYTES;
use super::{FOLDER, Index, Layout, name, remove};
use crate::disk::{Disk, DiskFile, OpenMode};
use crate::error::{Result, StoreError};
use crate::position::PhysicalOffset;

/// How much is read at a time: entries and slots both fit into it without a rest.
const STEP: usize = 80 * 1024;

/// What is known about the files when the index is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// They were flushed by an owner that stopped in order.
    Clean,
    /// The machine, the process or the last owner has crashed. Records that begin at or behind this position are gone
    /// from the log, or will be fed again.
    AfterCrash(PhysicalOffset),
}

/// What was cut from the index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Entries that were dropped from the file that is now the newest.
    pub entries: u32,
    /// Files that were removed.
    pub files: usize,
}

impl Index {
    /// Opens the index of the store in `root`, and says what had to be cut.
    ///
    /// # Errors
    /// [`StoreError::SizeMismatch`] when a file has not the length of the layout, or when the disk fails.
    pub fn open(disk: &Arc<dyn Disk>, root: &Path, layout: Layout, opening: Opening) -> Result<(Self, Cut)> {
        let directory = root.join(FOLDER);
        let mut cut = Cut::default();
        let files = load(disk.as_ref(), &directory, layout, &mut cut)?;
        let zero = PhysicalOffset(0);
        let mut index = Self {
            disk: Arc::clone(disk),
            directory,
            layout,
            files,
            newest: None,
            put_upto: zero,
            confirmed: zero,
            generation: 0,
            is_failed: false,
        };
        if let Opening::AfterCrash(limit) = opening {
            index.repair(limit, &mut cut)?;
        }
        index.find_newest()?;
        Ok((index, cut))
    }

    /// Removes the files that end after `index_ms`, as Java does with those of a store that was not stopped in order:
    /// Java's headers may claim what a crash of the machine has lost. Gives the number of files removed.
    ///
    /// # Errors
    /// When a file cannot be removed or read.
    pub fn discard_after(&mut self, index_ms: i64) -> Result<usize> {
        let mut count = 0;
        while let Some(file) = self
            .files
            .pop_if(|file| file.header.next <= 1 || file.header.end_ms > index_ms)
        {
            remove(self.disk.as_ref(), &self.directory, &file)?;
            count += 1;
        }
        self.generation = self.generation.wrapping_add(1);
        self.find_newest()?;
        Ok(count)
    }

    fn repair(&mut self, limit: PhysicalOffset, cut: &mut Cut) -> Result<()> {
        let layout = self.layout;
        let open_at = self.files.iter().position(|file| !file.is_full(layout));
        let mut keep = open_at.map_or(self.files.len(), |open_at| open_at + 1);
        let is_lost = |file: &IndexFile| file.header.next > 1 && file.header.begin_physical >= limit;
        while keep > 0 && self.files.get(keep - 1).is_some_and(is_lost) {
            keep -= 1;
        }
        while self.files.len() > keep
            && let Some(file) = self.files.pop()
        {
            remove(self.disk.as_ref(), &self.directory, &file)?;
            cut.files += 1;
        }
        let Some(file) = self.files.last_mut() else {
            return Ok(());
        };
        let claimed = file.header.next;
        let path = file.path(&self.directory);
        let handle = file.handle(self.disk.as_ref(), &self.directory)?;
        file.header = Rebuild {
            file: handle.as_ref(),
            path: &path,
            layout,
        }
        .run(file.header, limit)?;
        file.written = file.header;
        file.durable = file.header;
        cut.entries = claimed - file.header.next;
        Ok(())
    }

    /// Finds the newest record with an entry, and how many it has.
    fn find_newest(&mut self) -> Result<()> {
        self.newest = None;
        for index in (0..self.files.len()).rev() {
            let Some(file) = self.files.get_mut(index) else {
                continue;
            };
            for number in (1..file.header.next).rev() {
                let entry = file.entry(self.disk.as_ref(), &self.directory, self.layout, number)?;
                match &mut self.newest {
                    Some((newest, _)) if *newest != entry.physical_offset => return Ok(()),
                    Some((_, present)) => *present += 1,
                    None => self.newest = Some((entry.physical_offset, 1)),
                }
            }
        }
        Ok(())
    }
}

/// Lists the files and reads their headers. A newest file that never got its length is removed.
fn load(disk: &dyn Disk, directory: &Path, layout: Layout, cut: &mut Cut) -> Result<Vec<IndexFile>> {
    let mut files = Vec::new();
    let mut empty = None;
    for entry in disk
        .list(directory)
        .map_err(|error| StoreError::io("list", directory, error))?
    {
        let Some(number) = name::parse(&entry.name).filter(|_| !entry.is_directory) else {
            tracing::warn!(directory = %directory.display(), name = entry.name, "no index file, left alone");
            continue;
        };
        let path = directory.join(&entry.name);
        if entry.length == 0 {
            empty = Some(path);
            continue;
        }
        if entry.length != layout.file_bytes() || empty.is_some() {
            let (found, configured) = (entry.length, layout.file_bytes());
            let key = "maxHashSlotNum and maxIndexNum to what the store was made with; these give a length of ";
            return Err(StoreError::SizeMismatch {
                path,
                found,
                configured,
                key,
            });
        }
        let mut bytes = [0; HEADER_BYTES as usize];
        let file = disk
            .open(&path, OpenMode::Read)
            .map_err(|error| StoreError::io("open", &path, error))?;
        file.read_at(&mut bytes, 0)
            .map_err(|error| StoreError::io("read", &path, error))?;
        let mut header = Header::decode(&bytes);
        header.next = header.next.min(layout.entries);
        files.push(IndexFile::new(number, layout, header, header));
    }
    if let Some(path) = empty {
        disk.remove_file(&path)
            .map_err(|error| StoreError::io("remove", &path, error))?;
        disk.sync_directory(directory)
            .map_err(|error| StoreError::io("sync", directory, error))?;
        cut.files += 1;
    }
    Ok(files)
}

/// Computes the newest file's slots from its entries.
struct Rebuild<'a> {
    file: &'a dyn DiskFile,
    path: &'a Path,
    layout: Layout,
}

impl Rebuild<'_> {
    /// Drops entries of records at or behind `limit`, and all from the first on that cannot be; rewrites chains and
    /// slots where they differ, zeroes what lies behind, and gives the header.
    fn run(&self, mut header: Header, limit: PhysicalOffset) -> Result<Header> {
        let claimed = header;
        let mut slots = vec![0_u32; self.layout.slots as usize];
        let mut last: Option<Entry> = None;
        let mut number = 1;
        header.used_slots = 0;
        let entries = self.layout.entry_at(1)..self.layout.entry_at(claimed.next);
        self.rewrite(entries, |bytes| {
            for bytes in bytes.as_chunks_mut::<ENTRY_LENGTH>().0 {
                let mut entry = Entry::decode(bytes);
                let is_in_order = last.is_none_or(|last| last.physical_offset <= entry.physical_offset);
                let Some(slot) = slots.get_mut(self.layout.slot_of(entry.hash) as usize) else {
                    return false;
                };
                if entry.hash < 0 || !is_in_order || entry.physical_offset >= limit {
                    return false;
                }
                entry.previous = std::mem::replace(slot, number);
                header.used_slots += i32::from(entry.previous == 0);
                *bytes = entry.encode();
                last = Some(entry);
                number += 1;
            }
            true
        })?;
        if number < claimed.next {
            header.next = number;
            header.end_physical = last.map_or(PhysicalOffset(0), |entry| entry.physical_offset);
            // The last millisecond of the entry's second: what is stored later than the entry must not seem earlier.
            header.end_ms = last
                .map_or(0, |entry| header.begin_ms + i64::from(entry.seconds) * 1000 + 999)
                .min(claimed.end_ms);
            if last.is_none() {
                header = Header::after(None);
            }
        }
        self.rewrite(self.layout.entry_at(number)..self.layout.file_bytes(), |bytes| {
            bytes.fill(0);
            true
        })?;
        let mut slots = slots.into_iter();
        let begin = HEADER_BYTES;
        self.rewrite(begin..begin + u64::from(self.layout.slots) * SLOT_BYTES, |bytes| {
            for (bytes, slot) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(slots.by_ref()) {
                *bytes = slot.to_be_bytes();
            }
            true
        })?;
        self.sync()?;
        self.rewrite(0..HEADER_BYTES, |bytes| {
            bytes.copy_from_slice(&header.encode());
            true
        })?;
        self.sync()?;
        Ok(header)
    }

    /// Reads a range step by step, has it changed, and writes the steps that were; ends when `change` gives `false`.
    fn rewrite(&self, range: std::ops::Range<u64>, mut change: impl FnMut(&mut [u8]) -> bool) -> Result<()> {
        let mut at = range.start;
        let mut goes_on = true;
        while at < range.end && goes_on {
            let length = STEP.min(usize::try_from(range.end - at).unwrap_or(STEP));
            let mut bytes = vec![0; length];
            self.file
                .read_at(&mut bytes, at)
                .map_err(|error| StoreError::io("read", self.path, error))?;
            let before = bytes.clone();
            goes_on = change(&mut bytes);
            if bytes != before {
                let written = self.file.write_at(&[IoSlice::new(&bytes)], at);
                written.map_err(|error| StoreError::io("write", self.path, error))?;
            }
            at += length as u64;
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        self.file
            .sync_data()
            .map_err(|error| StoreError::io("sync", self.path, error))
    }
}
