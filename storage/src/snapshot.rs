//! Files that are CueMQ's alone, below `<root>/cuemq/`: one value in MessagePack behind a header.
//!
//! | bytes | what |
//! |---|---|
//! | 0–3 | `CUEM` |
//! | 4–7 | what the file holds, four ASCII letters |
//! | 8–9 | format version |
//! | 10–13 | length of the value |
//! | 14–17 | CRC-32 of bytes 4–13 and the value |
//! | 18– | the value |
//!
//! Big-endian. A file is replaced as a whole, so a crash leaves the old value or the new one. Members are stored in their
//! order: a newer version appends members with `#[serde(default)]` and reads the older ones.

#![deny(clippy::indexing_slicing)]

use std::io;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::disk::{Disk, sync_directory};
use crate::error::{Result, StoreError};
use crate::table;

const MAGIC: [u8; 4] = *b"CUEM";
const HEADER_BYTES: usize = 18;
/// A longer file is neither written nor read.
pub const LONGEST_SNAPSHOT: u64 = 1024 * 1024 * 1024;

/// What a snapshot holds, and the newest version of its format that this program knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// Four ASCII letters.
    pub kind: [u8; 4],
    /// The version that is written; older ones are read, too.
    pub version: u16,
}

/// Replaces the snapshot at `path`, making its directory when needed.
///
/// # Errors
/// When the value is too long or cannot be written as MessagePack, or the disk fails; the old value then stays or the
/// new one is there.
pub fn write<T: Serialize>(disk: &dyn Disk, path: &Path, format: Format, value: &T) -> Result<()> {
    let directory = path.parent().unwrap_or(path);
    let value = rmp_serde::to_vec(value).map_err(|error| StoreError::io("encode", path, io::Error::other(error)))?;
    let length = u32::try_from(value.len())
        .ok()
        .filter(|&length| u64::from(length) + HEADER_BYTES as u64 <= LONGEST_SNAPSHOT);
    let length = length.ok_or_else(|| {
        let reason = format!(
            "its {} bytes are more than the {LONGEST_SNAPSHOT} that are read again",
            value.len()
        );
        StoreError::Unsupported {
            path: path.to_owned(),
            reason,
        }
    })?;
    let mut bytes = Vec::with_capacity(HEADER_BYTES + value.len());
    bytes.extend_from_slice(&MAGIC);
    let head = head(format.kind, format.version, length);
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(&checksum(&head, &value).to_be_bytes());
    bytes.extend_from_slice(&value);
    disk.create_directory(directory)
        .map_err(|error| StoreError::io("make", directory, error))?;
    table::replace(disk, path, path, &bytes)?;
    sync_directory(disk, directory)
}

/// Reads the snapshot at `path`; `None` when there is none.
///
/// # Errors
/// [`StoreError::NewerVersion`] for one of a newer version, [`StoreError::Damaged`] for what is no such snapshot.
pub fn read<T: DeserializeOwned>(disk: &dyn Disk, path: &Path, format: Format) -> Result<Option<T>> {
    let bytes = match disk.read_whole(path, LONGEST_SNAPSHOT) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io("read", path, error)),
    };
    let damaged = |position: usize, reason: String| {
        let reason = format!("{reason}; restore it from a backup, or remove it to start without what it holds");
        StoreError::Damaged {
            path: path.to_owned(),
            position: position as u64,
            reason,
        }
    };
    let parts = bytes.split_first_chunk::<4>().and_then(|(magic, rest)| {
        let (head, rest) = rest.split_first_chunk::<10>()?;
        let (found, value) = rest.split_first_chunk::<4>()?;
        (*magic == MAGIC).then_some((head, u32::from_be_bytes(*found), value))
    });
    let Some((head, found, value)) = parts else {
        return Err(damaged(0, String::from("it does not begin as a snapshot does")));
    };
    let expected = checksum(head, value);
    let [k0, k1, k2, k3, v0, v1, length @ ..] = *head;
    if expected != found || u32::from_be_bytes(length) as usize != value.len() {
        return Err(damaged(
            14,
            format!("its checksum is {found:08x} and should be {expected:08x}"),
        ));
    }
    let kind = [k0, k1, k2, k3];
    if kind != format.kind {
        let (kind, wanted) = (kind.escape_ascii().to_string(), format.kind.escape_ascii().to_string());
        return Err(damaged(4, format!("it holds {kind} and not {wanted}")));
    }
    let version = u16::from_be_bytes([v0, v1]);
    if version > format.version {
        return Err(StoreError::NewerVersion {
            path: path.to_owned(),
            found: version,
            known: format.version,
        });
    }
    rmp_serde::from_slice(value)
        .map(Some)
        .map_err(|error| damaged(HEADER_BYTES, error.to_string()))
}

