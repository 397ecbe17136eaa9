//! Loads the recorded conversations; their format stands in `testdata/conversations/README.md`.

use std::collections::BTreeMap;
use std::io::Read;

use bytes::Bytes;
use cuemq_net::command::Command;
use flate2::read::GzDecoder;

/// What some clients and one broker said to each other, in the order in which it crossed the wire.
pub(crate) struct Conversation {
    /// The file that it was recorded in, for people.
    pub(crate) group: String,
    pub(crate) lines: Vec<Line>,
}

/// One frame.
pub(crate) struct Line {
    pub(crate) scenario: String,
    /// Milliseconds since the scenario began.
    pub(crate) ms: u64,
    pub(crate) connection: u32,
    /// Whether the connection is one to the port two below.
    pub(crate) fast: bool,
    /// Whether it went to the broker.
    pub(crate) to_broker: bool,
    pub(crate) frame: Bytes,
    pub(crate) command: Command,
}

impl Conversation {
    /// The request of each answer, by the line of the answer.
    pub(crate) fn asked(&self) -> BTreeMap<usize, &Line> {
        let mut open = BTreeMap::new();
        let mut asked = BTreeMap::new();
        for (at, line) in self.lines.iter().enumerate() {
            let key = (line.connection, line.command.opaque);
            match (line.to_broker, line.command.is_response()) {
                (true, false) => drop(open.insert(key, line)),
                (false, true) => drop(open.remove(&key).map(|request| asked.insert(at, request))),
                _ => {}
            }
        }
        asked
    }
}

/// The conversations in one packed recording.
pub(crate) fn conversations(packed: &[u8]) -> Vec<Conversation> {
    let mut text = String::new();
    GzDecoder::new(packed).read_to_string(&mut text).unwrap();
    let mut conversations: Vec<Conversation> = Vec::new();
    let mut scenario = "";
    for line in text.lines() {
        if let Some(group) = line.strip_prefix("# ") {
            let (group, lines) = (group.to_owned(), Vec::new());
            conversations.push(Conversation { group, lines });
        } else if let Some(name) = line.strip_prefix("- ") {
            scenario = name;
        } else {
            conversations.last_mut().unwrap().lines.push(read(scenario, line));
        }
    }
    conversations
}

fn read(scenario: &str, line: &str) -> Line {
    let words: Vec<_> = line.split(' ').collect();
    let [ms, connection, direction, hex] = words[..] else {
        panic!("not four words: {line}")
    };
    let number = connection.trim_end_matches('v');
    let digits = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    let frame: Bytes = (0..hex.len()).step_by(2).map(digits).collect();
    Line {
        scenario: scenario.to_owned(),
        ms: ms.parse().unwrap(),
        connection: number.parse().unwrap(),
        fast: number != connection,
        to_broker: direction == ">",
        command: Command::decode(&frame).unwrap(),
        frame,
    }
}
