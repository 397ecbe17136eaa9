//! The tree of actors that stands in ARCHITECTURE.md and in the crate's documentation is the one that a broker draws.

use cuemq_actors::testing::TestBroker;

const ARCHITECTURE: &str = include_str!("../../ARCHITECTURE.md");
const CRATE: &str = include_str!("../src/lib.rs");

/// The lines of a block that begins with the root of the tree, without what stands before each of them.
fn drawn(text: &str, before: &str) -> String {
    let lines = text.lines().map(|line| line.strip_prefix(before).unwrap_or_default());
    let block = lines.skip_while(|line| *line != "broker");
    block
        .take_while(|line| *line == "broker" || line.starts_with('|'))
        .fold(String::new(), |text, line| text + line + "\n")
}

#[test]
fn the_tree_is_drawn_as_it_runs() {
    let broker = TestBroker::start();
    let tree = broker.tree();
    broker.stop().unwrap();
    assert_eq!(
        drawn(ARCHITECTURE, "    "),
        tree,
        "ARCHITECTURE.md; the tree is\n{tree}"
    );
    assert_eq!(drawn(CRATE, "//! "), tree, "actors/src/lib.rs; the tree is\n{tree}");
}
