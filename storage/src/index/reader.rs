//! Reads the entries of all index files in their order, by pread and without changing anything, and holds headers, chains
//! and slots against them on the way: for whoever checks a store.
//!
//! In memory are the slots of one file (20 MB by default) and a piece of its entries.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::entry::{ENTRY_BYTES, ENTRY_LENGTH, Entry};
use super::header::{HEADER_BYTES, Header};
use super::slots::SLOT_BYTES;
use super::{FOLDER, Layout, name};
use crate::disk::{Disk, DiskFile, OpenMode, list};
use crate::error::{Result, StoreError};
use crate::position::PhysicalOffset;

/// How many entries or slots are read at a time.
const STEP: u32 = 4096;

/// What is wrong in an index file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) path: PathBuf,
    pub(crate) byte: u64,
    pub(crate) what: String,
}

/// An entry, and where it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReadEntry {
    pub(crate) path: Arc<Path>,
    pub(crate) byte: u64,
    pub(crate) hash: i32,
    pub(crate) physical_offset: PhysicalOffset,
}

/// One file that is still to be read.
struct FileReader {
    path: Arc<Path>,
    file: Arc<dyn DiskFile>,
    header: Header,
    is_newest: bool,
}

/// The index of a store, entry by entry.
pub(crate) struct IndexReader {
    layout: Layout,
    files: VecDeque<FileReader>,
    /// How many files are read.
    pub(crate) count: usize,
    /// Whether the newest file's slots may be behind its entries.
    is_open: bool,
    next: u32,
    last: Option<PhysicalOffset>,
    slots: Vec<u32>,
    ahead: VecDeque<ReadEntry>,
    /// What was found wrong, to be taken.
    pub(crate) problems: Vec<Problem>,
    /// The newest record that a header names.
    pub(crate) newest: Option<PhysicalOffset>,
}

impl IndexReader {
    /// Reads the headers of the files in `root`; what cannot be read as an index is a problem. `is_open` says that the store
    /// was not left in order.
    pub(crate) fn open(disk: &dyn Disk, root: &Path, layout: Layout, is_open: bool) -> Result<Self> {
        let directory = root.join(FOLDER);
        let mut reader = Self {
            layout,
            files: VecDeque::new(),
            count: 0,
            is_open,
            next: 1,
            last: None,
            slots: Vec::new(),
            ahead: VecDeque::new(),
            problems: Vec::new(),
            newest: None,
        };
        for entry in list(disk, &directory)? {
            if entry.is_directory || name::parse(&entry.name).is_none() {
                continue;
            }
            reader.add(disk, directory.join(&entry.name), entry.length)?;
        }
        if let Some(newest) = reader.files.back_mut() {
            newest.is_newest = true;
        }
        reader.count = reader.files.len();
        Ok(reader)
    }

    fn add(&mut self, disk: &dyn Disk, path: PathBuf, length: u64) -> Result<()> {
        let mut bytes = [0; HEADER_BYTES as usize];
        let file = match disk.open(&path, OpenMode::Read) {
            // Retention has removed it since.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            opened => opened.map_err(|error| StoreError::io("open", &path, error))?,
        };
        let read = file.read_at(&mut bytes, 0);
        read.map_err(|error| StoreError::io("read", &path, error))?;
        let expected = self.layout.file_bytes();
        if length != expected {
            let is_new = length < expected && bytes == [0; HEADER_BYTES as usize];
            if !is_new {
                let what = format!(
                    "the file has {length} bytes, where its number of slots and entries asks for {expected}: say how many they are (--index-slots, --index-entries), or it is cut short"
                );
                self.problems.push(Problem { path, byte: 0, what });
            }
            return Ok(());
        }
        let header = Header::decode(&bytes);
        if header.next > self.layout.entries {
            let what = format!("the header counts {} entries, more than the file has", header.next);
            let path = path.clone();
            self.problems.push(Problem { path, byte: 36, what });
        }
        let header = Header {
            next: header.next.min(self.layout.entries),
            ..header
        };
        if header.next > 1 {
            self.newest = self.newest.max(Some(header.end_physical));
        }
        self.files.push_back(FileReader {
            path: path.into(),
            file,
            header,
            is_newest: false,
        });
        Ok(())
    }

