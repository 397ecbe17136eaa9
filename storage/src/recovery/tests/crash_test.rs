//! Crashes at every change of the disk, and at random ones, with everything that a disk may keep or lose; in between
//! failing writes, syncs, allocations and directories, a full disk, evicted pages and a clock that is set back.
//!
//! `CUEMQ_CRASH_SEEDS` sets the number of histories under sync flush, half as many run under async flush;
//! `CUEMQ_CRASH_SEED` runs the one that failed.

use std::io::{ErrorKind, IoSlice};

use super::world::{Open, World};
use crate::disk::memory::ending::{self, is_death};
use crate::disk::memory::{Fault, Operation, Survival};
use crate::disk::{Disk, OpenMode};
use crate::entropy::{Entropy, SeededEntropy};
use crate::error::{Result, StoreError};
use crate::log_state::{Acknowledge, FlushMode};
use crate::position::PhysicalOffset;

/// Room for all that a history writes.
const ROOMY: u64 = 1 << 30;
/// How many times in a row a start may die.
const DEATHS_IN_A_ROW: u64 = 4;

fn seeds(share: u64) -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    match number("CUEMQ_CRASH_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("CUEMQ_CRASH_SEEDS").unwrap_or(600) / share,
    }
}

/// One step of a random life.
fn step(world: &mut World, open: &mut Open, random: &SeededEntropy) -> Result<()> {
    match random.below(16) {
        0 => open.checkpoint(world.now_ms),
        1 => world.flush_due(open),
        2 => {
            let count = 2 + u32::try_from(random.below(3)).unwrap();
            let batch = world.batch(u32::try_from(random.below(3)).unwrap(), count, 20, true);
            world.send(open, batch, Acknowledge::Flushed)
        }
        3 => {
            world.disk.evict();
            Ok(())
        }
        4 => {
            world.now_ms -= random.below(5000);
            Ok(())
        }
        6 | 7 => {
            let position = random.below(open.log.view().visible().0 + 2048);
            world.deleted = world.deleted.max(position);
            open.delete_before(PhysicalOffset(position))
        }
        kind => {
            let bytes = if kind == 5 {
                900
            } else {
                usize::try_from(random.below(120)).unwrap()
            };
            let batch = world.batch(u32::try_from(random.below(3)).unwrap(), 1, bytes, false);
            world.send(open, batch, Acknowledge::Flushed)
        }
    }
}

/// What goes wrong besides the crash, in some lives.
fn trouble(world: &World, random: &SeededEntropy) {
    const OPERATIONS: [Operation; 9] = [
        Operation::Write,
        Operation::SyncData,
        Operation::Allocate,
        Operation::SyncDirectory,
        Operation::Create,
        Operation::SetLength,
        Operation::Rename,
        Operation::Remove,
        Operation::Zero,
    ];
    const PLACES: [&str; 5] = ["commitlog", "consumequeue", "index", "cuemq", ""];
    let choose = |count: usize| usize::try_from(random.below(count as u64)).unwrap();
    match random.below(4) {
        0 => {
            let fault = Fault::new(OPERATIONS[choose(OPERATIONS.len())])
                .on(PLACES[choose(PLACES.len())])
                .after(random.below(20))
                .times(1)
                .partial(random.below(300));
            world.disk.inject(fault);
        }
        1 if random.below(3) == 0 => world.disk.set_capacity(random.below(64 * 1024)),
        _ => {}
    }
}

/// Whether the history itself has brought about this error.
fn is_expected(error: &StoreError) -> bool {
    let StoreError::Io { source, .. } = error else {
        return false;
    };
    is_death(error) || source.kind() == ErrorKind::StorageFull || source.raw_os_error() == Some(5)
}

/// Opens the store, whatever it takes: crashes and failures may also come while it recovers.
fn reopen(world: &mut World, random: &SeededEntropy) -> Open {
    for deaths in 0.. {
        match world.open() {
            Ok(mut open) => {
                world.check(&mut open);
                world.adopt(&open);
                world.durable = open.log.view().durable().0;
                return open;
            }
            Err(error) => {
                assert!(is_expected(&error), "{error}");
                lose(world, random);
                world.disk.clear_faults();
                world.disk.set_capacity(ROOMY);
                let next = if deaths < DEATHS_IN_A_ROW {
                    1 + random.below(100)
                } else {
                    u64::MAX
                };
                world.disk.crash_at(next);
            }
        }
    }
    unreachable!("a start that nothing disturbs succeeds")
}

