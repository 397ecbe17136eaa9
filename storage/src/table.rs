//! The JSON tables below `config/`: written so that a crash leaves the old text or the new one, and read with Java's
//! fall-back to `<file>.bak` (RocketMQ's `ConfigManager`).
//!
//! Writing: the old text goes to `<file>.bak`, the new one to `<file>`, each by way of `<file>.tmp`, fsync and rename;
//! then the directory is synced. Unlike in Java there is no moment without a `<file>`.
//!
//! A damaged `<file>` whose `.bak` is read instead is put away as `<file>.damaged`: the next write would otherwise make it
//! the `.bak`, and a crash within that write could leave nothing that is whole.

use std::fmt::Display;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

use crate::disk::{Disk, OpenMode, sync_directory};
use crate::error::{Result, StoreError};
use cuemq_net::dialect;

/// A longer table is refused, when it is read and when it is written.
pub(crate) const LONGEST_TABLE: u64 = dialect::MAX_BYTES as u64;

/// Replaces the table at `path`, making its directory when needed.
///
/// # Errors
/// When the text is too large to be read again, or the disk fails; the table then has its old text or, if it was the disk,
/// perhaps the new one.
pub fn write_table(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<()> {
    refuse_unreadable(path, bytes)?;
    let directory = path.parent().unwrap_or(path);
    disk.create_directory(directory)
        .map_err(|error| StoreError::io("make", directory, error))?;
    if let Some(old) = read_bytes(disk, path)? {
        replace(disk, path, &beside(path, ".bak"), &old)?;
    }
    replace(disk, path, path, bytes)?;
    sync_directory(disk, directory)
}

/// Reads the table at `table_path` by `parse`; when it is missing, empty or does not parse, its `.bak`. `None` when both
/// are missing or empty.
///
/// # Errors
/// When one of them does not parse and the other is of no help, or the disk fails.
pub fn read_table<T, E: Display>(
    disk: &dyn Disk,
    table_path: &Path,
    parse: impl Fn(&[u8]) -> std::result::Result<T, E>,
) -> Result<Option<T>> {
    let Some((table, damaged)) = find_table(disk, table_path, parse)? else {
        return Ok(None);
    };
    if let Some(damaged) = damaged {
        tracing::warn!(error = %damaged, table = %table_path.display(), "read the older table");
        put_away(disk, table_path)?;
    }
    Ok(Some(table))
}

/// As [`read_table`], for whoever does not own the table: nothing on the disk changes.
///
/// # Errors
/// As there.
pub(crate) fn look_up_table<T, E: Display>(
    disk: &dyn Disk,
    table_path: &Path,
    parse: impl Fn(&[u8]) -> std::result::Result<T, E>,
) -> Result<Option<T>> {
    let found = find_table(disk, table_path, parse)?;
    Ok(found.map(|(table, _)| table))
}

/// Reads a table or its `.bak`, and gives what is wrong with the former if it is the latter.
fn find_table<T, E: Display>(
    disk: &dyn Disk,
    table_path: &Path,
    parse: impl Fn(&[u8]) -> std::result::Result<T, E>,
) -> Result<Option<(T, Option<StoreError>)>> {
    let mut damaged = None;
    for path in [table_path.to_owned(), beside(table_path, ".bak")] {
        match read_bytes(disk, &path)?.map(|bytes| parse(&bytes)) {
            None => {}
            Some(Ok(table)) => return Ok(Some((table, damaged))),
            Some(Err(reason)) => damaged = damaged.or(Some(damage(path, &reason))),
        }
    }
    damaged.map_or(Ok(None), Err)
}

/// Writes `bytes` to a file beside `table`, syncs it and renames it to `target`. The rename itself is durable only when
/// the directory has been synced.
pub(crate) fn replace(disk: &dyn Disk, table: &Path, target: &Path, bytes: &[u8]) -> Result<()> {
    let path = beside(table, ".tmp");
    let file = disk
        .open(&path, OpenMode::Create)
        .map_err(|error| StoreError::io("make", &path, error))?;
    file.set_length(0)
        .map_err(|error| StoreError::io("empty", &path, error))?;
    file.write_at(&[IoSlice::new(bytes)], 0)
        .map_err(|error| StoreError::io("write", &path, error))?;
    file.sync_data().map_err(|error| StoreError::io("sync", &path, error))?;
    disk.rename(&path, target)
        .map_err(|error| StoreError::io("rename", &path, error))
}

/// The content of a file; `None` when it is missing or empty.
fn read_bytes(disk: &dyn Disk, path: &Path) -> Result<Option<Vec<u8>>> {
    match disk.read_whole(path, LONGEST_TABLE) {
        Ok(bytes) => Ok(Some(bytes).filter(|bytes| !bytes.is_empty())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io("read", path, error)),
    }
}

/// Refuses a text that the next start would refuse.
fn refuse_unreadable(path: &Path, bytes: &[u8]) -> Result<()> {
    // Each value takes a byte at least, so a text that is shorter than that keeps both limits.
    if bytes.len() <= dialect::MAX_VALUES {
        return Ok(());
    }
    dialect::parse(bytes).map(|_| ()).map_err(|error| {
        let reason = format!("the new table could not be read again ({error}); remove what it holds in excess");
        StoreError::Unsupported {
            path: path.to_owned(),
            reason,
        }
    })
}

/// Renames a damaged table, durably.
fn put_away(disk: &dyn Disk, path: &Path) -> Result<()> {
    disk.rename(path, &beside(path, ".damaged"))
        .map_err(|error| StoreError::io("rename", path, error))?;
    let directory = path.parent().unwrap_or(path);
    sync_directory(disk, directory)
}

fn damage(path: PathBuf, reason: &impl Display) -> StoreError {
    let reason = format!("{reason}; correct it, restore it from a backup, or remove it to start without it");
    StoreError::Damaged {
        path,
        position: 0,
        reason,
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::memory::{Fault, Operation, Survival};
    use crate::disk::{MemoryDisk, RealDisk};
    use crate::entropy::{Entropy, SeededEntropy};

    fn text(bytes: &[u8]) -> std::result::Result<String, String> {
        let text = String::from_utf8_lossy(bytes).into_owned();
        if text.starts_with('{') {
            Ok(text)
        } else {
            Err(format!("{text:?} is no JSON"))
        }
    }

    fn put(path: &Path, bytes: &[u8]) {
        replace(&RealDisk, path, path, bytes).unwrap();
    }

    #[test]
    fn the_text_before_is_kept_as_bak() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("config/topics.json");
        assert_eq!(read_table(&RealDisk, &path, text).unwrap(), None);
        for version in ["{1}", "{2}", "{3, longer}", "{4}"] {
            write_table(&RealDisk, &path, version.as_bytes()).unwrap();
            assert_eq!(read_table(&RealDisk, &path, text).unwrap().unwrap(), version);
        }
        assert_eq!(
            RealDisk.read_whole(&beside(&path, ".bak"), 100).unwrap(),
            b"{3, longer}"
        );
        assert_eq!(RealDisk.list(path.parent().unwrap()).unwrap().len(), 2, "no .tmp stays");
    }

    #[test]
    fn a_missing_empty_or_damaged_table_is_read_from_its_bak() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("offsets.json");
        put(&beside(&path, ".bak"), b"{old}");
        assert_eq!(read_table(&RealDisk, &path, text).unwrap().unwrap(), "{old}");
        for content in [b"".as_slice(), b"garbage"] {
            put(&path, content);
            assert_eq!(read_table(&RealDisk, &path, text).unwrap().unwrap(), "{old}");
        }
    }

    #[test]
    fn a_damaged_table_without_a_good_bak_names_the_file_and_the_next_step() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("offsets.json");
        put(&path, b"garbage");
        for bak in [None, Some(b"".as_slice()), Some(b"also garbage")] {
            if let Some(bak) = bak {
                put(&beside(&path, ".bak"), bak);
            }
            let error = read_table(&RealDisk, &path, text).unwrap_err().to_string();
            assert!(
                error.contains("offsets.json") && error.contains("\"garbage\"") && error.contains("restore"),
                "{error}"
            );
        }
        RealDisk.remove_file(&path).unwrap();
        assert!(
            read_table(&RealDisk, &path, text).is_err(),
            "a damaged bak alone is not passed over"
        );
    }

    #[test]
    fn a_crash_at_any_operation_leaves_the_old_table_or_the_new_one() {
        let path = Path::new("/store/config/topics.json");
        for seed in 0..200 {
            let disk = MemoryDisk::new(seed);
            let entropy = SeededEntropy::new(seed);
            let mut expected = None;
            for version in 0..12 {
                let new = format!("{{{version}{}}}", "x".repeat(entropy.below(1500) as usize));
                disk.crash_at(1 + entropy.below(14));
                let written = write_table(&disk.process(), path, new.as_bytes());
                disk.crash(Survival::Random(entropy.next_u64()));
                let found = read_table(&disk, path, text).unwrap();
                if written.is_ok() || found != expected {
                    assert_eq!(found.as_ref(), Some(&new), "seed {seed}, version {version}");
                }
                expected = found;
            }
        }
    }

    #[test]
    fn a_crash_in_the_write_behind_a_damaged_table_leaves_a_good_one() {
        let path = Path::new("/store/config/topics.json");
        for seed in 0..200 {
            let disk = MemoryDisk::new(seed);
            let entropy = SeededEntropy::new(seed);
            write_table(&disk, path, b"{older}").unwrap();
            write_table(&disk, path, b"{old}").unwrap();
            replace(&disk, path, path, b"garbage").unwrap();
            disk.sync_directory(path.parent().unwrap()).unwrap();
            disk.crash_at(1 + entropy.below(16));
            let process = disk.process();
            if read_table(&process, path, text).is_ok() {
                let _ = write_table(&process, path, b"{new}");
            }
            disk.crash(Survival::Random(entropy.next_u64()));
            let found = read_table(&disk, path, text).unwrap();
            assert!(
                matches!(found.as_deref(), Some("{older}" | "{new}")),
                "seed {seed}: {found:?}"
            );
        }
    }

    #[test]
    fn a_damaged_table_is_kept_for_whoever_wants_to_correct_it() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("topics.json");
        put(&path, b"edited by hand");
        put(&beside(&path, ".bak"), b"{old}");
        for expected in ["{old}", "{1}", "{2}"] {
            assert_eq!(read_table(&RealDisk, &path, text).unwrap().unwrap(), expected);
            let next = if expected == "{old}" { "{1}" } else { "{2}" };
            write_table(&RealDisk, &path, next.as_bytes()).unwrap();
        }
        assert_eq!(
            RealDisk.read_whole(&beside(&path, ".damaged"), 100).unwrap(),
            b"edited by hand"
        );
    }

    #[test]
    fn a_table_that_could_not_be_read_again_is_not_written() {
        let disk = MemoryDisk::new(1);
        let path = Path::new("/store/config/consumerOffset.json");
        write_table(&disk, path, b"{old}").unwrap();
        let many_values = format!("[{}0]", "0,".repeat(dialect::MAX_VALUES));
        let long = format!("\"{}\"", "x".repeat(dialect::MAX_BYTES));
        for refused in [many_values, long] {
            let error = write_table(&disk, path, refused.as_bytes()).unwrap_err();
            assert!(matches!(error, StoreError::Unsupported { .. }), "{error}");
            assert_eq!(read_table(&disk, path, text).unwrap().unwrap(), "{old}");
        }
    }

    #[test]
    fn a_full_disk_leaves_the_old_table() {
        let path = Path::new("/store/config/topics.json");
        for kept in 0..4 {
            let disk = MemoryDisk::new(1);
            write_table(&disk, path, b"{old}").unwrap();
            disk.inject(
                Fault::new(Operation::Write)
                    .after(kept % 2)
                    .kind(io::ErrorKind::StorageFull)
                    .partial(kept),
            );
            assert!(write_table(&disk, path, b"{new, longer}").is_err());
            assert_eq!(read_table(&disk, path, text).unwrap().unwrap(), "{old}");
        }
    }
}
