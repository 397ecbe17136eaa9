//! The promises of the store, each by its own test.

use super::world::World;
use crate::disk::memory::{Fault, Operation, Survival};
use crate::log_state::{Acknowledge, FlushMode, Outcome};

fn sent(world: &World, outcome: Outcome) -> usize {
    world.told.values().filter(|told| told.outcome == outcome).count()
}

#[test]
fn promise_1_what_is_acknowledged_survives_a_power_loss_that_keeps_nothing_else() {
    let mut world = World::new(1, FlushMode::Sync);
    let mut open = world.open().unwrap();
    for number in 0..60 {
        let batch = world.batch(number % 3, 1, 50, false);
        world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
    }
    world.disk.crash(Survival::Nothing);
    let mut open = world.open().unwrap();
    world.check(&mut open);
    assert_eq!(World::visible(&open).len(), 60);
}

#[test]
fn promise_2_a_failed_sync_poisons_the_store_and_nothing_is_tried_again() {
    let mut world = World::new(2, FlushMode::Sync);
    let mut open = world.open().unwrap();
    let batch = world.batch(0, 1, 50, false);
    world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
    let fault = world
        .disk
        .inject(Fault::new(Operation::SyncData).on("commitlog").times(1));
    let batch = world.batch(0, 1, 50, false);
    world.send(&mut open, batch, Acknowledge::Flushed).unwrap_err();
    assert_eq!(world.disk.fired(fault), 1);
    assert_eq!(
        sent(&world, Outcome::Unknown),
        1,
        "the sender is told that the outcome is not known"
    );
    let batch = world.batch(0, 1, 50, false);
    world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
    assert_eq!(sent(&world, Outcome::Refused), 1, "a later one is refused");
    assert_eq!(World::visible(&open).len(), 1, "and reads go on");
}

#[test]
fn promise_2_what_a_restart_serves_after_a_failed_sync_is_on_disk_and_not_only_in_a_page_cache_that_lies() {
    let mut world = World::new(3, FlushMode::Sync);
    let mut open = world.open().unwrap();
    let fault = world
        .disk
        .inject(Fault::new(Operation::SyncData).on("commitlog/0").times(1).after(1));
    let batch = world.batch(0, 1, 50, false);
    let failed = world.send(&mut open, batch, Acknowledge::Flushed);
    assert_eq!(
        (world.disk.fired(fault), sent(&world, Outcome::Unknown)),
        (1, 1),
        "{failed:?}"
    );
    // The process restarts on the same page cache, which shows the record and calls its pages clean.
    world.disk.kill();
    let open = world.open().unwrap();
    let served = World::visible(&open);
    assert_eq!(served.len(), 1);
    world.disk.crash(Survival::Nothing);
    let open = world.open().unwrap();
    assert_eq!(World::visible(&open), served, "what was served once does not disappear");
}

#[test]
fn promise_3_a_record_behind_a_cut_does_not_come_back_to_life() {
    let mut world = World::new(4, FlushMode::Sync);
    let mut open = world.open().unwrap();
    for _ in 0..3 {
        let batch = world.batch(0, 1, 50, false);
        world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
    }
    drop(open);
    // The disk tears the second record; the third one, of the same size, stays whole behind it.
    world.disk.kill();
    let file = crate::disk::Disk::open(
        &world.disk,
        &super::world::layout().commit_log.join(crate::segment::file_name(0)),
        crate::disk::OpenMode::Write,
    )
    .unwrap();
    let second = world.told[&1].physical_offset;
    file.write_at(&[std::io::IoSlice::new(&[0xFF; 8])], second + 84)
        .unwrap();
    file.sync_data().unwrap();
    world.told.clear();
    let mut open = world.open().unwrap();
    assert_eq!(World::visible(&open).len(), 1);
    assert!(
        open.report.damage.is_some() && open.report.cut_bytes > 0,
        "it says what it cut: {:?}",
        open.report
    );
    world.adopt(&open);
    // A new record takes the place of the torn one exactly; then the power fails.
    let batch = world.batch(0, 1, 50, false);
    world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
    world.disk.crash(Survival::Everything);
    let mut open = world.open().unwrap();
    world.check(&mut open);
    assert_eq!(World::visible(&open).len(), 2, "the old third record is gone for good");
}

#[test]
fn promise_4_a_full_disk_refuses_new_messages_and_keeps_what_is_stored() {
    let mut world = World::new(5, FlushMode::Sync);
    world.disk.set_capacity(40 * 1024);
    let mut open = world.open().unwrap();
    for _ in 0..400 {
        let batch = world.batch(0, 1, 300, false);
        if world.send(&mut open, batch, Acknowledge::Flushed).is_err() {
            break;
        }
    }
    assert!(sent(&world, Outcome::Stored) > 10);
    assert!(
        sent(&world, Outcome::Refused) + sent(&world, Outcome::Unknown) > 0,
        "the disk was full"
    );
    world.disk.kill();
    world.disk.set_capacity(1 << 30);
    let mut open = world.open().unwrap();
    world.check(&mut open);
    let batch = world.batch(0, 1, 300, false);
    world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
}

#[test]
fn a_clean_stop_leaves_nothing_to_read_again() {
    let mut world = World::new(6, FlushMode::Sync);
    let mut open = world.open().unwrap();
    for _ in 0..30 {
        let batch = world.batch(1, 1, 100, false);
        world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
    }
    open.close(world.now_ms).unwrap();
    world.disk.kill();
    let mut open = world.open().unwrap();
    assert!(open.report.clean);
    assert_eq!(open.report.records, 0);
    world.check(&mut open);
}

#[test]
fn a_batch_message_lies_in_one_file() {
    let mut world = World::new(7, FlushMode::Sync);
    let mut open = world.open().unwrap();
    for _ in 0..12 {
        let batch = world.batch(0, 3, 120, true);
        world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
    }
    let seen = World::visible(&open);
    assert_eq!(seen.len(), 36);
    for group in seen.chunks(3) {
        let files: Vec<u64> = group.iter().map(|(_, told)| told.physical_offset / 2048).collect();
        assert!(files.iter().all(|file| *file == files[0]), "{files:?}");
    }
}

#[test]
fn a_lost_consume_queue_is_rebuilt_from_the_whole_log() {
    let mut world = World::new(8, FlushMode::Sync);
    let mut open = world.open().unwrap();
    for number in 0..40 {
        let batch = world.batch(number % 3, 1, 80, false);
        world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
    }
    open.close(world.now_ms).unwrap();
    world.disk.kill();
    let queue = super::world::layout().root.join("consumequeue/T/1");
    for entry in crate::disk::Disk::list(&world.disk, &queue).unwrap() {
        crate::disk::Disk::remove_file(&world.disk, &queue.join(entry.name)).unwrap();
    }
    let mut open = world.open().unwrap();
    world.check(&mut open);
}