/// Ends the process or the machine.
fn lose(world: &mut World, random: &SeededEntropy) {
    if ending::lose(&world.disk, random) {
        world.forget_unsafe();
    }
}

/// One life of the store after it was opened; `Err` says how it was cut short.
fn life(world: &mut World, open: &mut Open, random: &SeededEntropy) -> Result<()> {
    world.disk.crash_at(1 + random.below(60));
    trouble(world, random);
    let lived = (0..40).try_for_each(|_| step(world, open, random));
    world.durable = open.log.view().durable().0;
    lived?;
    world.flush_due(open)?;
    world.durable = open.log.view().durable().0;
    Ok(())
}

fn live(seed: u64, mode: FlushMode) {
    let random = SeededEntropy::new(seed);
    let mut world = World::new(seed, mode);
    for _ in 0..4 {
        let mut open = reopen(&mut world, &random);
        let mut ended = life(&mut world, &mut open, &random);
        let is_settled = ended.is_ok() && !open.log.view().is_poisoned();
        if is_settled && random.below(2) == 0 {
            ended = open.close(world.now_ms);
            if ended.is_ok() {
                world.disk.kill();
            } else {
                lose(&mut world, &random);
            }
        } else {
            lose(&mut world, &random);
        }
        if let Err(error) = ended {
            assert!(is_expected(&error), "{error}");
            if !is_death(&error) {
                // What failed to be synced may be gone with the page cache, also when only the process has ended.
                world.forget_unsafe();
            }
        }
        world.disk.clear_faults();
        world.disk.set_capacity(ROOMY);
        world.disk.crash_at(1 + random.below(200));
        trouble(&world, &random);
    }
    world.disk.kill();
    world.disk.clear_faults();
    world.disk.set_capacity(ROOMY);
    world.disk.crash_at(u64::MAX);
    reopen(&mut world, &random);
}

fn live_all(seeds: std::ops::Range<u64>, mode: FlushMode) {
    for seed in seeds {
        let lived = std::panic::catch_unwind(|| live(seed, mode));
        if let Err(panic) = lived {
            eprintln!("seed {seed}, {mode:?}");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn promise_3_after_a_crash_at_any_change_the_store_opens_with_every_acknowledged_message() {
    live_all(seeds(1), FlushMode::Sync);
}

#[test]
fn promise_1_under_async_flush_a_crash_takes_only_what_was_not_flushed_and_a_kill_takes_nothing() {
    live_all(seeds(2), FlushMode::Async);
}

/// Has the start die at each of its changes, the power fail then, and the next start find everything.
pub(super) fn at_each_change_of_a_start(prepare: impl Fn() -> World) {
    for change in 1.. {
        let mut world = prepare();
        world.disk.crash_at(change);
        if world.open().is_ok() {
            assert!(change > 10, "a start changes the disk");
            return;
        }
        let survival = match change % 3 {
            0 => Survival::Nothing,
            1 => Survival::Everything,
            _ => Survival::Random(change),
        };
        world.disk.crash(survival);
        let mut open = world.open().unwrap();
        world.check(&mut open);
    }
}

fn with_messages(seed: u64, open: &mut Open, world: &mut World) {
    let random = SeededEntropy::new(seed);
    for _ in 0..20 {
        let batch = world.batch(u32::try_from(random.below(3)).unwrap(), 1, 100, false);
        world.send(open, batch, Acknowledge::Flushed).unwrap();
    }
}

#[test]
fn promise_3_a_checkpoint_that_only_the_page_cache_had_does_not_let_a_later_start_begin_too_late() {
    at_each_change_of_a_start(|| {
        let mut world = World::new(1, FlushMode::Sync);
        let mut open = world.open().unwrap();
        with_messages(1, &mut open, &mut world);
        open.checkpoint(world.now_ms).unwrap();
        let file = world.disk.open("/store/checkpoint".as_ref(), OpenMode::Write).unwrap();
        file.write_at(&[IoSlice::new(&[0, 0, 1])], 0).unwrap();
        world.disk.kill();
        world
    });
}

#[test]
fn promise_3_a_crash_while_a_lost_consume_queue_is_rebuilt_leaves_no_half_of_it() {
    at_each_change_of_a_start(|| {
        let mut world = World::new(2, FlushMode::Sync);
        let mut open = world.open().unwrap();
        with_messages(2, &mut open, &mut world);
        open.close(world.now_ms).unwrap();
        world.disk.kill();
        world.lose_queue(1);
        world
    });
}
