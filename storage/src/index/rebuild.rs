//! Computing the newest file's slots from its entries after a crash.
//!
//! Entries of records before the limit are on disk; where one cannot be, or lies behind the limit, the file is cut. The
//! header may be torn: its end is that of the last entry. A slot is the number of the last entry that hashes to it, and
//! each entry's previous number is what its slot held before. What lies behind is zeroed.

use std::io::IoSlice;
use std::ops::Range;
use std::path::Path;

use super::Layout;
use super::entry::{ENTRY_LENGTH, Entry};
use super::header::{HEADER_BYTES, Header};
use super::slots::SLOT_BYTES;
use crate::disk::{Blocks, DiskFile};
use crate::error::{Result, StoreError};
use crate::position::PhysicalOffset;

/// How many bytes of entries are read at a time; a multiple of 20.
const STEP: usize = 80 * 1024;
/// How many slots are written at a time.
const SLOTS_STEP: usize = 16 * 1024;

/// Computes the newest file's slots from its entries.
pub(super) struct Rebuild<'a> {
    pub(super) file: &'a dyn DiskFile,
    pub(super) path: &'a Path,
    pub(super) layout: Layout,
}

impl Rebuild<'_> {
    /// Drops entries of records at or behind `limit` and all from the first on that cannot be, and gives the header. A
    /// header that claims less is on disk before anything it claimed goes.
    pub(super) fn run(&self, claimed: Header, limit: PhysicalOffset) -> Result<Header> {
        let (mut header, slots) = self.follow(claimed, limit)?;
        if header.next == 1 {
            header = Header::after(None);
        }
        if header != claimed {
            self.write(0, &header.encode())?;
            self.sync()?;
        }
        let behind = self.layout.entry_at(header.next);
        self.zero(behind..self.layout.file_bytes())?;
        self.write_slots(&slots)?;
        self.sync()?;
        Ok(header)
    }

    /// Goes along the entries, corrects their chains, and gives the header and the slots that follow from them.
    fn follow(&self, claimed: Header, limit: PhysicalOffset) -> Result<(Header, Vec<u32>)> {
        let mut slots = vec![0_u32; self.layout.slots as usize];
        let mut header = Header {
            used_slots: 0,
            next: 1,
            ..claimed
        };
        let mut last: Option<Entry> = None;
        let entries = self.layout.entry_at(1)..self.layout.entry_at(claimed.next);
        self.rewrite(entries, |bytes| {
            for bytes in bytes.as_chunks_mut::<ENTRY_LENGTH>().0 {
                let mut entry = Entry::decode(bytes);
                let is_in_order = last.is_none_or(|last| last.physical_offset <= entry.physical_offset);
                // Not held against the header's last record: a start that died while it claimed less can have torn that.
                let is_kept = entry.physical_offset < limit;
                let Some(slot) = slots.get_mut(self.layout.slot_of(entry.hash) as usize) else {
                    return false;
                };
                if entry.hash < 0 || !is_in_order || !is_kept {
                    return false;
                }
                entry.previous = std::mem::replace(slot, header.next);
                header.used_slots += i32::from(entry.previous == 0);
                header.next += 1;
                *bytes = entry.encode();
                last = Some(entry);
            }
            true
        })?;
        if let Some(last) = last.filter(|last| last.physical_offset != claimed.end_physical) {
            // The last millisecond of its second. No record of the file was stored after the end that a whole header claims.
            let last_ms = header.begin_ms.saturating_add(i64::from(last.seconds) * 1000 + 999);
            let is_torn = claimed.end_physical < last.physical_offset;
            let end_ms = if is_torn { last_ms } else { last_ms.min(claimed.end_ms) };
            header = Header {
                end_physical: last.physical_offset,
                end_ms,
                ..header
            };
        }
        Ok((header, slots))
    }

    /// Writes all slots, also those that read as they should: after a failed sync the page cache shows what the disk
    /// does not have.
    fn write_slots(&self, slots: &[u32]) -> Result<()> {
        let begin = HEADER_BYTES;
        self.zero(begin..begin + u64::from(self.layout.slots) * SLOT_BYTES)?;
        for (index, step) in slots.chunks(SLOTS_STEP).enumerate() {
            if step.iter().any(|&slot| slot != 0) {
                let bytes: Vec<u8> = step.iter().flat_map(|slot| slot.to_be_bytes()).collect();
                self.write(begin + (index * SLOTS_STEP) as u64 * SLOT_BYTES, &bytes)?;
            }
        }
        Ok(())
    }

    /// Reads a range step by step, has it changed, and writes the steps that were; ends when `change` gives `false`.
    fn rewrite(&self, range: Range<u64>, mut change: impl FnMut(&mut [u8]) -> bool) -> Result<()> {
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
                self.write(at, &bytes)?;
            }
            at += length as u64;
        }
        Ok(())
    }

    fn write(&self, at: u64, bytes: &[u8]) -> Result<()> {
        self.file
            .write_at(&[IoSlice::new(bytes)], at)
            .map_err(|error| StoreError::io("write", self.path, error))
    }

    fn zero(&self, range: Range<u64>) -> Result<()> {
        let zeroed = self.file.zero(range.start, range.end - range.start, Blocks::Released);
        zeroed.map_err(|error| StoreError::io("zero", self.path, error))
    }

    fn sync(&self) -> Result<()> {
        self.file
            .sync_data()
            .map_err(|error| StoreError::io("sync", self.path, error))
    }
}
