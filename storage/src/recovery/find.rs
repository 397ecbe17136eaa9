//! Finds the commit log's files, and puts away what a crash left of one that was being made.

use super::scan::FoundLog;
use super::{DEFAULT_SEGMENT_BYTES, StoreLayout};
use crate::disk::{Disk, Entry, holds_only_zeros, list, sync_directory};
use crate::error::{Result, StoreError};
use crate::segment::parse_file_name;

/// What lies in the log's directory.
pub(super) struct Listing {
    /// The files, but for one that was still being made.
    pub(super) found: FoundLog,
    /// Likewise, with their entries.
    files: Vec<(u64, Entry)>,
    /// The one that was still being made: it holds nothing.
    pub(super) unfinished: Option<Entry>,
}

impl Listing {
    /// Fails unless all files have one length and follow one another.
    pub(super) fn check(&self) -> Result<()> {
        check(&self.found, &self.files)
    }
}

/// The files of the log: all of one length, without gaps.
pub(super) fn log(disk: &dyn Disk, layout: &StoreLayout) -> Result<FoundLog> {
    let listing = list_log(disk, layout)?;
    if let Some(entry) = &listing.unfinished {
        let path = listing.found.directory.join(&entry.name);
        tracing::warn!(file = %path.display(), length = entry.length, "a file that was still being made; removed");
        disk.remove_file(&path)
            .map_err(|error| StoreError::io("remove", &path, error))?;
        sync_directory(disk, &listing.found.directory)?;
    }
    listing.check()?;
    Ok(listing.found)
}

/// Lists the files of the log; nothing on the disk changes.
pub(super) fn list_log(disk: &dyn Disk, layout: &StoreLayout) -> Result<Listing> {
    let directory = layout.commit_log.clone();
    let mut files = Vec::new();
    for entry in list(disk, &directory)? {
        match parse_file_name(&entry.name) {
            Some(start) if !entry.is_directory => files.push((start, entry)),
            _ => tracing::warn!(file = %directory.join(&entry.name).display(), "not a commit log file; left alone"),
        }
    }
    let first_length = files
        .first()
        .map(|(_, entry)| entry.length)
        .filter(|length| *length > 0);
    let expected = layout.segment_bytes.or(first_length).unwrap_or(DEFAULT_SEGMENT_BYTES);
    // A file gets its length before its first record. The very first one, without a record, may have any length yet: it does not say what files are like here.
    let says_nothing = match files.as_slice() {
        [(0, first)] if layout.segment_bytes.is_none() && first.length != DEFAULT_SEGMENT_BYTES => {
            holds_only_zeros(disk, &directory.join(&first.name))?
        }
        _ => false,
    };
    let expected = if says_nothing { DEFAULT_SEGMENT_BYTES } else { expected };
    let mut unfinished = None;
    if let Some((_, last)) = files.last()
        && (says_nothing || last.length < expected && holds_only_zeros(disk, &directory.join(&last.name))?)
    {
        unfinished = files.pop().map(|(_, entry)| entry);
    }
    let found = FoundLog {
        directory,
        segment_bytes: expected,
        starts: files.iter().map(|(start, _)| *start).collect(),
    };
    Ok(Listing {
        found,
        files,
        unfinished,
    })
}

fn check(found: &FoundLog, files: &[(u64, Entry)]) -> Result<()> {
    let segment_bytes = found.segment_bytes;
    if let Some((_, entry)) = files.iter().find(|(_, entry)| entry.length != segment_bytes) {
        return Err(StoreError::SizeMismatch {
            path: found.directory.join(&entry.name),
            found: entry.length,
            configured: segment_bytes,
            key: "mappedFileSizeCommitLog",
        });
    }
    if let Some([first, second]) = found.starts.windows(2).find(|pair| !follow(pair, segment_bytes)) {
        return Err(StoreError::Damaged {
            path: found.directory.clone(),
            position: first + segment_bytes,
            reason: format!("the next file begins at {second}; restore what is missing, or move the older files away"),
        });
    }
    if segment_bytes == 0 || found.starts.iter().any(|start| start % segment_bytes != 0) {
        return Err(StoreError::Unsupported {
            path: found.directory.clone(),
            reason: format!("a file's name is no multiple of the file length {segment_bytes}"),
        });
    }
    Ok(())
}

fn follow(pair: &[u64], segment_bytes: u64) -> bool {
    matches!(pair, [first, second] if first.checked_add(segment_bytes) == Some(*second))
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;
    use std::path::Path;

    use super::*;
    use crate::disk::{MemoryDisk, OpenMode};
    use crate::segment::file_name;

    fn found(start: u64, bytes: &[u8]) -> (MemoryDisk, FoundLog) {
        let disk = MemoryDisk::new(1);
        let layout = StoreLayout::at(Path::new("/store"));
        disk.create_directory(&layout.commit_log).unwrap();
        let path = layout.commit_log.join(file_name(start));
        let file = disk.open(&path, OpenMode::CreateNew).unwrap();
        file.write_at(&[IoSlice::new(bytes)], 0).unwrap();
        let found = log(&disk, &layout).unwrap();
        (disk, found)
    }

    #[test]
    fn promise_3_a_first_file_that_was_still_being_made_does_not_say_how_long_files_are() {
        let (disk, log) = found(0, &[0; 4096]);
        assert_eq!((log.segment_bytes, log.starts.len()), (DEFAULT_SEGMENT_BYTES, 0));
        assert!(disk.list(&log.directory).unwrap().is_empty());
    }

    #[test]
    fn a_lone_file_with_records_says_how_long_files_are() {
        let mut bytes = [0; 4096];
        bytes[4000] = 1;
        assert_eq!(found(0, &bytes).1.segment_bytes, 4096);
    }

    #[test]
    fn promise_5_a_lone_file_that_would_end_behind_all_positions_is_left_alone() {
        let disk = MemoryDisk::new(1);
        let layout = StoreLayout::at(Path::new("/store"));
        disk.create_directory(&layout.commit_log).unwrap();
        let path = layout.commit_log.join("18446744073709547520");
        let file = disk.open(&path, OpenMode::CreateNew).unwrap();
        file.write_at(&[IoSlice::new(&[1; 4096])], 0).unwrap();
        assert_eq!(log(&disk, &layout).unwrap().end(), 0);
        assert!(disk.exists(&path).unwrap());
    }

    #[test]
    fn a_lone_file_behind_others_that_were_deleted_keeps_the_place_where_the_log_goes_on() {
        let (_, log) = found(8192, &[0; 4096]);
        assert_eq!((log.segment_bytes, log.starts), (4096, vec![8192]));
    }
}
