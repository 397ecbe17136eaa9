//! A start that is ended at each point at which recovery asks whether it is still wanted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use super::world::World;
use crate::disk::memory::Survival;
use crate::error::StoreError;
use crate::interrupt::Interrupt;
use crate::log_state::{Acknowledge, FlushMode};
use crate::steps::{Stage, Step, Steps};

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

#[test]
fn a_recovery_tells_how_far_it_is_and_never_less_than_before_in_a_stage() {
    let mut world = killed(82);
    let told: Arc<Mutex<Vec<Step>>> = Arc::default();
    let steps: Arc<OnceLock<Arc<Steps>>> = Arc::default();
    let (seen, source) = (Arc::clone(&told), Arc::clone(&steps));
    let interrupt = Interrupt::when(move || {
        let step = source.get().and_then(|steps| steps.read());
        seen.lock().unwrap().extend(step);
        false
    });
    assert_eq!(interrupt.steps().read(), None, "nothing is known before it begins");
    steps.set(interrupt.steps()).unwrap();
    let _open = world.open_unless(&interrupt).unwrap();
    let told = told.lock().unwrap();
    for pair in told.windows(2) {
        let (one, next) = (pair[0], pair[1]);
        assert!(one.stage != next.stage || one.done <= next.done, "{one:?}, {next:?}");
        assert!(next.done <= next.total, "{next:?}");
    }
    let mut stages: Vec<Stage> = told.iter().map(|step| step.stage).collect();
    stages.dedup();
    let expected = [
        Stage::OpeningQueues,
        Stage::ReadingLog,
        Stage::WritingLog,
        Stage::SyncingQueues,
    ];
    assert_eq!(stages, expected);
    let last = told.last().unwrap();
    assert_eq!((last.done, last.total), (3, 3), "all three queues");
}
