//! Which files of offsets the consumers of this process have. Two with one file would each undo the other's progress.
//!
//! A broadcasting consumer finds its file again after a restart by its client's name, and a client without one counts as
//! Java's `DEFAULT`. In Java two such consumers of a group share a client, which refuses the second; here every client is one
//! of its own, so that what they must not share is refused instead. Processes are not told apart, as in Java.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::LocalOffsetsError;

/// There is one file system for all clients of the process.
static FILES: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn files() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    // each change is one step, so a panic elsewhere leaves nothing half done
    FILES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file that is one consumer's until this is dropped.
#[derive(Debug)]
pub(super) struct InUse(PathBuf);

impl InUse {
    /// Takes a file, which need not be there yet.
    ///
    /// # Errors
    /// When another consumer has it.
    pub(super) fn take(path: &Path) -> Result<Self, LocalOffsetsError> {
        let path = path.to_owned();
        if files().insert(path.clone()) {
            Ok(Self(path))
        } else {
            Err(LocalOffsetsError::InUse { path })
        }
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        files().remove(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_owner_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("offsets.json");
        let first = InUse::take(&path).unwrap();
        assert!(matches!(InUse::take(&path), Err(LocalOffsetsError::InUse { .. })));
        let other = InUse::take(&directory.path().join("other.json")).unwrap();
        drop((first, other));
        InUse::take(&path).unwrap();
    }
}
