//! Crashes at every change of the disk, and at random ones, with everything that a disk may keep or lose.

use super::world::{Open, World, is_death};
use crate::disk::memory::Survival;
use crate::entropy::{Entropy, SeededEntropy};
use crate::error::Result;
use crate::log_state::{Acknowledge, FlushMode};

/// One step of a random life.
fn step(world: &mut World, open: &mut Open, random: &SeededEntropy) -> Result<()> {
    match random.below(12) {
        0 => open.checkpoint(world.now_ms),
        1 => world.flush_due(open),
        2 => {
            let count = 2 + u32::try_from(random.below(3)).unwrap();
            let batch = world.batch(u32::try_from(random.below(3)).unwrap(), count, 20, true);
            world.send(open, batch, Acknowledge::Flushed)
        }
        kind => {
            let bytes = if kind == 3 {
                900
            } else {
                usize::try_from(random.below(120)).unwrap()
            };
            let batch = world.batch(u32::try_from(random.below(3)).unwrap(), 1, bytes, false);
            world.send(open, batch, Acknowledge::Flushed)
        }
    }
}

/// Opens the store, whatever it takes: a crash may also come while it recovers.
fn reopen(world: &mut World, random: &SeededEntropy) -> Open {
    loop {
        match world.open() {
            Ok(mut open) => {
                world.check(&mut open);
                world.adopt(&open);
                return open;
            }
            Err(error) => {
                assert!(is_death(&error), "{error}");
                lose(world, random);
            }
        }
    }
}

fn lose(world: &mut World, random: &SeededEntropy) {
    match random.below(5) {
        0 => world.disk.crash(Survival::Nothing),
        1 => world.disk.kill(),
        2 => world.disk.crash(Survival::Everything),
        _ => world.disk.crash(Survival::Random(random.next_u64())),
    }
}

fn live(seed: u64, mode: FlushMode) {
    let random = SeededEntropy::new(seed);
    let mut world = World::new(seed, mode);
    for _ in 0..4 {
        let mut open = reopen(&mut world, &random);
        world.disk.crash_at(1 + random.below(60));
        let ended = (0..40).try_for_each(|_| step(&mut world, &mut open, &random));
        if mode == FlushMode::Async {
            world.forget_unsafe(open.log.view().durable().0);
        }
        match ended {
            Ok(()) if random.below(2) == 0 => {
                let closed = open.close(world.now_ms);
                assert!(closed.as_ref().err().is_none_or(is_death), "{closed:?}");
                if closed.is_err() {
                    lose(&mut world, &random);
                }
            }
            Ok(()) => lose(&mut world, &random),
            Err(error) => {
                assert!(is_death(&error), "{error}");
                lose(&mut world, &random);
            }
        }
        world.disk.crash_at(1 + random.below(200));
    }
    world.disk.kill();
    world.disk.crash_at(u64::MAX);
    reopen(&mut world, &random);
}

#[test]
fn after_a_crash_at_any_change_the_store_opens_with_every_acknowledged_message() {
    for seed in 0..600 {
        live(seed, FlushMode::Sync);
    }
}

#[test]
fn under_async_flush_a_crash_takes_only_what_was_not_flushed() {
    for seed in 0..300 {
        live(seed, FlushMode::Async);
    }
}
