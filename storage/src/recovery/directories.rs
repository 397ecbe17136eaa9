//! Makes the names of directories durable that a process which was killed may have left in the page cache alone.
//!
//! Whoever makes a directory syncs the one that holds it; but one that was killed in between leaves a directory that is
//! there, and that nobody syncs any more. A loss of power would take it with all that was synced in it since.

use std::io::ErrorKind;
use std::path::Path;

use super::StoreLayout;
use crate::consume_queue::{EXTENSION_FOLDER, FOLDER};
use crate::disk::{Disk, list, parent_of, sync_directory, sync_file_system};
use crate::error::{Result, StoreError};

/// Syncs the directories that hold directories: those above the store's and the log's, the store's own, and after a crash
/// those of all topics.
pub(super) fn sync(disk: &dyn Disk, layout: &StoreLayout, aborted: bool) -> Result<()> {
    sync_directory(disk, &layout.root)?;
    for above in [parent_of(&layout.root), parent_of(&layout.commit_log)] {
        if above != layout.root {
            sync_above(disk, above)?;
        }
    }
    if aborted {
        for folder in [FOLDER, EXTENSION_FOLDER] {
            sync_topics(disk, &layout.root.join(folder))?;
        }
    }
    Ok(())
}

/// Who may not read a directory cannot sync it, and has made nothing in it: its names are somebody else's.
fn sync_above(disk: &dyn Disk, directory: &Path) -> Result<()> {
    match disk.sync_directory(directory) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let directory = directory.display();
            tracing::warn!(%directory, %error, "a directory above the store cannot be synced; make sure that it lasts");
            Ok(())
        }
        synced => synced.map_err(|error| StoreError::io("sync", directory, error)),
    }
}

fn sync_topics(disk: &dyn Disk, topics: &Path) -> Result<()> {
    if sync_file_system(disk, topics)? {
        return Ok(());
    }
    let entries = list(disk, topics)?;
    if !entries.is_empty() {
        sync_directory(disk, topics)?;
    }
    for topic in entries.into_iter().filter(|entry| entry.is_directory) {
        sync_directory(disk, &topics.join(topic.name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::disk::memory::{Fault, Operation};
    use crate::disk::{MemoryDisk, RealDisk};
    use crate::interrupt::Interrupt;
    use crate::recovery;

    #[test]
    fn promise_3_a_start_makes_directories_durable_whose_maker_may_have_been_killed() {
        for aborted in [false, true] {
            let disk = MemoryDisk::new(1);
            let mut layout = StoreLayout::at(Path::new("/store"));
            layout.commit_log = PathBuf::from("/fast/commitlog");
            let queues = ["/store/consumequeue/A/0", "/store/consumequeue_ext/B/1"];
            for directory in queues.map(Path::new).iter().chain([&layout.commit_log.as_path()]) {
                disk.create_directory(directory).unwrap();
            }
            let shared: Arc<dyn Disk> = Arc::new(disk.clone());
            recovery::open(&shared, &layout, aborted, Checkpoint::default(), &Interrupt::default()).unwrap();
            let steps = disk.trace();
            let is_synced = |path: &str| {
                let mut steps = steps.iter();
                steps.any(|step| step.operation == Operation::SyncDirectory && *step.path == *Path::new(path))
            };
            assert!(is_synced("/") && is_synced("/store") && is_synced("/fast"));
            for above in [
                "consumequeue",
                "consumequeue/A",
                "consumequeue_ext",
                "consumequeue_ext/B",
            ] {
                assert_eq!(is_synced(&format!("/store/{above}")), aborted, "{above}");
            }
        }
    }

    /// Starts a store whose log lies elsewhere, while syncs of one directory fail so.
    fn start_without(directory: &str, kind: ErrorKind) -> Result<()> {
        let disk = MemoryDisk::new(1);
        let mut layout = StoreLayout::at(Path::new("store"));
        layout.commit_log = PathBuf::from("/fast/commitlog");
        for made in [&layout.root, &layout.commit_log] {
            disk.create_directory(made).unwrap();
        }
        let fault = disk.inject(Fault::new(Operation::SyncDirectory).on(directory).kind(kind));
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let opened = recovery::open(&shared, &layout, false, Checkpoint::default(), &Interrupt::default());
        assert_eq!(disk.fired(fault), 1, "{directory}");
        opened.map(|_| ())
    }

    #[test]
    fn a_start_passes_a_directory_above_the_store_or_the_log_that_it_may_not_read() {
        for above in [".", "/fast"] {
            start_without(above, ErrorKind::PermissionDenied).unwrap();
        }
    }

    #[test]
    fn a_start_is_refused_where_a_directory_above_fails_otherwise_or_the_store_s_own_may_not_be_read() {
        for (directory, kind) in [
            (".", ErrorKind::Other),
            ("/fast", ErrorKind::Other),
            ("store", ErrorKind::PermissionDenied),
        ] {
            let error = start_without(directory, kind).unwrap_err().to_string();
            assert!(error.contains(directory), "{error}");
        }
    }

    #[test]
    fn a_log_in_the_directory_that_the_process_runs_in_can_be_synced() {
        let mut layout = StoreLayout::at(Path::new("."));
        layout.commit_log = PathBuf::from("log");
        sync(&RealDisk, &layout, false).unwrap();
    }
}
