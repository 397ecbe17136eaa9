//! Calls on a directory or a whole file whose errors name it.

use std::path::Path;

use super::{Disk, Entry, OpenMode};
use crate::error::{Result, StoreError};

/// How much of a file is read at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// The entries of a directory, as [`Disk::list`] gives them.
pub(crate) fn list(disk: &dyn Disk, directory: &Path) -> Result<Vec<Entry>> {
    disk.list(directory)
        .map_err(|error| StoreError::io("list", directory, error))
}

/// Makes creations, renames and removals in a directory durable.
pub(crate) fn sync_directory(disk: &dyn Disk, directory: &Path) -> Result<()> {
    disk.sync_directory(directory)
        .map_err(|error| StoreError::io("sync", directory, error))
}

/// As [`Disk::sync_file_system`].
pub(crate) fn sync_file_system(disk: &dyn Disk, directory: &Path) -> Result<bool> {
    disk.sync_file_system(directory)
        .map_err(|error| StoreError::io("sync", directory, error))
}

/// Whether there is nothing but zeros in a file.
pub(crate) fn holds_only_zeros(disk: &dyn Disk, path: &Path) -> Result<bool> {
    let io = |operation| move |error| StoreError::io(operation, path, error);
    let file = disk.open(path, OpenMode::Read).map_err(io("open"))?;
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut at = 0;
    loop {
        let read = file.read_at(&mut buffer, at).map_err(io("read"))?;
        if buffer.iter().take(read).any(|byte| *byte != 0) {
            return Ok(false);
        }
        if read < buffer.len() {
            return Ok(true);
        }
        at += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use super::*;
    use crate::disk::MemoryDisk;

    #[test]
    fn one_byte_anywhere_is_found_and_a_file_of_zeros_has_none() {
        let (disk, path) = (MemoryDisk::new(1), Path::new("/file"));
        let file = disk.open(path, OpenMode::CreateNew).unwrap();
        assert!(holds_only_zeros(&disk, path).unwrap());
        let length = 2 * CHUNK_BYTES as u64 + 5;
        for at in [0, CHUNK_BYTES as u64, length - 1] {
            file.set_length(0).unwrap();
            file.set_length(length).unwrap();
            assert!(holds_only_zeros(&disk, path).unwrap());
            file.write_at(&[IoSlice::new(&[1])], at).unwrap();
            assert!(!holds_only_zeros(&disk, path).unwrap(), "{at}");
        }
    }
}