/// The part of the header that the checksum covers.
fn head(kind: [u8; 4], version: u16, length: u32) -> [u8; 10] {
    let [k0, k1, k2, k3] = kind;
    let [v0, v1] = version.to_be_bytes();
    let [l0, l1, l2, l3] = length.to_be_bytes();
    [k0, k1, k2, k3, v0, v1, l0, l1, l2, l3]
}

fn checksum(head: &[u8; 10], value: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head);
    hasher.update(value);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::memory::Survival;
    use crate::disk::{MemoryDisk, RealDisk};
    use crate::entropy::{Entropy, SeededEntropy};
    use proptest::prelude::*;
    use serde::Deserialize;

    const FORMAT: Format = Format {
        kind: *b"LOCK",
        version: 2,
    };

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Old {
        name: String,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct New {
        name: String,
        #[serde(default)]
        count: u64,
    }

    #[test]
    fn what_was_written_is_read_and_an_older_version_too() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("cuemq/locks");
        assert_eq!(read::<New>(&RealDisk, &path, FORMAT).unwrap(), None);
        let new = New {
            name: String::from("a"),
            count: 7,
        };
        write(&RealDisk, &path, FORMAT, &new).unwrap();
        assert_eq!(read::<New>(&RealDisk, &path, FORMAT).unwrap(), Some(new));
        write(
            &RealDisk,
            &path,
            Format { version: 1, ..FORMAT },
            &Old {
                name: String::from("b"),
            },
        )
        .unwrap();
        assert_eq!(
            read::<New>(&RealDisk, &path, FORMAT).unwrap().unwrap(),
            New {
                name: String::from("b"),
                count: 0
            }
        );
    }

    #[test]
    fn a_newer_version_and_another_kind_are_told_apart_from_damage() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("locks");
        write(&RealDisk, &path, Format { version: 3, ..FORMAT }, &5).unwrap();
        let newer = read::<u32>(&RealDisk, &path, FORMAT).unwrap_err();
        assert!(
            matches!(newer, StoreError::NewerVersion { found: 3, known: 2, .. }),
            "{newer}"
        );
        write(
            &RealDisk,
            &path,
            Format {
                kind: *b"TIME",
                ..FORMAT
            },
            &5,
        )
        .unwrap();
        let other = read::<u32>(&RealDisk, &path, FORMAT).unwrap_err().to_string();
        assert!(other.contains("it holds TIME and not LOCK"), "{other}");
        write(&RealDisk, &path, FORMAT, &"text").unwrap();
        assert!(matches!(
            read::<u32>(&RealDisk, &path, FORMAT),
            Err(StoreError::Damaged { position: 18, .. })
        ));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_changed_or_missing_byte_is_noticed(value: Vec<u32>, at: prop::sample::Index, flip in 1u8.., cut: bool) {
            let root = tempfile::tempdir().unwrap();
            let path = root.path().join("snapshot");
            write(&RealDisk, &path, FORMAT, &value).unwrap();
            let mut bytes = RealDisk.read_whole(&path, 10_000).unwrap();
            let at = at.index(bytes.len());
            if cut { bytes.truncate(at) } else { *bytes.get_mut(at).unwrap() ^= flip }
            table::replace(&RealDisk, &path, &path, &bytes).unwrap();
            let error = read::<Vec<u32>>(&RealDisk, &path, FORMAT).unwrap_err();
            let is_damaged = matches!(error, StoreError::Damaged { .. });
            prop_assert!(is_damaged, "{}", error);
        }
    }

    #[test]
    fn a_crash_at_any_operation_leaves_the_old_value_or_the_new_one() {
        let path = Path::new("/store/cuemq/locks");
        for seed in 0..200 {
            let disk = MemoryDisk::new(seed);
            let entropy = SeededEntropy::new(seed);
            let mut expected = None;
            for version in 0..12 {
                let new = vec![version; entropy.below(700) as usize];
                disk.crash_at(1 + entropy.below(9));
                let written = write(&disk.process(), path, FORMAT, &new);
                disk.crash(Survival::Random(entropy.next_u64()));
                let found = read::<Vec<u32>>(&disk, path, FORMAT).unwrap();
                if written.is_ok() || found != expected {
                    assert_eq!(found.as_ref(), Some(&new), "seed {seed}, version {version}");
                }
                expected = found;
            }
        }
    }
}
