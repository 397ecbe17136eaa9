//! One index file: its header as it is now, as it was written and as it is on disk; its slots and its entries.

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use super::Layout;
use super::entry::{ENTRY_LENGTH, Entry};
use super::header::Header;
use super::slots::SlotTable;
use crate::disk::{Disk, DiskFile, OpenMode, sync_directory};
use crate::error::{Result, StoreError};

/// How many bytes of the entries get their blocks at a time.
const RESERVE_STEP: u64 = 64 * 1024;

/// One file of the index.
pub(super) struct IndexFile {
    /// Its name as a number.
    pub(super) name: u64,
    /// Where it is. Kept, since each key that is put in names it should the disk fail.
    pub(super) path: Arc<Path>,
    pub(super) header: Header,
    /// The header that was last written to the file.
    pub(super) written: Header,
    /// The header that is on disk.
    pub(super) durable: Header,
    pub(super) slots: SlotTable,
    /// The newest entries, encoded, that the header counts and the file does not have yet: none but while they are put in,
    /// or while the disk has no room for them.
    unwritten: Vec<u8>,
    handle: Option<Arc<dyn DiskFile>>,
    /// Up to which byte blocks are reserved.
    reserved: u64,
}

impl IndexFile {
    pub(super) fn new(directory: &Path, name: u64, layout: Layout, header: Header, on_disk: Header) -> Self {
        let slots = SlotTable::new(layout.slots);
        Self {
            name,
            path: directory.join(format!("{name:017}")).into(),
            header,
            written: on_disk,
            durable: on_disk,
            slots,
            unwritten: Vec::new(),
            handle: None,
            reserved: 0,
        }
    }

    #[inline]
    pub(super) fn is_full(&self, layout: Layout) -> bool {
        self.header.next >= layout.entries
    }

    /// The open file.
    pub(super) fn handle(&mut self, disk: &dyn Disk) -> Result<Arc<dyn DiskFile>> {
        if let Some(handle) = &self.handle {
            return Ok(Arc::clone(handle));
        }
        let handle = disk
            .open(&self.path, OpenMode::Write)
            .map_err(|error| StoreError::io("open", &self.path, error))?;
        self.handle = Some(Arc::clone(&handle));
        Ok(handle)
    }

    /// Makes the file at its full length, durably: no later file may outlive it in a crash. One that an earlier attempt left
    /// without its length is taken.
    pub(super) fn create(&mut self, disk: &dyn Disk, directory: &Path, layout: Layout) -> Result<()> {
        let path = &self.path;
        disk.create_directory(directory)
            .map_err(|error| StoreError::io("make", directory, error))?;
        let file = disk
            .open(path, OpenMode::Create)
            .map_err(|error| StoreError::io("make", path, error))?;
        file.set_length(layout.file_bytes())
            .map_err(|error| StoreError::io("extend", path, error))?;
        file.sync_data().map_err(|error| StoreError::io("sync", path, error))?;
        sync_directory(disk, directory)?;
        self.handle = Some(file);
        Ok(())
    }

    /// Adds an entry, which is in the file after [`IndexFile::write_entries`].
    #[inline]
    pub(super) fn push_entry(&mut self, entry: &Entry) {
        self.unwritten.extend_from_slice(&entry.encode());
    }

    /// Writes the entries that were added. When that fails they stay, to be written later.
    pub(super) fn write_entries(&mut self, disk: &dyn Disk, layout: Layout) -> Result<()> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        let file = self.handle(disk)?;
        let at = layout.entry_at(self.first_unwritten());
        let upto = at + self.unwritten.len() as u64;
        if upto > self.reserved {
            let from = at.max(self.reserved);
            let reserved = upto.next_multiple_of(RESERVE_STEP).min(layout.file_bytes());
            let done = file.reserve(from, reserved - from);
            done.map_err(|error| StoreError::io("reserve blocks of", &self.path, error))?;
            self.reserved = reserved;
        }
        file.write_at(&[IoSlice::new(&self.unwritten)], at)
            .map_err(|error| StoreError::io("write", &self.path, error))?;
        self.unwritten.clear();
        Ok(())
    }

    /// The number of the first entry that is not in the file.
    fn first_unwritten(&self) -> u32 {
        self.header.next - (self.unwritten.len() / ENTRY_LENGTH) as u32
    }

    /// Reads the entry of a number.
    pub(super) fn entry(&mut self, disk: &dyn Disk, layout: Layout, number: u32) -> Result<Entry> {
        let mut bytes = [0; ENTRY_LENGTH];
        if let Some(behind) = number.checked_sub(self.first_unwritten())
            && let Some(unwritten) = self.unwritten.as_chunks::<ENTRY_LENGTH>().0.get(behind as usize)
        {
            return Ok(Entry::decode(unwritten));
        }
        let read = self.handle(disk)?.read_at(&mut bytes, layout.entry_at(number));
        read.map_err(|error| StoreError::io("read", &self.path, error))?;
        Ok(Entry::decode(&bytes))
    }

    /// Lets go of what is in memory, if the file has it all; a handle that wrote stays until its sync has told of errors.
    pub(super) fn release(&mut self) {
        self.slots.release();
        if self.header == self.durable {
            self.handle = None;
        }
    }
}
