//! The commit log's owner built anew within a running process, under the view that readers keep.

use std::sync::Arc;

use super::damage_test::{BODY_AT, log_bytes};
use super::promise_test::overwrite;
use super::world::{Open, World, layout};
use crate::commit_log::{CommitLog, Effects, LogParts, LogView, QueueName};
use crate::consume_queue::AppendError;
use crate::delay_level::DelayLevels;
use crate::disk::Disk;
use crate::error::{Result, StoreError};
use crate::log_state::{Acknowledge, FlushMode, Target};
use crate::position::{FlushEpoch, PhysicalOffset, QueueOffset};
use crate::recovery::{StoreLayout, refill, resume};

/// A store with so many messages, none of them confirmed by its queue or the index.
fn with_messages(seed: u64, messages: u32) -> (World, Open) {
    let mut world = World::new(seed, FlushMode::Sync);
    let mut open = world.open().unwrap();
    for _ in 0..messages {
        let batch = world.batch(0, 1, 50, false);
        world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
    }
    (world, open)
}

/// Ends the log's owner as a panic does, and gives what is left to build another one.
fn end_the_owner(open: Open) -> (Arc<LogView>, Vec<(QueueName, QueueOffset)>) {
    let view = Arc::clone(open.log.view());
    let name = |slot| open.log.queues_ref().name(slot).unwrap().clone();
    let known = (0..).zip(&open.queues).map(|(slot, queue)| (name(slot), queue.end()));
    let known = known.collect();
    (view, known)
}

fn resumed(world: &World, view: &Arc<LogView>, known: Vec<(QueueName, QueueOffset)>) -> Result<LogParts> {
    let disk: Arc<dyn Disk> = Arc::new(world.disk.process());
    resume(&disk, &layout(), view, known)
}

#[test]
fn promise_3_a_rebuilt_log_never_shows_as_confirmed_what_its_queues_have_not_synced() {
    let (world, open) = with_messages(50, 3);
    let (view, known) = end_the_owner(open);
    let before = view.confirmed();
    assert!(before < view.visible());
    let parts = resumed(&world, &view, known).unwrap();
    let end = parts.end;
    let mut log = CommitLog::<()>::new(FlushMode::Sync, FlushEpoch(9), parts);
    assert_eq!(view.confirmed(), before, "a checkpoint may be written at any time");
    let mut effects = Effects::default();
    log.redispatch(&mut effects);
    assert_eq!(effects.dispatches.len(), 1);
    log.confirmed(Target::Queue(0), end);
    assert_eq!(view.confirmed(), before);
    log.confirmed(Target::Index, end);
    assert_eq!(view.confirmed(), end);
}

#[test]
fn promise_3_store_times_do_not_decrease_when_a_log_is_rebuilt_that_owed_nothing() {
    let (world, mut open) = with_messages(55, 3);
    open.checkpoint(world.now_ms).unwrap();
    let (view, known) = end_the_owner(open);
    let last_ms = view.last_store_ms();
    assert!(last_ms > 0 && view.confirmed() == view.visible());
    let parts = resumed(&world, &view, known).unwrap();
    drop(CommitLog::<()>::new(FlushMode::Sync, FlushEpoch(9), parts));
    assert_eq!(view.last_store_ms(), last_ms);
}

#[test]
fn a_rebuilt_log_without_an_index_owes_nobody_its_keys() {
    let (world, open) = with_messages(56, 3);
    let (view, known) = end_the_owner(open);
    let disk: Arc<dyn Disk> = Arc::new(world.disk.process());
    let without = StoreLayout {
        index: None,
        ..layout()
    };
    let parts = resume(&disk, &without, &view, known).unwrap();
    let end = parts.end;
    let mut log = CommitLog::<()>::new(FlushMode::Sync, FlushEpoch(9), parts);
    log.confirmed(Target::Queue(0), end);
    assert_eq!(view.confirmed(), end);
}

#[test]
fn promise_3_the_keys_of_a_message_that_no_queue_gets_are_not_lost_when_the_log_is_rebuilt() {
    let (mut world, mut open) = with_messages(51, 0);
    let batch = world.prepared(0);
    world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
    let (view, known) = end_the_owner(open);
    let resumed = resumed(&world, &view, known).unwrap();
    assert_eq!(resumed.again.iter().map(|again| again.keys.len()).sum::<usize>(), 1);
}

#[test]
fn a_rebuilt_log_leaves_every_byte_that_readers_see() {
    let (world, open) = with_messages(52, 6);
    let third = world.told[&2].physical_offset;
    let (view, known) = end_the_owner(open);
    overwrite(&world, third + BODY_AT, &[0xFF]);
    let before = log_bytes(&world);
    let Err(StoreError::Damaged { position, reason, .. }) = resumed(&world, &view, known) else {
        panic!("a log that lacks what is visible was rebuilt");
    };
    assert_eq!(position, third);
    assert!(reason.contains("restart the broker"), "{reason}");
    assert!(log_bytes(&world) == before, "not a byte has changed");
}

#[test]
fn promise_3_a_queue_that_the_log_cannot_fill_again_says_where_the_log_ends() {
    let (world, mut open) = with_messages(53, 6);
    let name = open.log.queues_ref().name(0).unwrap().clone();
    let view = Arc::clone(open.log.view());
    refill(
        &mut open.queues[0],
        &name,
        &view,
        &DelayLevels::none(),
        view.confirmed(),
    )
    .unwrap();
    let third = world.told[&2].physical_offset;
    overwrite(&world, third + 4, &[0xFF]);
    let error = refill(
        &mut open.queues[0],
        &name,
        &view,
        &DelayLevels::none(),
        view.confirmed(),
    )
    .unwrap_err();
    let AppendError::Store(StoreError::Damaged { position, .. }) = error else {
        panic!("{error}");
    };
    assert_eq!(position, third);
}

#[test]
fn a_walk_that_cannot_read_on_is_an_error_and_one_that_was_asked_to_end_is_none() {
    let (world, open) = with_messages(54, 6);
    let view = open.log.view();
    let third = world.told[&2].physical_offset;
    overwrite(&world, third + 4, &[0xFF]);
    let mut walked = 0;
    let error = view.walk(view.minimum(), |_| {
        walked += 1;
        true
    });
    assert!(
        matches!(error, Err(StoreError::Damaged { position, .. }) if position == third),
        "{error:?}"
    );
    assert_eq!(walked, 2);
    let second = PhysicalOffset(world.told[&1].physical_offset);
    let asked = view.walk(view.minimum(), |record| record.physical_offset() < second.0);
    assert_eq!(asked.unwrap(), second);
}
