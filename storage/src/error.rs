//! What can go wrong in the store, split by what the caller does next.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// An error of the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file system refused an operation.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb: `open`, `write`, `sync`.
        operation: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{} is damaged at byte {position}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it.
        position: u64,
        /// What is wrong there.
        reason: String,
    },
    /// A file's length differs from the configured one.
    #[error(
        "{} is {found} bytes long but the configuration says {configured}; set {key}={found}, or use another data directory",
        path.display()
    )]
    SizeMismatch {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        found: u64,
        /// The configured length in bytes.
        configured: u64,
        /// The configuration key that names the length.
        key: &'static str,
    },
    /// Another process has the store open.
    #[error("{} is locked by another process; stop that one, or use another data directory", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// A file of ours was written by a newer version.
    #[error("{} has format version {found}, this program knows up to {known}; run a newer cuemq", path.display())]
    NewerVersion {
        /// The file.
        path: PathBuf,
        /// Its format version.
        found: u16,
        /// The newest version known here.
        known: u16,
    },
    /// Somebody asked for the end while the store was being opened.
    #[error("the start was ended before the store was open; the next one recovers it")]
    Interrupted,
    /// A part of the program that the store needs has ended.
    #[error("the store cannot go on without a part that failed for good: {part}")]
    PartFailed {
        /// Which one, and why.
        part: String,
    },
    /// Something in the store that this program cannot carry on.
    #[error("{} cannot be used here: {reason}", path.display())]
    Unsupported {
        /// The file or directory.
        path: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
}

impl StoreError {
    /// Wraps an I/O error with what was tried on which path.
    #[must_use]
    pub fn io(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            operation,
            path: path.to_owned(),
            source,
        }
    }

    /// Whether there was no room on the disk, or none within a quota: nothing is lost then, and the same may go well later.
    /// A sync that fails is never that: what it did not write is gone from the page cache.
    #[must_use]
    pub fn is_no_room(&self) -> bool {
        let Self::Io { operation, source, .. } = self else {
            return false;
        };
        let is_full = matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        let has_no_descriptor =
            [Errno::MFILE, Errno::NFILE].contains(&Errno::from_io_error(source).unwrap_or(Errno::IO));
        *operation != "sync" && (is_full || has_no_descriptor)
    }
}

/// A result of the store.
pub type Result<T> = std::result::Result<T, StoreError>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_a_full_quota_and_too_many_open_files_are_no_room_but_never_for_a_sync() {
        let failed = |operation, errno: rustix::io::Errno| StoreError::io(operation, Path::new("x"), errno.into());
        assert!(failed("write", rustix::io::Errno::NOSPC).is_no_room());
        assert!(failed("reserve blocks of", rustix::io::Errno::DQUOT).is_no_room());
        assert!(failed("open", rustix::io::Errno::MFILE).is_no_room());
        assert!(!failed("write", rustix::io::Errno::IO).is_no_room());
        assert!(!failed("sync", rustix::io::Errno::NOSPC).is_no_room());
    }
}