    /// The next entry, and the one behind it.
    pub(crate) fn peek(&mut self) -> Result<(Option<ReadEntry>, Option<PhysicalOffset>)> {
        while self.ahead.len() < 2 && !self.files.is_empty() {
            self.fill()?;
        }
        let behind = self.ahead.get(1).map(|entry| entry.physical_offset);
        Ok((self.ahead.front().cloned(), behind))
    }

    /// Goes on behind the next entry.
    pub(crate) fn advance(&mut self) {
        self.ahead.pop_front();
    }

    fn problem(&mut self, path: &Path, byte: u64, what: String) {
        let path = path.to_owned();
        self.problems.push(Problem { path, byte, what });
    }

    /// Reads the next piece, or ends the file.
    fn fill(&mut self) -> Result<()> {
        let Some(current) = self.files.front() else {
            return Ok(());
        };
        let (path, file, header) = (Arc::clone(&current.path), Arc::clone(&current.file), current.header);
        let is_newest = current.is_newest;
        if self.next == 1 {
            self.slots = vec![0; self.layout.slots as usize];
        }
        if self.next >= header.next {
            self.end_file(&path, file.as_ref(), header, is_newest)?;
            self.files.pop_front();
            self.next = 1;
            return Ok(());
        }
        let count = STEP.min(header.next - self.next);
        let at = self.layout.entry_at(self.next);
        let mut bytes = vec![0; count as usize * ENTRY_LENGTH];
        file.read_at(&mut bytes, at)
            .map_err(|error| StoreError::io("read", &path, error))?;
        for (bytes, byte) in bytes.as_chunks().0.iter().zip((at..).step_by(ENTRY_BYTES as usize)) {
            let entry = Entry::decode(bytes);
            self.follow(&path, byte, entry);
            self.ahead.push_back(ReadEntry {
                path: Arc::clone(&path),
                byte,
                hash: entry.hash,
                physical_offset: entry.physical_offset,
            });
            self.last = Some(entry.physical_offset);
            self.next += 1;
        }
        Ok(())
    }

    /// Holds an entry's place in its chain against the entries before it.
    fn follow(&mut self, path: &Path, byte: u64, entry: Entry) {
        let number = self.next;
        let slot = self.layout.slot_of(entry.hash) as usize;
        let Some(expected) = self.slots.get_mut(slot).map(|held| std::mem::replace(held, number)) else {
            return;
        };
        if entry.previous != expected {
            let what = format!(
                "entry {number} is chained to entry {}, where its slot held {expected}",
                entry.previous
            );
            self.problem(path, byte + 16, what);
        }
    }

    /// Holds the header's end and the file's slots against its entries.
    fn end_file(&mut self, path: &Path, file: &dyn DiskFile, header: Header, is_newest: bool) -> Result<()> {
        let last = self.last.take();
        if let Some(last) = last.filter(|last| *last != header.end_physical) {
            let what = format!(
                "the header ends with the record at {}, its entries with {last}",
                header.end_physical
            );
            self.problem(path, 24, what);
        }
        // The slots of the newest file are written now and then, and a start after a crash computes them anew.
        if last.is_none() || is_newest && self.is_open {
            return Ok(());
        }
        let slots = std::mem::take(&mut self.slots);
        let mut bytes = vec![0; STEP as usize * SLOT_BYTES as usize];
        for (expected, first) in slots.chunks(STEP as usize).zip((0..).step_by(STEP as usize)) {
            let at = HEADER_BYTES + first * SLOT_BYTES;
            let read = file.read_at(&mut bytes, at);
            read.map_err(|error| StoreError::io("read", path, error))?;
            for ((expected, bytes), index) in expected.iter().zip(bytes.as_chunks::<4>().0).zip(0..) {
                let found = u32::from_be_bytes(*bytes);
                if found != *expected {
                    let what = format!("slot {} leads to entry {found} and not to {expected}", first + index);
                    self.problem(path, at + index * SLOT_BYTES, what);
                }
            }
        }
        Ok(())
    }
}
