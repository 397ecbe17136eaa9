//! Another broker was killed on a store with an index: its older keys are found again, and log and queues are believed up
//! to where its checkpoint says that they were on disk.

use std::path::Path;

use super::crash_test::at_each_change_of_a_start;
use super::damage_test::{BODY_AT, log_bytes};
use super::promise_test::overwrite;
use super::world::{World, layout};
use crate::checkpoint::{Checkpoint, CheckpointFile};
use crate::disk::Disk;
use crate::disk::memory::Operation;
use crate::log_state::{Acknowledge, FlushMode};
use crate::marker;

const MESSAGES: u32 = 60;
/// Log and queues were on disk when this message was stored; it lies in the log's fourth file.
const NOTED: u32 = 40;

/// A killed store whose checkpoint knows the index up to message `indexed`, if any.
fn killed(seed: u64, indexed: Option<u32>) -> World {
    let mut world = World::new(seed, FlushMode::Sync);
    let mut open = world.open().unwrap();
    let mut times = Checkpoint::default();
    for number in 0..MESSAGES {
        let batch = world.batch(number % 3, 1, 50, false);
        world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
        let now_ms = i64::try_from(world.now_ms).unwrap();
        if number == NOTED {
            (times.commit_log_ms, times.consume_queue_ms) = (now_ms + 3000, now_ms + 3000);
        }
        if Some(number) == indexed {
            times.index_ms = now_ms;
        }
    }
    open.close(world.now_ms).unwrap();
    world.disk.kill();
    world.disk.remove_file(&layout().root.join("cuemq/log")).unwrap();
    world.disk.sync_directory(&layout().root.join("cuemq")).unwrap();
    let mut checkpoint = CheckpointFile::open(&world.disk, &layout().root).unwrap();
    checkpoint.write(times).unwrap();
    marker::mark_in_use(&world.disk, &layout().root).unwrap();
    world
}

fn lose_the_index(world: &World) {
    let directory = layout().root.join("index");
    for file in world.disk.list(&directory).unwrap() {
        world.disk.remove_file(&directory.join(file.name)).unwrap();
    }
    world.disk.sync_directory(&directory).unwrap();
}

/// Where the file begins that holds the last message noted.
fn noted(world: &World) -> u64 {
    let position = world.told[&NOTED].physical_offset;
    position - position % layout().segment_bytes.unwrap()
}

#[test]
fn lost_keys_are_read_again_and_nothing_that_the_checkpoint_knows_is_written_again() {
    let mut world = killed(90, None);
    lose_the_index(&world);
    let begun = world.disk.trace().last().map_or(0, |step| step.number);
    let believed = noted(&world);
    let mut open = world.open().unwrap();
    world.check(&mut open);
    assert_eq!(open.report.from.0, believed);
    let known = world
        .told
        .values()
        .filter(|told| told.physical_offset < believed)
        .count();
    assert_eq!(open.report.cut_units, u64::from(MESSAGES) - known as u64);
    let is_old_file = |path: &Path| {
        let start = path.file_name().and_then(|name| name.to_str()?.parse::<u64>().ok());
        path.starts_with(layout().commit_log) && start.is_some_and(|start| start < believed)
    };
    let is_change = |operation| !matches!(operation, Operation::Open | Operation::Read | Operation::View);
    let mut since = world.disk.trace().into_iter().filter(|step| step.number > begun);
    let written = since.find(|step| is_change(step.operation) && is_old_file(&step.path));
    assert!(written.is_none(), "{written:?}");
}

#[test]
fn keys_are_read_from_the_last_record_on_that_the_checkpoint_knows_in_the_index() {
    let mut world = killed(91, Some(35));
    // What was read of the files in front of it would not be found again.
    for number in 0..25 {
        overwrite(&world, world.told[&number].physical_offset + 4, &[0xFF]);
    }
    let mut open = world.open().unwrap();
    for (number, told) in &world.told {
        assert_eq!(open.keys_of(*number, told), 1, "key of {number}");
    }
}

#[test]
fn damage_in_front_of_the_start_costs_keys_and_cuts_nothing() {
    let mut world = killed(92, None);
    lose_the_index(&world);
    overwrite(&world, world.told[&2].physical_offset + BODY_AT, &[0xFF]);
    overwrite(&world, world.told[&5].physical_offset + 4, &[0xFF]);
    let before = log_bytes(&world);
    let mut open = world.open().unwrap();
    assert_eq!((&open.report.damage, open.report.lost_records), (&None, 0));
    let after = log_bytes(&world);
    assert!(
        after.len() as u64 >= open.log.view().visible().0,
        "all records are there"
    );
    assert!(before.starts_with(&after), "not a byte of the log has changed");
    let next_file = layout().segment_bytes.unwrap();
    for (number, told) in &world.told {
        let is_lost = *number >= 5 && told.physical_offset < next_file;
        assert_eq!(open.keys_of(*number, told), usize::from(!is_lost), "key of {number}");
    }
}

#[test]
fn promise_3_a_crash_while_lost_keys_are_read_leaves_a_store_that_finds_them() {
    for indexed in [None, Some(35)] {
        at_each_change_of_a_start(|| killed(93, indexed));
    }
}
