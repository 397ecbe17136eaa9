//! What happened to a message, as a line of a trace (`TraceDataEncoder`): fields with 0x01 between, 0x02 behind.
//!
//! | kind | fields |
//! |---|---|
//! | `Pub` | time, region, group, topic, id, tags, keys, store host, body length, cost, message type, offset id, success |
//! | `EndTransaction` | time, region, group, topic, id, tags, keys, store host, message type, transaction, state, from a check |
//!
//! What there is not is the text `null`, as Java writes it.

/// The names of Java's `MessageType` by their numbers.
pub(super) const NORMAL: u8 = 0;
pub(super) const TRANSACTION_HALF: u8 = 1;
pub(super) const TRANSACTION_COMMIT: u8 = 2;
pub(super) const DELAY: u8 = 3;

const FIELD_END: char = '\u{1}';
const RECORD_END: char = '\u{2}';

/// A line, and the keys by which it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TraceRecord {
    pub(super) line: String,
    pub(super) keys: Vec<String>,
}

impl TraceRecord {
    /// Makes a line of these fields, to be found by an id and by the message's keys.
    pub(crate) fn new(fields: &[&dyn ToString], msg_id: &str, keys: &str) -> Self {
        let mut line = String::new();
        for (at, field) in fields.iter().enumerate() {
            if at > 0 {
                line.push(FIELD_END);
            }
            line.push_str(&field.to_string());
        }
        line.push(RECORD_END);
        let ids = msg_id.split(',').chain(keys.split(' '));
        let keys = ids
            .filter(|key| !key.is_empty() && *key != "null")
            .map(str::to_owned)
            .collect();
        Self { line, keys }
    }
}

/// A value, or what Java writes where there is none.
pub(crate) fn or_null(value: Option<&str>) -> &str {
    value.unwrap_or("null")
}
