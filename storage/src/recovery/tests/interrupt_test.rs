//! A start that is ended at each point at which recovery asks whether it is still wanted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::world::World;
use crate::disk::memory::Survival;
use crate::error::StoreError;
use crate::interrupt::Interrupt;
use crate::log_state::{Acknowledge, FlushMode};

/// Asks for the end at the `nth` question, the first being 0.
fn at(nth: u64) -> Interrupt {
    let asked = Arc::new(AtomicU64::new(0));
    Interrupt::when(move || asked.fetch_add(1, Ordering::Relaxed) == nth)
}

/// A store with messages in several files and queues, whose process was killed.
fn killed(seed: u64) -> World {
    let mut world = World::new(seed, FlushMode::Sync);
    let mut open = world.open().unwrap();
    for number in 0..40 {
        let batch = world.batch(number % 3, 1, 150, false);
        world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
        if number == 20 {
            open.checkpoint(world.now_ms).unwrap();
        }
    }
    drop(open);
    world.disk.kill();
    world
}

#[test]
fn promise_3_a_recovery_that_is_ended_at_any_point_leaves_a_store_that_recovers() {
    let mut ended = 0;
    for (nth, survival) in (0..).zip([Survival::Nothing, Survival::Random(7)].into_iter().cycle()) {
        let mut world = killed(80);
        match world.open_unless(&at(nth)) {
            Err(StoreError::Interrupted) => ended += 1,
            Err(error) => panic!("{error}"),
            Ok(_) => break,
        }
        world.disk.crash(survival);
        let mut open = world.open().unwrap();
        world.check(&mut open);
    }
    assert!(ended > 20, "it asks at each record, file and queue: {ended}");
}

#[test]
fn a_clean_store_whose_start_is_ended_is_still_clean() {
    let mut world = killed(81);
    let open = world.open().unwrap();
    open.close(world.now_ms).unwrap();
    world.disk.kill();
    assert!(matches!(world.open_unless(&at(0)), Err(StoreError::Interrupted)));
    world.disk.kill();
    let mut open = world.open().unwrap();
    assert!(open.report.clean);
    world.check(&mut open);
}
