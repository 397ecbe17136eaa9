//! Lent memory that is filled from its beginning: where the JSON scanner puts texts without their escapes, and fields in
//! the form of a [`FieldTable`].

use super::FieldTable;

/// The longest key, in bytes: as much as its length can say.
pub(super) const KEY_BYTES_MAX: usize = u16::MAX as usize;

/// The room and how much of it is used.
#[derive(Debug)]
pub(super) struct Room<'a> {
    bytes: &'a mut [u8],
    used: usize,
}

/// What was to be added does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfit {
    /// There is no room for more. Nothing that was read from as much JSON as [`Room::for_json`] was told comes to this.
    Full,
    /// A key is longer than [`KEY_BYTES_MAX`].
    Key,
}

impl<'a> Room<'a> {
    /// As much takes what a JSON header of this length holds: unescaping never lengthens a text, and of the fields
    /// `"":1,` grows most, from 5 bytes to 7.
    pub(super) fn for_json(bytes: usize) -> usize {
        2 * bytes
    }

    pub(super) fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, used: 0 }
    }

    /// How much is used.
    pub(super) fn used(&self) -> usize {
        self.used
    }

    /// Adds a piece.
    #[inline]
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), Unfit> {
        let end = self.used + piece.len();
        let place = self.bytes.get_mut(self.used..end).ok_or(Unfit::Full)?;
        place.copy_from_slice(piece);
        self.used = end;
        Ok(())
    }

    /// The next eight bytes, to be written and then used by [`Room::use_more`]; `None` where fewer are left.
    #[inline]
    pub(super) fn next_word(&mut self) -> Option<&mut [u8; 8]> {
        self.bytes.get_mut(self.used..)?.first_chunk_mut()
    }

    /// Uses more of what was written.
    #[inline]
    pub(super) fn use_more(&mut self, bytes: usize) {
        self.used = (self.used + bytes).min(self.bytes.len());
    }

    /// Writes the length of the key that begins behind the two bytes at `start` and ends here.
    #[inline]
    pub(super) fn end_key(&mut self, start: usize) -> Result<(), Unfit> {
        let length = self.used.saturating_sub(start + 2);
        if length > KEY_BYTES_MAX {
            return Err(Unfit::Key);
        }
        self.fill_in(start, (length as u16).to_be_bytes())
    }

    /// Writes the length of the value that begins behind the four bytes at `start` and ends here.
    #[inline]
    pub(super) fn end_value(&mut self, start: usize) -> Result<(), Unfit> {
        // no header is as long as 4 GiB
        let length = self.used.saturating_sub(start + 4) as u32;
        self.fill_in(start, length.to_be_bytes())
    }

    #[inline]
    fn fill_in<const N: usize>(&mut self, start: usize, length: [u8; N]) -> Result<(), Unfit> {
        let place = self.bytes.get_mut(start..).and_then(<[u8]>::first_chunk_mut);
        *place.ok_or(Unfit::Full)? = length;
        Ok(())
    }

    /// Takes the key that begins at `start` away, and the fields before it that have the same key; says how many fields
    /// are left.
    #[cold]
    pub(super) fn forget(&mut self, start: usize) -> usize {
        let used = self.bytes.get(..self.used).unwrap_or_default();
        let (before, key) = used.split_at_checked(start).unwrap_or_default();
        let key = key.get(2..).unwrap_or_default();
        let mut kept = Vec::with_capacity(before.len());
        let mut left = 0;
        for (name, value) in FieldTable::of_bytes(before).iter().filter(|(name, _)| *name != key) {
            kept.extend((name.len() as u16).to_be_bytes());
            kept.extend(name);
            kept.extend((value.len() as u32).to_be_bytes());
            kept.extend(value);
            left += 1;
        }
        self.used = 0;
        // it was there before, so it fits
        let fits = self.push(&kept);
        debug_assert_eq!(fits, Ok(()), "{} bytes", kept.len());
        left
    }

    /// Parts what is used from what is free.
    pub(super) fn split(self) -> (&'a [u8], &'a mut [u8]) {
        let (used, free) = self.bytes.split_at_mut(self.used);
        (used, free)
    }
}
