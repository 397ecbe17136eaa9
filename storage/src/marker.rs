//! The two files that say whether a store is in use: `abort`, which stands while a broker runs and so tells the next
//! one that the last did not stop in order, and `lock`, which keeps a second broker out.
//!
//! Java makes `abort` empty (5.x writes its process id into it); only that it exists matters. It must be on disk before
//! anything else is written, and gone only when everything else is on disk, so both are synced.

use std::io;
use std::path::Path;

use crate::disk::{Disk, DiskLock, OpenMode, sync_directory};
use crate::error::{Result, StoreError};

const ABORT: &str = "abort";
const LOCK: &str = "lock";

/// Whether the last broker on this store did not stop in order.
///
/// # Errors
/// When the directory cannot be read.
pub fn was_aborted(disk: &dyn Disk, root: &Path) -> Result<bool> {
    let path = root.join(ABORT);
    disk.exists(&path)
        .map_err(|error| StoreError::io("look for", &path, error))
}

/// Marks the store as in use.
///
/// # Errors
/// When the mark cannot be made durable.
pub fn mark_in_use(disk: &dyn Disk, root: &Path) -> Result<()> {
    let path = root.join(ABORT);
    disk.open(&path, OpenMode::Create)
        .map_err(|error| StoreError::io("make", &path, error))?;
    sync_directory(disk, root)
}

/// Marks the store as left in order; everything else must be on disk.
///
/// # Errors
/// When the mark cannot be removed durably.
pub fn mark_clean(disk: &dyn Disk, root: &Path) -> Result<()> {
    let path = root.join(ABORT);
    match disk.remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(StoreError::io("remove", &path, error)),
        _ => {}
    }
    sync_directory(disk, root)
}

/// Locks the store until the answer is dropped.
///
/// # Errors
/// [`StoreError::Locked`] when another process has it.
pub fn lock(disk: &dyn Disk, root: &Path) -> Result<Box<dyn DiskLock>> {
    let path = root.join(LOCK);
    disk.lock(&path).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => StoreError::Locked { path },
        _ => StoreError::io("lock", &path, error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::memory::Survival;
    use crate::disk::{MemoryDisk, RealDisk};

    #[test]
    fn the_mark_stands_until_the_store_is_left_in_order() {
        let root = tempfile::tempdir().unwrap();
        assert!(!was_aborted(&RealDisk, root.path()).unwrap());
        for _ in 0..2 {
            mark_in_use(&RealDisk, root.path()).unwrap();
            assert!(was_aborted(&RealDisk, root.path()).unwrap());
        }
        for _ in 0..2 {
            mark_clean(&RealDisk, root.path()).unwrap();
            assert!(!was_aborted(&RealDisk, root.path()).unwrap());
        }
    }

    #[test]
    fn a_store_has_one_broker() {
        let root = tempfile::tempdir().unwrap();
        let held = lock(&RealDisk, root.path()).unwrap();
        assert!(matches!(lock(&RealDisk, root.path()), Err(StoreError::Locked { .. })));
        assert_eq!(RealDisk.read_whole(&root.path().join("lock"), 100).unwrap(), b"lock");
        drop(held);
        lock(&RealDisk, root.path()).unwrap();
    }

    #[test]
    fn a_mark_is_on_disk_when_the_call_returns() {
        let root = Path::new("/store");
        for survival in (0..50)
            .map(Survival::Random)
            .chain([Survival::Nothing, Survival::Everything])
        {
            let disk = MemoryDisk::new(1);
            disk.create_directory(root).unwrap();
            mark_in_use(&disk.process(), root).unwrap();
            disk.crash(survival);
            assert!(was_aborted(&disk, root).unwrap());
            mark_clean(&disk.process(), root).unwrap();
            disk.crash(survival);
            assert!(!was_aborted(&disk, root).unwrap());
        }
    }
}
