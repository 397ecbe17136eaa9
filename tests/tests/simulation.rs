//! The whole broker in a deterministic simulation, seed by seed.
//!
//! `CUEMQ_SEED=n` replays one seed and prints its history; `CUEMQ_SEEDS=n` or `CUEMQ_SEEDS=a..b` plays others than the
//! usual ones.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use std::time::Duration;

use cuemq_tests::sim::{Fault, Outcome, run, run_with};

/// How many seeds are played unless the environment says otherwise.
const SEEDS: u64 = 200;

/// The seeds that the environment asks for.
fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var("CUEMQ_SEEDS") else {
        return 0..SEEDS;
    };
    let number = |text: &str| text.parse().expect("CUEMQ_SEEDS is a number, or two with .. between");
    match text.split_once("..") {
        Some((first, end)) => number(first)..number(end),
        None => 0..number(&text),
    }
}

/// Plays seeds on all cores; what came of each, in order.
fn play(seeds: Range<u64>) -> Vec<(u64, Outcome)> {
    let next = AtomicU64::new(seeds.start);
    let outcomes = Mutex::new(Vec::new());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let outcome = run(seed, false);
                    outcomes
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push((seed, outcome));
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcomes.sort_by_key(|(seed, _)| *seed);
    outcomes
}

#[test]
fn every_history_keeps_the_promises() {
    if let Ok(seed) = std::env::var("CUEMQ_SEED") {
        tracing_subscriber::fmt().with_target(false).without_time().init();
        let outcome = run(seed.parse().expect("CUEMQ_SEED is a number"), true);
        println!("{outcome:#?}");
        assert!(outcome.violations.is_empty());
        return;
    }
    let outcomes = play(seeds());
    let (mut acknowledged, mut read, mut bad) = (0, 0, Vec::new());
    for (seed, outcome) in &outcomes {
        acknowledged += outcome.acknowledged;
        read += outcome.read;
        if let Some(first) = outcome.violations.first() {
            let count = outcome.violations.len();
            bad.push(format!("seed {seed}: {count} broken promises, the first: {first}"));
        }
    }
    let count = outcomes.len();
    println!("{count} histories, {acknowledged} messages acknowledged, {read} read");
    assert!(bad.is_empty(), "replay with CUEMQ_SEED=n:\n{}", bad.join("\n"));
    assert!(
        acknowledged > count * 50 && read > count * 50,
        "the histories are empty"
    );
}

#[test]
fn a_seed_replays_to_the_same_trace() {
    for seed in 0..4 {
        let (first, second) = (run(seed, false), run(seed, false));
        assert_eq!(first.hash, second.hash, "seed {seed}");
    }
}

#[test]
fn a_disk_that_is_full_for_a_while_needs_no_restart() {
    let fills = Fault::Fills {
        left: 200_000,
        rest: 0,
        time: Duration::from_secs(1),
    };
    let outcome = run_with(22, vec![(Duration::from_millis(500), fills)], false);
    assert_eq!(outcome.violations, []);
}
