//! Applications with real clients, the broker and a name server in a deterministic simulation, seed by seed.
//!
//! `CUEMQ_SEED=n` makes `every_history_keeps_the_promises_to_applications` replay that seed and print its history; let it
//! run alone then (`--exact`), in a process of its own. `CUEMQ_SEEDS=n` or `CUEMQ_SEEDS=a..b` plays others than the usual ones.

use std::time::Duration;

use cuemq_tests::sim::{AppsOutcome, play, run_apps, run_apps_calmly, seeds};

/// How many seeds are played unless the environment says otherwise.
const SEEDS: u64 = 200;
/// Of how many seeds one is played twice.
const REPLAYED: usize = 20;

#[test]
fn every_history_keeps_the_promises_to_applications() {
    if let Ok(seed) = std::env::var("CUEMQ_SEED") {
        tracing_subscriber::fmt()
            .with_env_filter(std::env::var("RUST_LOG").unwrap_or_else(|_| "info,cuemq_client=debug".to_owned()))
            .without_time()
            .init();
        let outcome = run_apps(seed.parse().expect("CUEMQ_SEED is a number"), true);
        println!("{outcome:#?}");
        assert!(outcome.violations.is_empty());
        return;
    }
    let outcomes = play(&seeds(SEEDS).collect::<Vec<_>>(), |seed| run_apps(seed, false));
    let mut bad = Vec::new();
    for (seed, outcome) in &outcomes {
        if let Some(first) = outcome.violations.first() {
            let count = outcome.violations.len();
            bad.push(format!("seed {seed}: {count} broken promises, the first: {first}"));
        }
    }
    let sum = |of: fn(&AppsOutcome) -> usize| outcomes.iter().map(|(_, outcome)| of(outcome)).sum::<usize>();
    let (count, acknowledged, got) = (
        outcomes.len(),
        sum(|outcome| outcome.acknowledged),
        sum(|outcome| outcome.got),
    );
    let (again, came) = (sum(|outcome| outcome.again), sum(|outcome| outcome.came));
    println!(
        "{count} histories; {acknowledged} messages acknowledged to strict senders, {got} given to listeners, {again} of them again; {came} came later"
    );
    assert!(bad.is_empty(), "replay with `just sim-apps SEED`:\n{}", bad.join("\n"));
    assert!(
        acknowledged > count * 50 && got > count * 100 && came > count * 5,
        "the histories are empty"
    );
}

/// The hash of a seed's trace, played in a process of its own: tokio numbers the tasks of a process through, and drops them in
/// the order of hashes of their numbers, so that a second history in one process may end its connections in another order.
fn hash_of(seed: u64) -> String {
    let program = std::env::current_exe().expect("a test knows its program");
    let played = std::process::Command::new(program)
        .args([
            "every_history_keeps_the_promises_to_applications",
            "--exact",
            "--nocapture",
        ])
        .env("CUEMQ_SEED", seed.to_string())
        .env("RUST_LOG", "off")
        .output()
        .expect("the test's program starts");
    let told = String::from_utf8_lossy(&played.stdout);
    let hash = told.lines().find(|line| line.trim_start().starts_with("hash: "));
    hash.unwrap_or_else(|| panic!("seed {seed} tells no hash: {told}"))
        .to_owned()
}

#[test]
fn a_seed_replays_to_the_same_trace() {
    for seed in (0..SEEDS).step_by(REPLAYED) {
        assert_eq!(hash_of(seed), hash_of(seed), "seed {seed} replays to another trace");
    }
}

#[test]
fn a_calm_history_breaks_nothing() {
    let outcome = run_apps_calmly(1, Duration::from_secs(3));
    assert_eq!(outcome.violations, []);
    assert!(outcome.got > 100, "{outcome:?}");
}
