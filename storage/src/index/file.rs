//! One index file: its header as it is now, as it was written and as it is on disk; its slots and its entries.

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use super::Layout;
use super::entry::{ENTRY_LENGTH, Entry};
use super::header::Header;
use super::slots::SlotTable;
use crate::disk::{Disk, DiskFile, OpenMode};
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
            handle: None,
            reserved: 0,
        }
    }

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

    /// Makes the file at its full length, durably: no later file may outlive it in a crash.
    pub(super) fn create(&mut self, disk: &dyn Disk, directory: &Path, layout: Layout) -> Result<()> {
        let path = &self.path;
        disk.create_directory(directory)
            .map_err(|error| StoreError::io("make", directory, error))?;
        let file = disk
            .open(path, OpenMode::CreateNew)
            .map_err(|error| StoreError::io("make", path, error))?;
        file.set_length(layout.file_bytes())
            .map_err(|error| StoreError::io("extend", path, error))?;
        file.sync_data().map_err(|error| StoreError::io("sync", path, error))?;
        disk.sync_directory(directory)
            .map_err(|error| StoreError::io("sync", directory, error))?;
        self.handle = Some(file);
        Ok(())
    }

    /// Writes encoded entries, of which the first has the number `first`.
    pub(super) fn write_entries(&mut self, disk: &dyn Disk, layout: Layout, first: u32, bytes: &[u8]) -> Result<()> {
        let file = self.handle(disk)?;
        let at = layout.entry_at(first);
        let upto = at + bytes.len() as u64;
        if upto > self.reserved {
            let from = at.max(self.reserved);
            let reserved = upto.next_multiple_of(RESERVE_STEP).min(layout.file_bytes());
            let done = file.reserve(from, reserved - from);
            done.map_err(|error| StoreError::io("reserve blocks of", &self.path, error))?;
            self.reserved = reserved;
        }
        file.write_at(&[IoSlice::new(bytes)], at)
            .map_err(|error| StoreError::io("write", &self.path, error))
    }

    /// Reads the entry of a number.
    pub(super) fn entry(&mut self, disk: &dyn Disk, layout: Layout, number: u32) -> Result<Entry> {
        let mut bytes = [0; ENTRY_LENGTH];
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
