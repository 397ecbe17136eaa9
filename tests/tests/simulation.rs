//! The whole broker in a deterministic simulation, seed by seed.
//!
//! `CUEMQ_SEED=n` makes `every_history_keeps_the_promises` replay that seed and print its history; let it run alone then
//! (`--exact`), or the other tests' brokers are heard between its lines. `CUEMQ_SEEDS=n` or `CUEMQ_SEEDS=a..b` plays others
//! than the usual ones.

use std::collections::BTreeSet;
use std::time::Duration;

use cuemq_storage::log_state::FlushMode;
use cuemq_tests::sim::{End, Fault, Outcome, PANICS, Violation, play, run, run_aging, run_hasty, run_with, seeds};

/// How many seeds are played unless the environment says otherwise.
const SEEDS: u64 = 200;
/// Of how many seeds one is played twice.
const REPLAYED: usize = 5;

#[test]
fn every_history_keeps_the_promises() {
    if let Ok(seed) = std::env::var("CUEMQ_SEED") {
        tracing_subscriber::fmt().with_target(false).without_time().init();
        let outcome = run(seed.parse().expect("CUEMQ_SEED is a number"), true);
        println!("{outcome:#?}");
        assert!(outcome.violations.is_empty());
        return;
    }
    let outcomes = play(&seeds(SEEDS).collect::<Vec<_>>(), |seed| run(seed, false));
    let mut bad = Vec::new();
    for (seed, outcome) in &outcomes {
        if let Some(first) = outcome.violations.first() {
            let count = outcome.violations.len();
            bad.push(format!("seed {seed}: {count} broken promises, the first: {first}"));
        }
    }
    let sum = |of: fn(&Outcome) -> usize| outcomes.iter().map(|(_, outcome)| of(outcome)).sum::<usize>();
    let (count, acknowledged, read) = (
        outcomes.len(),
        sum(|outcome| outcome.acknowledged),
        sum(|outcome| outcome.read),
    );
    let notices = sum(|outcome| outcome.notices);
    let came = sum(|outcome| outcome.came);
    let later = sum(|outcome| usize::from(outcome.flush == FlushMode::Async));
    println!(
        "{count} histories, {later} of them under async flush; {acknowledged} messages acknowledged, {read} read; {came} came later; {notices} notices"
    );
    assert!(bad.is_empty(), "replay with `just sim SEED`:\n{}", bad.join("\n"));
    assert!(
        acknowledged > count * 50 && read > count * 100 && notices > count * 5 && came > count * 5,
        "the histories are empty"
    );
    has_all_panics(&outcomes);
}

/// Every actor has panicked at every place that it is to panic at, where there are enough histories.
fn has_all_panics(outcomes: &[(u64, Outcome)]) {
    let panicked: BTreeSet<String> = outcomes
        .iter()
        .flat_map(|(_, outcome)| &outcome.panicked)
        .map(|panic| format!("{panic:?}"))
        .collect();
    let missing: Vec<_> = PANICS.iter().map(|panic| format!("{panic:?}")).collect();
    let missing: Vec<_> = missing.iter().filter(|panic| !panicked.contains(*panic)).collect();
    assert!(
        missing.is_empty() || outcomes.len() < 4 * PANICS.len(),
        "without work for it: {missing:?}"
    );
}

#[test]
fn a_seed_replays_to_the_same_trace() {
    let seeds: Vec<u64> = (0..SEEDS).step_by(REPLAYED).collect();
    let again = || play(&seeds, |seed| run(seed, false)).into_iter();
    let twice = again().zip(again());
    for ((seed, first), (_, second)) in twice {
        assert_eq!(first.hash, second.hash, "seed {seed} replays to another trace");
    }
}

#[test]
fn a_disk_that_is_full_for_a_while_needs_no_restart() {
    // With 200,000 bytes the gate closes first; with fewer, consume queues, the index and the checkpoint find no room.
    for (seed, left) in (22..).zip([200_000, 100_000, 30_000, 5000, 0]) {
        let fills = Fault::Fills {
            left,
            rest: 0,
            time: Duration::from_secs(1),
        };
        let outcome = run_with(seed, FlushMode::Sync, vec![(Duration::from_millis(500), fills)], false);
        assert_eq!(outcome.violations, [], "{left} bytes left");
    }
}

/// Clients that the broker does not reach for longer than messages stay are told where to go on; nothing else is missed.
#[test]
fn messages_go_at_their_age_and_no_earlier_and_who_is_behind_goes_on() {
    let age = Duration::from_millis(1500);
    let seed = 60;
    let away = Fault::Partition {
        host: Some(2),
        time: 3 * age,
    };
    let ends = Fault::Ends {
        end: End::PowerLoss(seed),
        down: Duration::from_millis(20),
    };
    let faults = vec![(age, away), (age, ends), (2 * age, away)];
    let outcome = run_aging(seed, age, faults);
    assert_eq!(outcome.violations, [], "seed {seed}");
    assert!(outcome.deleted > 50 && outcome.moved > 0, "seed {seed}: {outcome:?}");
}

#[test]
fn a_broker_that_acknowledges_before_it_flushes_is_found_out() {
    let power_loss = |seed| Fault::Ends {
        end: End::PowerLoss(seed),
        down: Duration::from_millis(10),
    };
    let faults = (1..4).map(|seed| (Duration::from_millis(500), power_loss(seed)));
    let outcome = run_hasty(7, faults.collect());
    let is_lost = |violation: &Violation| matches!(violation, Violation::Lost { .. });
    let is_undurable = |violation: &Violation| matches!(violation, Violation::UndurableRead { .. });
    assert!(outcome.violations.iter().any(is_lost), "nothing acknowledged is lost");
    assert!(
        outcome.violations.iter().any(is_undurable),
        "nothing that was read is lost"
    );
}
