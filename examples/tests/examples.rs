//! Runs every example as its page says, against a broker of its own, and looks at what it prints.
#![expect(
    clippy::unwrap_used,
    reason = "the whole program is a test, and a panic is how it fails"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Each example with what it has to print, in whatever order.
const PRINTS: &[(&str, &[&str])] = &[
    ("admin", &["queues: 2, messages: 1", "found: 17 EUR"]),
    ("consume", &["order 0", "order 9"]),
    ("consume_broadcast", &["kitchen: it rains", "garden: it rains"]),
    ("consume_filtered", &["worth telling: a globe"]),
    ("consume_in_order", &[]),
    (
        "consume_stream",
        &["as a stream: reading 0", "as a stream: reading 9", "polled: "],
    ),
    ("first_message", &[]),
    (
        "lite_pull",
        &[
            "polled the first time: 20.1",
            "polled the second time: 20.1",
            "committed: Some(1)",
        ],
    ),
    ("produce", &["stored: SendOk at 0 of queue "]),
    ("produce_async", &["stored: 100 messages"]),
    ("produce_batch", &["a batch of "]),
    (
        "produce_delayed",
        &["served: an egg, after 300 ms", "served: tea, after a second"],
    ),
    ("produce_oneway", &["both readings are there"]),
    ("pull", &["pulled: 20.1", "pulled: 20.2"]),
    ("request_reply", &["12+30 is 42"]),
    ("test_one_actor", &[]),
    (
        "test_whole_broker",
        &[
            "acknowledged by a broker without sockets",
            "what was acknowledged is there, stored at noon",
        ],
    ),
    ("timers", &["taken back: true"]),
    ("trace", &["traced: Pub of group shop to Orders"]),
    (
        "transaction",
        &[
            "transfer of 1000: Rollback",
            "told of the transfer of 12",
            "told of the transfer of 7",
        ],
    ),
];

/// Builds the examples as this test was built, and gives their folder. With the whole workspace they have the features that
/// they have in its tests, so that nothing is to be done there.
fn built() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let profile = here.parent().and_then(Path::parent).unwrap().to_owned();
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--locked", "--quiet", "--workspace", "--examples"]);
    if profile.ends_with("release") {
        build.arg("--profile=bench");
    }
    assert!(build.status().unwrap().success(), "the examples are not built");
    profile.join("examples")
}

#[test]
fn every_example_runs_and_prints_what_it_shows() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry
            .unwrap()
            .path()
            .file_stem()
            .unwrap()
            .to_string_lossy()
            .into_owned()
    };
    let there: BTreeSet<_> = folder.read_dir().unwrap().map(name).collect();
    let listed: BTreeSet<_> = PRINTS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(there, listed, "each example says here what it prints");

    let programs = built();
    for (name, prints) in PRINTS {
        let ended = Command::new("timeout")
            .arg("60")
            .arg(programs.join(name))
            .output()
            .unwrap();
        let (out, err) = (
            String::from_utf8_lossy(&ended.stdout),
            String::from_utf8_lossy(&ended.stderr),
        );
        assert!(ended.status.success(), "{name}: {}\n{out}\n{err}", ended.status);
        assert!(!out.is_empty(), "{name} prints nothing");
        for line in *prints {
            assert!(out.contains(line), "{name} does not print {line:?}:\n{out}");
        }
    }
}
