//! Topics that were deleted: their records are still in the log, and none of them comes back.

use super::promise_test::{closed, overwrite};
use super::world::{Open, World, layout};
use crate::deletions::Deletions;
use crate::log_state::Acknowledge;
use crate::marker;
use crate::position::{PhysicalOffset, QueueOffset};

/// Where the queue offset of a record is.
const QUEUE_OFFSET_AT: u64 = 20;
const OLD: u32 = 30;
/// Behind all messages, and behind all that a crash may take, where the topic was not made again.
const LOG_END: u64 = 1 << 20;

/// Notes that the topic was deleted when it had the first `OLD` messages; those behind them are numbered from 0.
fn delete(world: &World, messages: u32) {
    let end = PhysicalOffset(world.told.get(&OLD).map_or(LOG_END, |next| next.physical_offset));
    Deletions::add(&world.disk, &layout().root, &["T"], end, PhysicalOffset(0)).unwrap();
    for number in OLD..messages {
        let at = world.told[&number].physical_offset + QUEUE_OFFSET_AT;
        overwrite(world, at, &u64::from(number - OLD).to_be_bytes());
    }
}

/// The positions of the records that the topic's queue has.
fn queued(open: &Open) -> Vec<u64> {
    let Some(queue) = open.queues.first() else {
        return Vec::new();
    };
    let view = queue.view();
    let offsets = view.min_offset().0..view.max_offset().0;
    offsets
        .map(|at| view.unit(QueueOffset(at)).unwrap().unwrap().physical_offset.0)
        .collect()
}

fn positions(world: &World, numbers: std::ops::Range<u32>) -> Vec<u64> {
    numbers.map(|number| world.told[&number].physical_offset).collect()
}

#[test]
fn no_message_of_a_deleted_topic_comes_back_after_a_crash() {
    let mut world = closed(90, OLD);
    delete(&world, OLD);
    world.lose_queue(0);
    marker::mark_in_use(&world.disk, &layout().root).unwrap();
    let open = world.open().unwrap();
    assert_eq!(queued(&open), [0; 0], "{:?}", open.report);
}

#[test]
fn a_queue_that_was_to_go_when_the_power_went_goes_at_the_next_start() {
    let mut world = closed(91, OLD);
    delete(&world, OLD);
    marker::mark_in_use(&world.disk, &layout().root).unwrap();
    let mut open = world.open().unwrap();
    assert_eq!(queued(&open), [0; 0], "{:?}", open.report);
    let batch = world.batch(0, 1, 50, false);
    world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
    assert_eq!(
        world.told[&OLD].queue_offset, 0,
        "the topic that is made again begins at 0"
    );
}

#[test]
fn a_topic_that_was_made_again_has_its_own_messages_alone_however_few_they_are() {
    for new in [1, 2, 12] {
        let mut world = closed(92, OLD + new);
        delete(&world, OLD + new);
        world.lose_queue(0);
        let open = world.open().unwrap();
        assert_eq!(queued(&open), positions(&world, OLD..OLD + new), "{:?}", open.report);
        assert_eq!(open.queues[0].end(), QueueOffset(u64::from(new)));
    }
}

#[test]
fn what_is_written_where_a_crash_took_a_deleted_topics_messages_counts() {
    let mut world = closed(93, OLD);
    delete(&world, OLD);
    let mut open = world.open().unwrap();
    let batch = world.batch(0, 1, 50, false);
    world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
    drop(open);
    world.disk.kill();
    world.lose_queue(0);
    let open = world.open().unwrap();
    assert_eq!(queued(&open), positions(&world, OLD..OLD + 1), "{:?}", open.report);
}
