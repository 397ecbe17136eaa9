//! Topics that were deleted, each with a position in the log: its records in front of that are in no consume queue any more.
//!
//! The messages of a deleted topic stay in the log until their file goes, and a topic that is made again under the name has
//! its messages numbered from 0. Whoever feeds consume queues from the log has to know which records are the older topic's.
//! RocketMQ keeps no such note: after a crash it brings some of a deleted topic's messages back.
//!
//! `<root>/cuemq/deleted` holds them, a map of topics to positions. It is on disk before the first file of a queue goes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::disk::Disk;
use crate::error::Result;
use crate::position::PhysicalOffset;
use crate::snapshot::{self, Format};

const FORMAT: Format = Format {
    kind: *b"DELE",
    version: 1,
};

/// The deleted topics of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deletions {
    upto: BTreeMap<String, u64>,
}

impl Deletions {
    /// Reads the note; there are none where it is missing.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub fn read(disk: &dyn Disk, root: &Path) -> Result<Self> {
        let upto = snapshot::read(disk, &path(root), FORMAT)?.unwrap_or_default();
        Ok(Self { upto })
    }

    /// Notes durably that the records of `topics` in front of `upto` count no more. What lies in front of `minimum`, the
    /// log's beginning, needs no note.
    ///
    /// # Errors
    /// When the note cannot be read or written.
    pub fn add(
        disk: &dyn Disk,
        root: &Path,
        topics: &[&str],
        upto: PhysicalOffset,
        minimum: PhysicalOffset,
    ) -> Result<()> {
        let mut deletions = Self::read(disk, root)?;
        deletions.upto.retain(|_, upto| *upto > minimum.0);
        for topic in topics {
            deletions.upto.insert((*topic).to_owned(), upto.0);
        }
        snapshot::write(disk, &path(root), FORMAT, &deletions.upto)
    }

    /// Lets no deletion reach behind `log_end`: a crash may have taken what was there, and what comes in its place counts.
    ///
    /// # Errors
    /// When the note cannot be read or written.
    pub(crate) fn cut(disk: &dyn Disk, root: &Path, log_end: PhysicalOffset) -> Result<()> {
        let mut deletions = Self::read(disk, root)?;
        let mut behind = deletions.upto.values_mut().filter(|upto| **upto > log_end.0).peekable();
        if behind.peek().is_none() {
            return Ok(());
        }
        behind.for_each(|upto| *upto = log_end.0);
        snapshot::write(disk, &path(root), FORMAT, &deletions.upto)
    }

    /// Where the records of a topic that was deleted end.
    #[must_use]
    pub fn end_of(&self, topic: &str) -> Option<PhysicalOffset> {
        self.upto.get(topic).copied().map(PhysicalOffset)
    }

    /// Whether the record of a topic that begins at `position` was deleted with it.
    #[must_use]
    pub fn cover(&self, topic: &str, position: PhysicalOffset) -> bool {
        self.end_of(topic).is_some_and(|end| position < end)
    }
}

fn path(root: &Path) -> PathBuf {
    root.join("cuemq").join("deleted")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemoryDisk;

    const ROOT: &str = "/store";

    fn add(disk: &MemoryDisk, topic: &str, upto: u64, minimum: u64) {
        let (upto, minimum) = (PhysicalOffset(upto), PhysicalOffset(minimum));
        Deletions::add(disk, Path::new(ROOT), &[topic], upto, minimum).unwrap();
    }

    #[test]
    fn the_records_in_front_of_a_deletion_are_covered_and_those_behind_it_are_not() {
        let disk = MemoryDisk::new(1);
        assert_eq!(Deletions::read(&disk, Path::new(ROOT)).unwrap(), Deletions::default());
        add(&disk, "T", 100, 0);
        add(&disk, "U", 200, 0);
        let deletions = Deletions::read(&disk, Path::new(ROOT)).unwrap();
        assert!(deletions.cover("T", PhysicalOffset(99)) && !deletions.cover("T", PhysicalOffset(100)));
        assert!(deletions.cover("U", PhysicalOffset(199)) && !deletions.cover("V", PhysicalOffset(0)));
    }

    #[test]
    fn what_the_log_has_no_more_is_forgotten_and_a_later_deletion_counts() {
        let disk = MemoryDisk::new(1);
        add(&disk, "T", 100, 0);
        add(&disk, "U", 200, 0);
        add(&disk, "U", 300, 100);
        let deletions = Deletions::read(&disk, Path::new(ROOT)).unwrap();
        assert_eq!(deletions.end_of("T"), None);
        assert_eq!(deletions.end_of("U"), Some(PhysicalOffset(300)));
    }
}
