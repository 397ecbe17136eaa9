//! `cuemq/timers-passed`: up to which time everything is delivered. An index that is made anew would not know it, and what was
//! delivered and is still in the log would be delivered again.

use std::path::{Path, PathBuf};

use cuemq_storage::StoreError;
use cuemq_storage::disk::Disk;
use cuemq_storage::position::{PhysicalOffset, QueueOffset};
use cuemq_storage::snapshot::{self, Format};
use cuemq_storage::timer::JAVA_PLACE_MS;

use super::entry::Key;
use super::index::Indexed;

const FORMAT: Format = Format {
    kind: *b"TIMP",
    version: 1,
};

/// What is delivered for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// What was due up to then, in milliseconds since 1970,
    pub ms: u64,
    /// and stands in the queue in front of this.
    pub read: Indexed,
}

impl Passed {
    /// Whether it covers this one.
    #[must_use]
    pub fn covers(&self, key: Key) -> bool {
        // One that recalls others may mean one that is due a little later.
        let over_ms = if key.recalls() { JAVA_PLACE_MS } else { 0 };
        key.queue_offset() < self.read.upto.0 && key.at_ms().saturating_add(over_ms) <= self.ms
    }

    /// Reads the note; without one nothing is known to be delivered.
    #[must_use]
    pub fn read(disk: &dyn Disk, root: &Path) -> Self {
        match snapshot::read(disk, &path(root), FORMAT) {
            Ok(found) => found.map_or_else(Self::default, |(ms, upto, last)| Self {
                ms,
                read: Indexed {
                    upto: QueueOffset(upto),
                    last: PhysicalOffset(last),
                },
            }),
            Err(error) => {
                tracing::warn!(%error, "it is not known any more which messages were delivered at their time");
                Self::default()
            }
        }
    }

    /// Writes the note.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(self, disk: &dyn Disk, root: &Path) -> Result<(), StoreError> {
        let told = (self.ms, self.read.upto.0, self.read.last.0);
        snapshot::write(disk, &path(root), FORMAT, &told)
    }
}

fn path(root: &Path) -> PathBuf {
    root.join("cuemq").join("timers-passed")
}

#[cfg(test)]
mod tests {
    use cuemq_storage::disk::MemoryDisk;
    use cuemq_storage::timer::Due;

    use super::*;

    #[test]
    fn what_was_due_and_read_is_covered_and_recalls_a_little_longer() {
        let (disk, root) = (MemoryDisk::new(1), Path::new("/store"));
        assert_eq!(Passed::read(&disk, root), Passed::default());
        let passed = Passed {
            ms: 5_000,
            read: Indexed {
                upto: QueueOffset(7),
                last: PhysicalOffset(600),
            },
        };
        passed.write(&disk, root).unwrap();
        assert_eq!(Passed::read(&disk, root), passed);
        let covers =
            |at_ms, recalls, queue_offset| passed.covers(Key::new(Due { at_ms, recalls }, QueueOffset(queue_offset)));
        assert!(covers(5_000, false, 6) && !covers(5_001, false, 6) && !covers(5_000, false, 7));
        assert!(covers(4_000, true, 6) && !covers(4_001, true, 6));
    }
}
