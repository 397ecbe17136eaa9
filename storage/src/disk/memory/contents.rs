//! The bytes of one simulated file: a sparse array of zeros that can be written, cut and viewed.

use std::io;
use std::ops::Range;

use crate::read_view::{Gate, ReadView, Region};

/// Address space for a new file. It takes memory only where it is written.
const FIRST_RESERVE: u64 = 1 << 20;

/// Bytes with a length; everything behind `written_to` reads as zeros.
#[derive(Debug, Default)]
pub(super) struct Contents {
    region: Option<Region>,
    length: u64,
    written_to: u64,
}

impl Contents {
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Extends with zeros or cuts.
    ///
    /// # Errors
    /// `ResourceBusy` when bytes go that a view may show: on a real disk, touching them would kill the process.
    pub(super) fn set_length(&mut self, length: u64) -> io::Result<()> {
        if length < self.length && self.region.as_ref().is_some_and(Region::is_viewed) {
            return Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                "a mapped file is never shortened",
            ));
        }
        self.zero(length..self.written_to);
        self.written_to = self.written_to.min(length);
        self.length = length;
        Ok(())
    }

    /// Writes, extending the file when needed.
    ///
    /// # Errors
    /// When memory is short, or when the file outgrows what was reserved for it while it is viewed.
    pub(super) fn write(&mut self, position: u64, bytes: &[u8]) -> io::Result<()> {
        let end = position + bytes.len() as u64;
        self.reserved(end)?.write(position, bytes);
        self.length = self.length.max(end);
        self.written_to = self.written_to.max(end);
        Ok(())
    }

    /// Zeroes what lies within the file.
    pub(super) fn zero(&mut self, range: Range<u64>) {
        let range = range.start..range.end.min(self.written_to);
        if let Some(region) = self.region.as_mut().filter(|_| range.start < range.end) {
            region.zero(range);
        }
    }

    /// Reads what lies within the file.
    pub(super) fn read(&self, position: u64, buffer: &mut [u8]) -> usize {
        let rest = usize::try_from(self.length.saturating_sub(position)).unwrap_or(usize::MAX);
        let count = rest.min(buffer.len());
        let buffer = buffer.get_mut(..count).unwrap_or_default();
        let written = usize::try_from(self.written_to.saturating_sub(position))
            .unwrap_or(usize::MAX)
            .min(count);
        let (stored, zeros) = buffer.split_at_mut(written);
        if let Some(region) = self.region.as_ref().filter(|_| !stored.is_empty()) {
            region.read(position, stored);
        }
        zeros.fill(0);
        count
    }

    /// A view of the first `length` bytes, which later writes show in.
    pub(super) fn view(&mut self, length: u64, gate: Gate) -> io::Result<ReadView> {
        if length > self.length {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a view past the end of the file",
            ));
        }
        self.reserved(length)?.view(length, gate)
    }

    /// The same bytes in memory of their own.
    pub(super) fn copied(&self) -> io::Result<Self> {
        let mut copy = Self {
            length: self.length,
            ..Self::default()
        };
        let mut bytes = vec![0; usize::try_from(self.written_to).map_err(io::Error::other)?];
        self.read(0, &mut bytes);
        if !bytes.is_empty() {
            copy.write(0, &bytes)?;
        }
        Ok(copy)
    }

    pub(super) fn is_viewed(&self) -> bool {
        self.region.as_ref().is_some_and(Region::is_viewed)
    }

    /// The region, with room for `length` bytes. A region that must grow moves, which a view would not notice: so it
    /// may not be viewed then.
    fn reserved(&mut self, length: u64) -> io::Result<&mut Region> {
        let moved = match self.region.take() {
            Some(region) if region.capacity() >= length => region,
            Some(region) if region.is_viewed() => {
                self.region = Some(region);
                return Err(io::Error::new(
                    io::ErrorKind::ResourceBusy,
                    "a mapped file outgrows its reserve",
                ));
            }
            small => {
                let doubled = small
                    .as_ref()
                    .map_or(FIRST_RESERVE, |region| region.capacity().saturating_mul(2));
                let mut larger = Region::reserve(length.max(doubled))?;
                if let Some(small) = small {
                    let mut bytes = vec![0; usize::try_from(self.written_to).map_err(io::Error::other)?];
                    small.read(0, &mut bytes);
                    larger.write(0, &bytes);
                }
                larger
            }
        };
        Ok(self.region.insert(moved))
    }
}
