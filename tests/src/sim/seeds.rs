//! Which histories are played, and on how many cores.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// The seeds that `CUEMQ_SEEDS` asks for (`n`, or `a..b`), else the first `usual`.
///
/// # Panics
/// When it says something else.
#[must_use]
#[expect(clippy::expect_used, reason = "it is what the test's caller said")]
pub fn seeds(usual: u64) -> Range<u64> {
    let Ok(text) = std::env::var("CUEMQ_SEEDS") else {
        return 0..usual;
    };
    let number = |text: &str| text.parse().expect("CUEMQ_SEEDS is a number, or two with .. between");
    match text.split_once("..") {
        Some((first, end)) => number(first)..number(end),
        None => 0..number(&text),
    }
}

/// Plays seeds on all cores; what came of each, in their order.
#[expect(clippy::disallowed_methods, reason = "each history is a simulation of its own")]
pub fn play<T: Send>(seeds: &[u64], run: impl Fn(u64) -> T + Sync) -> Vec<(u64, T)> {
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::new());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some(&seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = run(seed);
                    let mut outcomes = outcomes.lock().unwrap_or_else(PoisonError::into_inner);
                    outcomes.push((seed, outcome));
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcomes.sort_by_key(|(seed, _)| *seed);
    outcomes
}
