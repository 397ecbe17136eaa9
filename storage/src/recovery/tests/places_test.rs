//! Records whose places in their queue are not the ones that follow: of a topic that was deleted and made again, and of
//! damage.

use std::sync::Arc;

use super::promise_test::{closed, overwrite};
use super::world::{Open, World, layout};
use crate::consume_queue::{ConsumeQueue, Opening, QueuePlace, Unit};
use crate::disk::Disk;
use crate::log_state::Acknowledge;
use crate::marker;
use crate::position::{PhysicalOffset, QueueOffset};

/// Where the queue offset of a record is.
const QUEUE_OFFSET_AT: u64 = 20;
/// The messages of the deleted topic, which begin at this queue offset, and of the one that was made again.
const OLD: u32 = 30;
const OLD_FIRST: u64 = 1000;
const NEW: u32 = 12;

fn claim(world: &World, number: u32, queue_offset: u64) {
    let at = world.told[&number].physical_offset + QUEUE_OFFSET_AT;
    overwrite(world, at, &queue_offset.to_be_bytes());
}

/// A store of another broker, stopped in order: the log has both lives of the topic, and the queue is that of the second.
fn two_lives(seed: u64) -> World {
    let world = closed(seed, OLD + NEW);
    (0..OLD).for_each(|number| claim(&world, number, OLD_FIRST + u64::from(number)));
    (0..NEW).for_each(|number| claim(&world, OLD + number, u64::from(number)));
    world.lose_queue(0);
    let disk: Arc<dyn Disk> = Arc::new(world.disk.clone());
    let place = QueuePlace {
        root: &layout().root,
        topic: "T",
        queue_id: 0,
    };
    let (mut queue, _) = ConsumeQueue::open(&disk, place, layout().queue_file_bytes, Opening::Clean).unwrap();
    let units: Vec<Unit> = positions(&world, OLD..OLD + NEW).into_iter().map(unit).collect();
    queue.append(QueueOffset(0), &units, None).unwrap();
    queue.sync().unwrap();
    world.disk.remove_file(&layout().root.join("cuemq/log")).unwrap();
    world
}

fn unit(physical_offset: u64) -> Unit {
    Unit {
        physical_offset: PhysicalOffset(physical_offset),
        size: 100,
        tags_code: 0,
    }
}

fn positions(world: &World, numbers: std::ops::Range<u32>) -> Vec<u64> {
    numbers.map(|number| world.told[&number].physical_offset).collect()
}

/// The positions of the records that the queue has, from its first on.
fn queued(open: &Open) -> Vec<u64> {
    let view = open.queues[0].view();
    let offsets = view.min_offset().0..view.max_offset().0;
    let unit = |at| view.copy(QueueOffset(at), 1).unwrap()[0];
    offsets.map(|at| unit(at).physical_offset.0).collect()
}

fn has_the_second_life_alone(mut world: World) {
    let mut open = world.open().unwrap();
    assert_eq!(queued(&open), positions(&world, OLD..OLD + NEW), "{:?}", open.report);
    assert_eq!(
        (open.queues[0].view().min_offset().0, open.queues[0].end().0),
        (0, u64::from(NEW))
    );
    let batch = world.batch(0, 1, 50, false);
    world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
    assert_eq!(world.told[&(OLD + NEW)].queue_offset, u64::from(NEW));
}

#[test]
fn a_topic_that_was_deleted_and_made_again_keeps_its_messages_after_a_clean_stop() {
    has_the_second_life_alone(two_lives(80));
}

#[test]
fn a_topic_that_was_deleted_and_made_again_keeps_its_messages_after_a_kill() {
    let world = two_lives(81);
    marker::mark_in_use(&world.disk, &layout().root).unwrap();
    has_the_second_life_alone(world);
}

#[test]
fn a_topic_that_was_deleted_and_made_again_keeps_its_messages_when_its_queue_is_rebuilt() {
    let world = two_lives(82);
    world.lose_queue(0);
    has_the_second_life_alone(world);
}

#[test]
fn a_start_that_a_queue_of_a_topic_made_again_passes_changes_no_byte_of_the_queue() {
    let mut world = two_lives(83);
    let path = layout()
        .root
        .join("consumequeue/T/0")
        .join(crate::segment::file_name(0));
    let before = world.disk.read_whole(&path, 1 << 20).unwrap();
    drop(world.open().unwrap());
    assert!(world.disk.read_whole(&path, 1 << 20).unwrap() == before);
}

#[test]
fn one_damaged_queue_offset_costs_a_rebuilt_queue_none_of_its_messages_whichever_it_is() {
    // Of nine messages the last one claims, by its third bit, the first place of all.
    for messages in [8, 9] {
        for (number, bit) in (0..messages).flat_map(|number| [0, 1, 2, 3, 10, 40, 57].map(|bit| (number, bit))) {
            let mut world = closed(48, messages);
            claim(&world, number, u64::from(number) ^ 1 << bit);
            world.lose_queue(0);
            let open = world.open().unwrap();
            assert_eq!(
                queued(&open),
                positions(&world, 0..messages),
                "bit {bit} of {number} of {messages}"
            );
            assert_eq!(
                open.queues[0].view().min_offset().0,
                0,
                "bit {bit} of {number} of {messages}"
            );
        }
    }
}

#[test]
fn a_damaged_queue_offset_of_the_log_s_oldest_record_is_told_by_those_behind_it() {
    for claimed in [0, 5, 1 << 40] {
        let mut world = closed(49, 8);
        (0..8).for_each(|number| claim(&world, number, OLD_FIRST + u64::from(number)));
        claim(&world, 0, claimed);
        world.lose_queue(0);
        let open = world.open().unwrap();
        assert_eq!(queued(&open), positions(&world, 0..8), "{claimed}");
        assert_eq!(open.queues[0].view().min_offset().0, OLD_FIRST, "{claimed}");
    }
}
