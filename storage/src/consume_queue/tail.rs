//! The file that a queue, or its extension, is written to: its blocks are reserved [`RESERVE_STEP`] bytes at a time.

use std::io::IoSlice;
use std::path::PathBuf;
use std::sync::Arc;

use crate::disk::DiskFile;
use crate::error::{Result, StoreError};

/// How many bytes of a file get their blocks at a time.
const RESERVE_STEP: u64 = 64 * 1024;

/// A file that is written to.
pub(super) struct Tail {
    start: u64,
    file: Arc<dyn DiskFile>,
    file_bytes: u64,
    /// Up to which byte of the file blocks are reserved.
    reserved: u64,
}

impl Tail {
    /// The file that begins at `start` and is written to from byte `at` on.
    pub(super) fn new(start: u64, file: Arc<dyn DiskFile>, at: u64, file_bytes: u64) -> Self {
        Self {
            start,
            file,
            file_bytes,
            reserved: at,
        }
    }

    /// What it begins at.
    #[inline]
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// The file itself.
    #[inline]
    pub(super) fn file(&self) -> &Arc<dyn DiskFile> {
        &self.file
    }

    /// Makes sure that there are blocks up to this byte.
    #[inline]
    pub(super) fn reserve(&mut self, upto: u64, path: impl Fn() -> PathBuf) -> Result<()> {
        if upto > self.reserved {
            let reserved = upto.next_multiple_of(RESERVE_STEP).min(self.file_bytes);
            self.file
                .reserve(self.reserved, reserved - self.reserved)
                .map_err(|error| StoreError::io("reserve blocks of", &path(), error))?;
            self.reserved = reserved;
        }
        Ok(())
    }

    /// Writes bytes that lie within the file.
    #[inline]
    pub(super) fn write(&self, bytes: &[u8], at: u64, path: impl Fn() -> PathBuf) -> Result<()> {
        self.file
            .write_at(&[IoSlice::new(bytes)], at)
            .map_err(|error| StoreError::io("write", &path(), error))
    }
}
