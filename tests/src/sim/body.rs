//! What the simulated producers send: each message has a number of its own, and a body that follows from it alone, so
//! that a reader can tell whether it got the whole of it.

use std::fmt;

use cuemq_storage::entropy::{Entropy, SeededEntropy};

/// The queues of each topic.
pub(super) const QUEUES_PER_TOPIC: u8 = 2;
/// The topics.
pub(super) const TOPICS: u8 = 2;

/// A message: the `number`th of a sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Message {
    /// The sender.
    pub sender: u16,
    /// Its number, from 0.
    pub number: u32,
}

impl fmt::Display for Message {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.sender, self.number)
    }
}

impl Message {
    /// The body: the number and as many bytes as follow from it, now and then a few KiB.
    #[must_use]
    pub fn body(self) -> Vec<u8> {
        let entropy = SeededEntropy::new(u64::from(self.sender) << 32 | u64::from(self.number));
        let most = if entropy.below(8) == 0 { 6000 } else { 400 };
        let filling = entropy.below(most);
        let mut body = format!("{self}/").into_bytes();
        body.extend((0..filling).map(|_| b'a' + u8::try_from(entropy.below(26)).unwrap_or_default()));
        body
    }

    /// The message whose body this is, to the last byte.
    #[must_use]
    pub fn of(body: &[u8]) -> Option<Self> {
        let end = body.iter().position(|&byte| byte == b'/')?;
        let (sender, number) = std::str::from_utf8(body.get(..end)?).ok()?.split_once(':')?;
        let message = Self {
            sender: sender.parse().ok()?,
            number: number.parse().ok()?,
        };
        (message.body() == body).then_some(message)
    }
}

/// What a reader got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A whole message.
    Whole(Message),
    /// Bytes that nobody sent so.
    Torn(String),
}

impl Content {
    /// What this body is.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        match Message::of(body) {
            Some(message) => Self::Whole(message),
            None => Self::Torn(String::from_utf8_lossy(body).chars().take(40).collect()),
        }
    }
}

/// A queue of the simulated topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Queue {
    /// The topic's number.
    pub topic: u8,
    /// The queue in it.
    pub queue_id: u8,
}

impl Queue {
    /// All queues.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..TOPICS).flat_map(|topic| (0..QUEUES_PER_TOPIC).map(move |queue_id| Self { topic, queue_id }))
    }

    /// The topic's name.
    #[must_use]
    pub fn topic_name(self) -> String {
        format!("T{}", self.topic)
    }
}

impl fmt::Display for Queue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "T{}/{}", self.topic, self.queue_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_tells_its_message_and_whether_it_is_whole() {
        let message = Message { sender: 3, number: 7 };
        let body = message.body();
        assert_eq!(Content::of(&body), Content::Whole(message));
        assert!(matches!(Content::of(&body[..body.len() - 1]), Content::Torn(_)));
        let mut changed = body.clone();
        *changed.last_mut().unwrap() = b'!';
        assert!(matches!(Content::of(&changed), Content::Torn(_)));
        assert!(matches!(Content::of(b""), Content::Torn(_)));
    }
}
