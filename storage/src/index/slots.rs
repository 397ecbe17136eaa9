//! The slot table of the file that is written to, in memory as far as it was touched: pages of 1024 slots, loaded on
//! their first use, written on a flush when they were changed, dropped when the index is idle. All of them together are
//! never more than the file's table (20 MB by default).

use std::io::IoSlice;
use std::path::Path;

use super::header::HEADER_BYTES;
use crate::disk::DiskFile;
use crate::error::{Result, StoreError};

/// The length of a slot.
pub(super) const SLOT_BYTES: u64 = 4;
const PAGE_SLOTS: u32 = 1024;
const PAGE_BYTES: usize = 4096;

/// A page of slots, as it stands in the file.
struct Page {
    bytes: Box<[u8; PAGE_BYTES]>,
    is_dirty: bool,
}

/// The slots of one file.
pub(super) struct SlotTable {
    slots: u32,
    /// Empty until the first change.
    pages: Vec<Option<Page>>,
}

impl SlotTable {
    pub(super) fn new(slots: u32) -> Self {
        Self {
            slots,
            pages: Vec::new(),
        }
    }

    /// The entry number that a slot holds. A page that is not in memory is not brought there.
    pub(super) fn get(&self, file: &dyn DiskFile, path: &Path, slot: u32) -> Result<u32> {
        let (page, within) = (slot / PAGE_SLOTS, slot % PAGE_SLOTS);
        if let Some(Some(page)) = self.pages.get(page as usize) {
            return Ok(page.get(within));
        }
        let mut bytes = [0; SLOT_BYTES as usize];
        let read = file.read_at(&mut bytes, HEADER_BYTES + u64::from(slot) * SLOT_BYTES);
        read.map_err(|error| StoreError::io("read", path, error))?;
        Ok(number(bytes))
    }

    /// Sets a slot and gives what it held.
    pub(super) fn replace(&mut self, file: &dyn DiskFile, path: &Path, slot: u32, value: u32) -> Result<u32> {
        let (index, within) = ((slot / PAGE_SLOTS) as usize, slot % PAGE_SLOTS);
        if self.pages.is_empty() {
            self.pages
                .resize_with(self.slots.div_ceil(PAGE_SLOTS) as usize, || None);
        }
        let Some(place) = self.pages.get_mut(index) else {
            return Ok(0);
        };
        let page = match place {
            Some(page) => page,
            None => place.insert(Page::load(file, path, index, self.slots)?),
        };
        let held = page.get(within);
        page.set(within, value);
        Ok(held)
    }

    /// Writes what was changed, neighbouring pages together.
    pub(super) fn write(&mut self, file: &dyn DiskFile, path: &Path) -> Result<()> {
        let mut run: Vec<IoSlice<'_>> = Vec::new();
        let mut run_from = 0;
        let flush = |run: &mut Vec<IoSlice<'_>>, from: usize| {
            if run.is_empty() {
                return Ok(());
            }
            let written = file.write_at(run, HEADER_BYTES + (from * PAGE_BYTES) as u64);
            run.clear();
            written.map_err(|error| StoreError::io("write", path, error))
        };
        for (index, page) in self.pages.iter().enumerate() {
            match page {
                Some(page) if page.is_dirty => {
                    if run.is_empty() {
                        run_from = index;
                    }
                    run.push(IoSlice::new(page.used(index, self.slots)));
                }
                _ => flush(&mut run, run_from)?,
            }
        }
        flush(&mut run, run_from)?;
        for page in self.pages.iter_mut().flatten() {
            page.is_dirty = false;
        }
        Ok(())
    }

    /// Drops what need not be written.
    pub(super) fn release(&mut self) {
        if !self.pages.iter().flatten().any(|page| page.is_dirty) {
            self.pages = Vec::new();
        }
    }
}

impl Page {
    fn load(file: &dyn DiskFile, path: &Path, index: usize, slots: u32) -> Result<Self> {
        let mut page = Self {
            bytes: Box::new([0; PAGE_BYTES]),
            is_dirty: false,
        };
        let length = page.used(index, slots).len();
        if let Some(used) = page.bytes.get_mut(..length) {
            let read = file.read_at(used, HEADER_BYTES + (index * PAGE_BYTES) as u64);
            read.map_err(|error| StoreError::io("read", path, error))?;
        }
        Ok(page)
    }

    /// The part of the page that is slots: entries begin in the midst of the last page.
    fn used(&self, index: usize, slots: u32) -> &[u8] {
        let length = (slots as usize * SLOT_BYTES as usize)
            .saturating_sub(index * PAGE_BYTES)
            .min(PAGE_BYTES);
        self.bytes.get(..length).unwrap_or_default()
    }

    #[inline]
    fn get(&self, within: u32) -> u32 {
        self.bytes
            .as_chunks()
            .0
            .get(within as usize)
            .map_or(0, |bytes| number(*bytes))
    }

    #[inline]
    fn set(&mut self, within: u32, value: u32) {
        if let Some(bytes) = self.bytes.as_chunks_mut().0.get_mut(within as usize) {
            *bytes = value.to_be_bytes();
            self.is_dirty = true;
        }
    }
}

/// An entry number; one below 0 is none.
#[inline]
fn number(bytes: [u8; 4]) -> u32 {
    u32::try_from(i32::from_be_bytes(bytes)).unwrap_or_default()
}
