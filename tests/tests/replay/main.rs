//! What clients of 4.3.0, 4.9.8 and 5.3.3 asked real brokers of RocketMQ, asked again of ours: every recorded frame is sent
//! as it was, in its order and on its connection, and each answer says what the recorded one did, field by field. What had
//! no answer has none.
//!
//! `recording` loads the conversations, `stage` brings a broker to where the recorded one was, `player` plays, `compare`
//! compares, and `otherwise` lists what we deliberately answer otherwise, and what is not served yet. `name_server` does
//! the same with what real name servers were asked.
#![expect(
    clippy::unwrap_used,
    reason = "the whole program is a test, and a panic is how it fails"
)]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test prepares files that a broker finds, and is its client"
)]

mod client;
mod compare;
mod name_server;
mod otherwise;
mod player;
mod recording;
mod stage;

use player::Tally;

/// Plays all conversations of a release; how many answers and notices were compared.
fn replay(release: &str, packed: &[u8]) -> usize {
    let mut tally = Tally::default();
    for conversation in recording::conversations(packed) {
        player::play(release, &conversation, &mut tally);
    }
    let reasoned = |difference: &&player::Difference| otherwise::ROWS.iter().any(|row| row.allows(difference));
    let (known, unknown): (Vec<_>, Vec<_>) = tally.differences.iter().partition(reasoned);
    let list: Vec<String> = unknown.iter().map(ToString::to_string).collect();
    assert!(list.is_empty(), "{} answers differ:\n{}", list.len(), list.join("\n"));
    for row in otherwise::ROWS.iter().filter(|row| row.speaks_of(release)) {
        let hit = known.iter().any(|difference| row.allows(difference));
        assert!(hit, "nothing differs any more in {release} where {}", row.because);
    }
    assert_eq!(
        tally.unserved,
        otherwise::unserved(release),
        "requests that are not served"
    );
    assert_eq!(
        tally.unsent,
        otherwise::unsent(release),
        "requests to clients that are not made"
    );
    tally.compared.values().sum()
}

#[test]
fn a_4_3_0_brokers_answers_are_given() {
    let packed = include_bytes!("../../testdata/conversations/4.3.0.gz");
    assert_eq!(replay("4.3.0", packed), 392);
}

#[test]
fn a_4_9_7_brokers_answers_are_given() {
    let packed = include_bytes!("../../testdata/conversations/4.9.8.gz");
    assert_eq!(replay("4.9.8", packed), 438);
}

#[test]
fn a_5_3_3_brokers_answers_are_given() {
    let packed = include_bytes!("../../testdata/conversations/5.3.3.gz");
    assert_eq!(replay("5.3.3", packed), 313);
}
