//! Our note in `cuemq/log`: up to where the log, the consume queues and the index were on disk.
//!
//! It counts only while nobody else has written to the store since, which RocketMQ's checkpoint tells: it must say what we
//! wrote into it with the note. A crash can come between the two, so the note is written first and names both the
//! checkpoint that is there and the one that follows; either makes it count, and so does the one written over the other in
//! part.

use serde::{Deserialize, Serialize};

use super::StoreLayout;
use crate::checkpoint::{Checkpoint, CheckpointFile};
use crate::disk::{Disk, sync_directory};
use crate::error::Result;
use crate::position::PhysicalOffset;
use crate::snapshot::{self, Format};

const NOTE: Format = Format {
    kind: *b"LOG ",
    version: 1,
};

/// How far the store has come, to be noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The log is on disk up to here.
    pub durable: PhysicalOffset,
    /// The consume queues and the index hold, on disk, everything below.
    pub confirmed: PhysicalOffset,
    /// The units of all consume queues together, at a clean stop.
    pub queue_units: Option<u64>,
    /// The store time of the last record, in milliseconds since 1970.
    pub stored_ms: i64,
}

/// What the file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LogNote {
    /// Everything below is on disk.
    pub(super) durable: u64,
    /// The consume queues and the index hold, on disk, everything below.
    pub(super) confirmed: u64,
    /// The units of all consume queues together, from a clean stop until the next start has opened them: a queue that lost
    /// its files meanwhile is noticed.
    pub(super) queue_units: Option<u64>,
    /// The times of the checkpoint that goes with it.
    pub(super) checkpoint: [i64; 3],
    /// Whether another program wrote the store, and recovery has not yet made it ours.
    #[serde(default)]
    pub(super) foreign: bool,
    /// The times of the checkpoint that was there before.
    #[serde(default)]
    pub(super) former: Option<[i64; 3]>,
    /// A store time that the log has reached, in milliseconds since 1970.
    #[serde(default)]
    pub(super) stored_ms: i64,
}

impl LogNote {
    /// Reads it, and makes sure that it is on disk.
    pub(super) fn read(disk: &dyn Disk, layout: &StoreLayout) -> Result<Option<Self>> {
        let path = layout.note_path();
        let note = Self::look_up(disk, layout)?;
        // A process that was killed may have left its name in the page cache alone.
        if note.is_some()
            && let Some(directory) = path.parent()
        {
            sync_directory(disk, directory)?;
        }
        Ok(note)
    }

    /// Reads it, and nothing on the disk changes.
    pub(super) fn look_up(disk: &dyn Disk, layout: &StoreLayout) -> Result<Option<Self>> {
        snapshot::read(disk, &layout.note_path(), NOTE)
    }

    /// Writes it durably.
    pub(super) fn write(&self, disk: &dyn Disk, layout: &StoreLayout) -> Result<()> {
        snapshot::write(disk, &layout.note_path(), NOTE, self)
    }

    /// Whether nobody else has used the store since it was written: the checkpoint is the one that follows it, the one
    /// before, or the beginning of the one over the other.
    pub(super) fn counts_with(&self, checkpoint: Checkpoint) -> bool {
        let bytes = |times: [i64; 3]| times.map(i64::to_be_bytes);
        let (found, after) = (bytes(times_of(checkpoint)), bytes(self.checkpoint));
        let before = bytes(self.former.unwrap_or(self.checkpoint));
        let (found, after, before) = (found.as_flattened(), after.as_flattened(), before.as_flattened());
        let is_same = |(one, other): &(&u8, &u8)| one == other;
        let begun = found.iter().zip(after).take_while(is_same).count();
        let left = found.iter().rev().zip(before.iter().rev()).take_while(is_same).count();
        begun + left >= found.len()
    }
}

/// A checkpoint's times, as a note keeps them.
pub(super) fn times_of(checkpoint: Checkpoint) -> [i64; 3] {
    [
        checkpoint.commit_log_ms,
        checkpoint.consume_queue_ms,
        checkpoint.index_ms,
    ]
}

/// Notes how far the store has come, and writes RocketMQ's checkpoint that goes with it. A crash at any point leaves the
/// old progress or this one.
///
/// # Errors
/// When the note or the checkpoint cannot be written or synced.
pub fn note_progress(
    disk: &dyn Disk,
    layout: &StoreLayout,
    file: &mut CheckpointFile,
    checkpoint: Checkpoint,
    progress: Progress,
) -> Result<()> {
    let note = LogNote {
        durable: progress.durable.0,
        confirmed: progress.confirmed.0,
        queue_units: progress.queue_units,
        checkpoint: times_of(checkpoint),
        foreign: false,
        former: Some(times_of(file.read())),
        stored_ms: progress.stored_ms,
    };
    note.write(disk, layout)?;
    file.write(checkpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promise_3_a_note_counts_with_the_checkpoints_around_it_and_a_torn_one_and_with_no_other() {
        let (before, after) = ([1_700_000_000_100; 3], [1_700_000_900_200; 3]);
        let note = LogNote {
            durable: 9,
            confirmed: 9,
            queue_units: None,
            checkpoint: after,
            foreign: false,
            former: Some(before),
            stored_ms: 0,
        };
        let counts = |note: &LogNote, times: [i64; 3]| {
            note.counts_with(Checkpoint {
                commit_log_ms: times[0],
                consume_queue_ms: times[1],
                index_ms: times[2],
            })
        };
        assert!(counts(&note, before) && counts(&note, after));
        assert!(counts(&note, [after[0], after[1], before[2]]));
        assert!(
            !counts(&note, [before[0], after[1], after[2]]),
            "nothing is written backwards"
        );
        assert!(!counts(&note, [after[0] + 1; 3]));
        let alone = LogNote { former: None, ..note };
        assert!(counts(&alone, after) && !counts(&alone, before));
    }
}
