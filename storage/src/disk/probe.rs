//! The proof, at start, that a file system can carry the store.
//!
//! The store writes by pwrite and reads through mappings. Linux's own file systems keep the two coherent, but some
//! network, overlay and user-space ones do not, or cannot map a file shared at all. So it is tried, not assumed.

use std::io::{self, IoSlice};
use std::path::Path;

use super::{Disk, OpenMode};
use crate::error::{Result, StoreError};

const FILE_NAME: &str = "mapping-probe";
const LENGTH: u64 = 16_384;

/// Writes to a file in `directory` (which must exist) and reads through a mapping of it; removes the file again.
///
/// # Errors
/// [`StoreError::Unsupported`] where mappings do not show what is written, [`StoreError::Io`] where the file system
/// refuses something.
pub fn probe(disk: &dyn Disk, directory: &Path) -> Result<()> {
    let path = directory.join(FILE_NAME);
    let outcome = try_mapping(disk, &path);
    let removed = disk.remove_file(&path);
    if !outcome.map_err(|source| StoreError::io("map", &path, source))? {
        return Err(StoreError::Unsupported {
            path: directory.to_owned(),
            reason: "on this file system a mapped file does not show what is written to it; \
                     put the store on a local one (ext4, xfs, btrfs, tmpfs)"
                .to_owned(),
        });
    }
    removed.map_err(|source| StoreError::io("remove", &path, source))
}

/// Whether writes at every page, before and after the mapping is first read, are seen through it.
fn try_mapping(disk: &dyn Disk, path: &Path) -> io::Result<bool> {
    let file = disk.open(path, OpenMode::Create)?;
    file.allocate(0, LENGTH)?;
    let view = file.view(LENGTH)?;
    for round in 1..=3u8 {
        for position in (0..LENGTH).step_by(512) {
            file.write_at(&[IoSlice::new(&[round; 512])], position)?;
            if view.slice(position..position + 512) != Some([round; 512].as_slice()) {
                return Ok(false);
            }
        }
        file.sync_data()?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;

    #[test]
    fn a_local_file_system_passes_and_nothing_is_left() {
        let root = tempfile::tempdir().unwrap();
        probe(&RealDisk, root.path()).unwrap();
        assert_eq!(RealDisk.list(root.path()).unwrap(), []);
    }

    #[test]
    fn an_absent_directory_is_an_error_that_names_the_file() {
        let error = probe(&RealDisk, Path::new("/nonexistent")).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/mapping-probe"), "{error}");
    }
}
