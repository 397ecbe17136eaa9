//! The `checkpoint` file: up to which store times the files of the store are known to be on disk (RocketMQ's
//! `StoreCheckpoint`).
//!
//! | bytes | what |
//! |---|---|
//! | 0–7 | store time of the last message that is on disk in the commit log |
//! | 8–15 | … of the last one whose consume queue unit is |
//! | 16–23 | … of the last one that is in an index file that is |
//! | 24–4095 | zeros |
//!
//! Big-endian milliseconds since 1970. The three lie in one sector, so that a crash leaves the old or the new ones; they
//! may lag, and zeros say nothing is known: recovery then begins at the oldest file.

#![deny(clippy::indexing_slicing)]

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, DiskFile, OpenMode, sync_directory};
use crate::error::{Result, StoreError};

/// The length of the file.
const FILE_BYTES: u64 = 4096;
/// How far Java's recovery goes back behind the times, in milliseconds.
const MARGIN_MS: i64 = 3000;

/// The times of a checkpoint, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// The commit log is on disk up to messages stored at this time.
    pub commit_log_ms: i64,
    /// The consume queues are.
    pub consume_queue_ms: i64,
    /// The index files are.
    pub index_ms: i64,
}

impl Checkpoint {
    /// The time before which log and consume queues are surely on disk.
    #[must_use]
    pub fn min_ms(&self) -> i64 {
        self.commit_log_ms
            .min(self.consume_queue_ms)
            .saturating_sub(MARGIN_MS)
            .max(0)
    }

    /// What the checkpoint of the store in `root` says, zeros where there is none; nothing on the disk changes.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn look_up(disk: &dyn Disk, root: &Path) -> Result<Self> {
        let path = root.join("checkpoint");
        let mut bytes = [0; 24];
        let read = match disk.open(&path, OpenMode::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            opened => opened.and_then(|file| file.read_at(&mut bytes, 0)),
        };
        read.map_err(|error| StoreError::io("read", &path, error))?;
        Ok(Self::decode(&bytes))
    }

    fn encode(&self) -> [u8; 24] {
        let mut bytes = [0; 24];
        let times = [self.commit_log_ms, self.consume_queue_ms, self.index_ms];
        for (target, time) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(times) {
            *target = time.to_be_bytes();
        }
        bytes
    }

    fn decode(bytes: &[u8; 24]) -> Self {
        let mut times = bytes.as_chunks::<8>().0.iter().map(|time| i64::from_be_bytes(*time));
        let mut next = || times.next().unwrap_or_default();
        Self {
            commit_log_ms: next(),
            consume_queue_ms: next(),
            index_ms: next(),
        }
    }
}

/// The open file.
pub struct CheckpointFile {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    written: Checkpoint,
}

impl CheckpointFile {
    /// Opens the checkpoint of the store in `root`, or makes one that says nothing. What it says is on disk when this
    /// returns: a process that was killed may have left it in the page cache alone, and a later crash would bring back
    /// older times.
    ///
    /// # Errors
    /// When it cannot be opened, made or read.
    pub fn open(disk: &dyn Disk, root: &Path) -> Result<Self> {
        let path = root.join("checkpoint");
        let file = disk
            .open(&path, OpenMode::Create)
            .map_err(|error| StoreError::io("open", &path, error))?;
        let length = file.length().map_err(|error| StoreError::io("read", &path, error))?;
        if length < FILE_BYTES {
            file.set_length(FILE_BYTES)
                .map_err(|error| StoreError::io("extend", &path, error))?;
            file.sync_data().map_err(|error| StoreError::io("sync", &path, error))?;
        }
        sync_directory(disk, root)?;
        let mut bytes = [0; 24];
        file.read_at(&mut bytes, 0)
            .map_err(|error| StoreError::io("read", &path, error))?;
        file.write_at(&[IoSlice::new(&bytes)], 0)
            .map_err(|error| StoreError::io("write", &path, error))?;
        file.sync_data().map_err(|error| StoreError::io("sync", &path, error))?;
        Ok(Self {
            path,
            file,
            written: Checkpoint::decode(&bytes),
        })
    }

    /// What the file says.
    #[must_use]
    pub fn read(&self) -> Checkpoint {
        self.written
    }

    /// Writes the times and syncs them; does nothing when they are there already.
    ///
    /// # Errors
    /// When the disk fails; what the file says is then unknown.
    pub fn write(&mut self, checkpoint: Checkpoint) -> Result<()> {
        if checkpoint == self.written {
            return Ok(());
        }
        let bytes = checkpoint.encode();
        let written = self.file.write_at(&[IoSlice::new(&bytes)], 0);
        written.map_err(|error| StoreError::io("write", &self.path, error))?;
        self.file
            .sync_data()
            .map_err(|error| StoreError::io("sync", &self.path, error))?;
        self.written = checkpoint;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::memory::Survival;
    use crate::disk::{MemoryDisk, RealDisk};

    #[test]
    fn the_bytes_are_javas() {
        let root = tempfile::tempdir().unwrap();
        let checkpoint = Checkpoint {
            commit_log_ms: 0x0102,
            consume_queue_ms: 3,
            index_ms: -1,
        };
        let mut file = CheckpointFile::open(&RealDisk, root.path()).unwrap();
        assert_eq!(file.read(), Checkpoint::default());
        file.write(checkpoint).unwrap();
        let bytes = RealDisk.read_whole(&root.path().join("checkpoint"), 5000).unwrap();
        assert_eq!(bytes.len(), 4096);
        assert_eq!(bytes.first_chunk().unwrap(), &checkpoint.encode());
        assert!(bytes.starts_with(&[0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0xFF]));
        assert!(bytes.iter().skip(24).all(|&byte| byte == 0));
        assert_eq!(CheckpointFile::open(&RealDisk, root.path()).unwrap().read(), checkpoint);
    }

    #[test]
    fn recovery_goes_back_three_seconds_behind_the_older_time() {
        let checkpoint = Checkpoint {
            commit_log_ms: 10_000,
            consume_queue_ms: 9_000,
            index_ms: 7_000,
        };
        assert_eq!(checkpoint.min_ms(), 6_000);
        let early = Checkpoint {
            commit_log_ms: 10_000,
            consume_queue_ms: 2_999,
            index_ms: 1,
        };
        assert_eq!(early.min_ms(), 0);
    }

    #[test]
    fn a_checkpoint_is_on_disk_when_it_is_written_and_an_unfinished_file_says_nothing() {
        let root = Path::new("/store");
        for survival in (0..50)
            .map(Survival::Random)
            .chain([Survival::Nothing, Survival::Everything])
        {
            for at in 1..6 {
                let disk = MemoryDisk::new(1);
                disk.create_directory(root).unwrap();
                disk.crash_at(at);
                CheckpointFile::open(&disk.process(), root).err();
                disk.crash(survival);
                let mut file = CheckpointFile::open(&disk.process(), root).unwrap();
                assert_eq!(file.read(), Checkpoint::default());
                let written = Checkpoint {
                    commit_log_ms: 3,
                    consume_queue_ms: 2,
                    index_ms: 1,
                };
                file.write(written).unwrap();
                disk.crash(survival);
                assert_eq!(CheckpointFile::open(&disk.process(), root).unwrap().read(), written);
            }
        }
    }
}
