//! Reading big-endian fields from the front of bytes; each read answers `None` when too few bytes are left.

/// The bytes not read yet.
pub(super) struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the next `length` bytes.
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    /// Takes a position or length that Java holds as a `long`; negative ones are refused.
    pub(super) fn position(&mut self) -> Option<u64> {
        self.i64().and_then(|value| u64::try_from(value).ok())
    }

    /// Takes bytes preceded by their length as an `int`.
    pub(super) fn int_prefixed(&mut self) -> Option<&'a [u8]> {
        let length = self.i32()?;
        self.take(usize::try_from(length).ok()?)
    }

    /// Takes bytes preceded by their length as a `short`.
    pub(super) fn short_prefixed(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        if length > i16::MAX.unsigned_abs() {
            return None;
        }
        self.take(length.into())
    }
}
