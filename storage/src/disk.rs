//! The `Disk` seam: every file operation of the store goes through here, so that the store also runs on
//! [`MemoryDisk`], which loses what was not synced, tears writes and fails on request.
//!
//! All calls block. None of them belongs on an I/O thread, but for [`DiskFile::write_at`] by the commit log's and the
//! consume queues' owners and for the pure memory access of a [`ReadView`].

pub mod memory;
mod named;
mod probe;
mod real;

use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

pub use memory::MemoryDisk;
pub(crate) use named::{holds_only_zeros, list, sync_directory, sync_file_system};
pub use probe::probe;
pub use real::RealDisk;

use crate::read_view::ReadView;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// For reading; the file must exist.
    Read,
    /// For reading and writing; the file must exist.
    Write,
    /// For reading and writing; made when it does not exist.
    Create,
    /// For reading and writing; must not exist yet.
    CreateNew,
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name within the directory. A name that is not UTF-8 is given lossily (no file of the store has one).
    pub name: String,
    /// Whether it is a directory.
    pub is_directory: bool,
    /// Its length in bytes; 0 for a directory.
    pub length: u64,
    /// Its modification time, in milliseconds since 1970 (Java's retention and time search look at it).
    pub modified_ms: u64,
}

/// The room on the file system that holds a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Its size in bytes.
    pub total: u64,
    /// What is not used, in bytes; some of it may be kept for the system's administrator.
    pub free: u64,
    /// What an unprivileged process can still write, in bytes.
    pub available: u64,
}

impl Space {
    /// How much is used of what an unprivileged process can use at all, from 0 to 1, as `df` and Java tell it.
    #[must_use]
    pub fn used_ratio(self) -> f64 {
        let used = self.total.saturating_sub(self.free);
        used as f64 / used.saturating_add(self.available).max(1) as f64
    }
}

/// What happens to the blocks of a range that is zeroed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocks {
    /// They stay reserved, as in a commit log segment.
    Kept,
    /// They go back to the file system, as in a consume queue's file.
    Released,
}

/// The directory that has the name of `path` in it.
pub(crate) fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => path,
    }
}

/// A lock on a file, held until it is dropped.
pub trait DiskLock: Send + Sync {}

/// A file system. Paths are the real ones, or whatever a simulation gives.
pub trait Disk: Send + Sync + 'static {
    /// Opens a file.
    ///
    /// # Errors
    /// What the system says: not found, exists, no permission, no space.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>>;
    /// Makes a directory and its parents, and gives how many levels were missing. Their names are durable only after
    /// [`Disk::sync_directory`] of the directories that they are in.
    fn make_directory(&self, path: &Path) -> io::Result<usize>;
    /// The entries of a directory, sorted by name; empty when the directory does not exist.
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>>;
    /// Whether a file or directory exists.
    fn exists(&self, path: &Path) -> io::Result<bool>;
    /// Renames a file, replacing the target. Durable only after [`Disk::sync_directory`].
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file. Durable only after [`Disk::sync_directory`].
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_directory(&self, path: &Path) -> io::Result<()>;
    /// Makes creations, renames and removals in a directory durable.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
    /// Makes everything durable that the file system of a directory holds, names and contents, and gives whether it did: not
    /// where the directory is missing, or where the system does not promise to tell what went wrong.
    fn sync_file_system(&self, path: &Path) -> io::Result<bool>;
    /// Locks a file exclusively, making it (with the text `lock`, as Java does) when needed; `WouldBlock` when it is
    /// held already, by this process or another. Nobody opens a locked file: POSIX drops the lock when any handle of it
    /// is closed.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>>;
    /// Whether somebody holds the lock on a file, of this process or another; nothing is made or locked.
    fn is_locked(&self, path: &Path) -> io::Result<bool> {
        let _ = path;
        Ok(false)
    }
    /// Gives a file a second name on the same file system; `Unsupported` or `CrossesDevices` where there is no way.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let _ = (from, to);
        Err(io::ErrorKind::Unsupported.into())
    }
    /// The room on the file system that holds `path` (which must exist).
    fn space(&self, path: &Path) -> io::Result<Space>;

    /// How many files the process may have open at once.
    fn open_files_limit(&self) -> u64;

    /// Makes a directory and its parents, and syncs the parent of each that it made.
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        let missing = self.make_directory(path)?;
        let levels = path.ancestors().take(missing);
        levels.map(parent_of).try_for_each(|parent| self.sync_directory(parent))
    }

    /// Reads a whole file of at most `limit` bytes; a longer one is `InvalidData`.
    fn read_whole(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let file = self.open(path, OpenMode::Read)?;
        let length = file.length()?;
        if length > limit {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{} is {length} bytes long, at most {limit} are read", path.display()),
            ));
        }
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        let read = file.read_at(&mut bytes, 0)?;
        bytes.truncate(read);
        Ok(bytes)
    }
}

/// An open file.
pub trait DiskFile: Send + Sync {
    /// Its length in bytes.
    fn length(&self) -> io::Result<u64>;
    /// Cuts or extends it (extending leaves a hole that reads as zeros).
    fn set_length(&self, length: u64) -> io::Result<()>;
    /// Reserves blocks for `offset .. offset + length`, extending the file when it is shorter. Where the file system
    /// cannot, zeros are written.
    fn allocate(&self, offset: u64, length: u64) -> io::Result<()>;
    /// Reserves blocks within the file without changing its length; where the file system cannot, nothing is done
    /// (the write itself then reports a full disk).
    fn reserve(&self, offset: u64, length: u64) -> io::Result<()>;
    /// Makes `offset .. offset + length`, which lies within the file, read as zeros, in the file itself and whatever
    /// the page cache holds: a range that already reads as zeros is not skipped, since after a failed sync the cache may
    /// show zeros that never reached the disk. Durable after [`DiskFile::sync_data`], as a write.
    fn zero(&self, offset: u64, length: u64, blocks: Blocks) -> io::Result<()>;
    /// Writes all of `buffers`, one after the other, from `offset` on.
    ///
    /// # Errors
    /// What the system says; how much was written is then unknown.
    fn write_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<()>;
    /// Has the system begin to bring a range to the disk, and waits for nothing. It neither tells nor hides that this fails:
    /// [`DiskFile::sync_data`] does.
    fn write_back(&self, range: Range<u64>) -> io::Result<()> {
        let _ = range;
        Ok(())
    }
    /// Reads up to `buffer.len()` bytes from `offset`; fewer only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// fdatasync.
    fn sync_data(&self) -> io::Result<()>;
    /// A read-only mapping of the first `length` bytes, coherent with [`DiskFile::write_at`].
    fn view(&self, length: u64) -> io::Result<ReadView>;
    /// The modification time, in milliseconds since 1970.
    fn modified_ms(&self) -> io::Result<u64>;
}
