//! Old files go: at each change of the disk on the way the machine may die, and whoever reads a file reads on.

use super::world::{World, layout};
use crate::disk::Disk;
use crate::disk::memory::Survival;
use crate::log_state::{Acknowledge, FlushMode};
use crate::position::{PhysicalOffset, QueueOffset};

/// A store with messages in some files of its log, queues and index, all on disk. Every fourth seed has extensions.
fn filled(seed: u64) -> (World, super::world::Open) {
    let mut world = World::new(seed, FlushMode::Sync);
    let mut open = world.open().unwrap();
    for number in 0..60 {
        let batch = world.batch(number % 2, 1, 100, false);
        world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
    }
    open.checkpoint(world.now_ms).unwrap();
    (world, open)
}

#[test]
fn promise_3_a_crash_at_each_change_of_a_deletion_leaves_a_store_that_opens_with_all_that_is_left() {
    for change in 1.. {
        let (mut world, mut open) = filled(change);
        let limit = PhysicalOffset(open.log.view().visible().0 - 2048);
        world.deleted = limit.0;
        world.disk.crash_at(change);
        let deleted = open.delete_before(limit);
        let survival = match change % 3 {
            0 => Survival::Nothing,
            1 => Survival::Everything,
            _ => Survival::Random(change),
        };
        world.disk.crash(survival);
        let mut open = world.open().unwrap();
        world.check(&mut open);
        let batch = world.batch(0, 1, 100, false);
        world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
        world.check(&mut open);
        if deleted.is_ok() {
            assert!(change > 15, "a deletion changes the disk");
            assert!(open.log.view().minimum().0 > 2048);
            return;
        }
    }
}

#[test]
fn no_file_goes_from_under_a_reader() {
    let (mut world, mut open) = filled(1);
    let told = world.told[&3];
    let view = std::sync::Arc::clone(open.log.view());
    let segment = view.mapped(PhysicalOffset(told.physical_offset)).unwrap();
    let at = told.physical_offset - segment.start();
    let held = segment.share(at..at + 100).unwrap();
    open.queues[1].sync().unwrap();
    let units = open.queues[1].view().read(QueueOffset(0), 2).unwrap();
    let seen = || (held.as_ref().to_vec(), units.clone().collect::<Vec<_>>());
    let before = seen();
    assert_eq!(before.1.len(), 2);
    world.deleted = u64::MAX;
    open.delete_before(view.visible()).unwrap();
    assert!(!world.disk.exists(segment.path()).unwrap());
    assert!(
        view.mapped(PhysicalOffset(told.physical_offset)).is_none(),
        "new readers find nothing"
    );
    assert_eq!(seen(), before);
    assert!(held.populate().is_ok(), "also where the disk may be waited for");
}

#[test]
fn what_is_not_confirmed_and_the_newest_file_stay() {
    let mut world = World::new(1, FlushMode::Sync);
    let mut open = world.open().unwrap();
    for _ in 0..30 {
        let batch = world.batch(0, 1, 100, false);
        world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
    }
    world.deleted = u64::MAX;
    open.delete_before(PhysicalOffset(u64::MAX)).unwrap();
    assert_eq!(
        open.log.view().minimum(),
        PhysicalOffset(0),
        "no queue has synced anything"
    );
    open.checkpoint(world.now_ms).unwrap();
    open.delete_before(PhysicalOffset(u64::MAX)).unwrap();
    let newest = open.log.view().visible().0 - 1;
    assert_eq!(open.log.view().minimum().0, newest - newest % 2048);
    world.check(&mut open);
    let names = world.disk.list(&layout().commit_log).unwrap();
    assert!(names.len() <= 2, "the newest, and one that was made ahead");
}
