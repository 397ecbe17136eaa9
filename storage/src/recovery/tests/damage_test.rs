//! Damage in what was on disk, which no crash explains: nothing of it is cut, whatever made recovery read it.

use std::io::IoSlice;
use std::path::Path;

use super::promise_test::{closed, overwrite};
use super::world::{World, layout};
use crate::checkpoint::{Checkpoint, CheckpointFile};
use crate::consume_queue::UNIT_BYTES;
use crate::disk::{Disk, OpenMode};
use crate::error::StoreError;
use crate::log_state::{Acknowledge, FlushMode};
use crate::marker;
use crate::position::PhysicalOffset;
use crate::segment::file_name;

/// Where the body of a record begins.
pub(super) const BODY_AT: u64 = 88;

/// The whole log, byte for byte.
pub(super) fn log_bytes(world: &World) -> Vec<u8> {
    let directory = layout().commit_log;
    let files = world.disk.list(&directory).unwrap().into_iter();
    files.fold(Vec::new(), |mut bytes, file| {
        bytes.extend(world.disk.read_whole(&directory.join(file.name), 1 << 20).unwrap());
        bytes
    })
}

/// A store over several files whose third record does not have its body any more, found while a lost queue is rebuilt.
fn damaged_in_the_first_file(seed: u64) -> World {
    let world = closed(seed, 40);
    assert!(world.disk.list(&layout().commit_log).unwrap().len() > 2);
    overwrite(&world, world.told[&2].physical_offset + BODY_AT, &[0xFF]);
    world.lose_queue(0);
    world
}

fn refusal(world: &mut World) -> (u64, String) {
    match world.open() {
        Ok(open) => panic!("opened: {:?}", open.report),
        Err(StoreError::Damaged { position, reason, .. }) => (position, reason),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn promise_3_a_queue_that_is_rebuilt_over_old_damage_does_not_cut_the_log() {
    let mut world = damaged_in_the_first_file(40);
    let before = log_bytes(&world);
    let third = world.told[&2].physical_offset;
    for _ in 0..2 {
        let (position, reason) = refusal(&mut world);
        assert_eq!(position, third, "{reason}");
        assert!(reason.contains("nothing of it is cut"), "{reason}");
        assert!(log_bytes(&world) == before, "not a byte of the log has changed");
        world.disk.kill();
    }
}

#[test]
fn promise_3_old_damage_is_given_up_by_moving_its_file_away() {
    let mut world = damaged_in_the_first_file(41);
    refusal(&mut world);
    world.disk.kill();
    let first = layout().commit_log.join(file_name(0));
    world.disk.remove_file(&first).unwrap();
    world.told.retain(|_, told| told.physical_offset >= 2048);
    let open = world.open().unwrap();
    let seen = World::visible(&open);
    assert_eq!(seen.len(), world.told.len(), "{:?}", open.report);
    let queue = open.queues[0].view();
    assert_eq!(
        (queue.min_offset().0, queue.max_offset().0),
        (seen[0].1.queue_offset, 40)
    );
}

#[test]
fn promise_3_damage_between_what_queues_have_and_what_was_on_disk_is_refused_and_given_up_only_on_demand() {
    let mut world = World::new(42, FlushMode::Sync);
    let mut open = world.open().unwrap();
    for _ in 0..6 {
        let batch = world.batch(0, 1, 50, false);
        world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
    }
    open.note_at(world.now_ms, PhysicalOffset(0), None).unwrap();
    drop(open);
    world.disk.kill();
    overwrite(&world, world.told[&2].physical_offset + BODY_AT, &[0xFF]);
    let before = log_bytes(&world);
    let (_, reason) = refusal(&mut world);
    assert!(reason.contains("removing cuemq/log"), "{reason}");
    assert!(log_bytes(&world) == before, "not a byte of the log has changed");
    world.disk.kill();
    world.disk.remove_file(&layout().root.join("cuemq/log")).unwrap();
    assert!(marker::was_aborted(&world.disk, &layout().root).unwrap());
    let open = world.open().unwrap();
    assert_eq!(World::visible(&open).len(), 2);
    assert_eq!(open.report.lost_records, 4, "{:?}", open.report);
    assert!(open.report.copy.is_some());
}

#[test]
fn damage_in_a_queue_s_last_unit_costs_no_message_and_is_not_blamed_on_the_log() {
    for byte in 0..7 {
        let mut world = closed(49, 8);
        let path = Path::new("/store/consumequeue/T/0").join(file_name(0));
        let unit = world.disk.open(&path, OpenMode::Write).unwrap();
        unit.write_at(&[IoSlice::new(&[0x11])], 7 * UNIT_BYTES + byte).unwrap();
        unit.sync_data().unwrap();
        let before = log_bytes(&world);
        let mut open = world.open().unwrap();
        assert_eq!(
            (&open.report.damage, open.report.lost_records),
            (&None, 0),
            "byte {byte}"
        );
        assert!(
            before.starts_with(&log_bytes(&world)),
            "not a byte of the log has changed"
        );
        world.check(&mut open);
    }
}

#[test]
fn promise_3_a_log_that_lacks_files_which_were_on_disk_is_refused() {
    let mut world = closed(43, 40);
    let last = world.disk.list(&layout().commit_log).unwrap().pop().unwrap();
    world.disk.remove_file(&layout().commit_log.join(last.name)).unwrap();
    let (_, reason) = refusal(&mut world);
    assert!(reason.contains("restore those that are missing"), "{reason}");
}

#[test]
fn promise_3_a_zero_byte_in_another_brokers_properties_is_no_torn_record_when_a_queue_is_rebuilt() {
    let mut world = closed(44, 6);
    overwrite(&world, world.told[&3].physical_offset - 1, &[0]);
    world.lose_queue(0);
    let mut open = world.open().unwrap();
    assert_eq!(open.report.damage, None);
    world.check(&mut open);
}

#[test]
fn promise_3_a_zero_byte_is_no_torn_record_after_another_broker_was_killed_on_a_store_of_ours() {
    let mut world = closed(45, 6);
    overwrite(&world, world.told[&3].physical_offset - 1, &[0]);
    let mut checkpoint = CheckpointFile::open(&world.disk, &layout().root).unwrap();
    let times = Checkpoint {
        commit_log_ms: 1,
        ..Checkpoint::default()
    };
    checkpoint.write(times).unwrap();
    marker::mark_in_use(&world.disk, &layout().root).unwrap();
    let mut open = world.open().unwrap();
    assert_eq!((open.report.from.0, &open.report.damage), (0, &None));
    world.check(&mut open);
}

#[test]
fn promise_3_a_crash_amid_a_checkpoint_does_not_make_the_next_start_read_what_was_confirmed_before() {
    for change in 1.. {
        let mut world = World::new(46, FlushMode::Sync);
        let mut open = world.open().unwrap();
        let send = |world: &mut World, open: &mut _| {
            let batch = world.batch(0, 1, 50, false);
            world.send(open, batch, Acknowledge::Flushed).unwrap();
        };
        (0..40).for_each(|_| send(&mut world, &mut open));
        open.checkpoint(world.now_ms).unwrap();
        let confirmed = open.log.view().confirmed();
        (0..5).for_each(|_| send(&mut world, &mut open));
        world.disk.crash_at(change);
        let ended = open.checkpoint(world.now_ms);
        drop(open);
        world.disk.kill();
        let mut open = world.open().unwrap();
        world.check(&mut open);
        assert!(open.report.from >= confirmed, "change {change}: {:?}", open.report);
        if ended.is_ok() {
            assert!(change > 5, "a checkpoint changes the disk");
            return;
        }
    }
}
