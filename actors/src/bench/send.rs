//! The requests of `cuemq bench send`: one template for each topic and queue, taken in turn.
//!
//! Each message has a unique key of its own: 16 digits for the thread of this run, 16 for the message. Both have the
//! length of a Java client's key, so that records are as long as they would be from there.

use anyhow::{Context, Result};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::frame::HeaderCodec;
use cuemq_net::message::properties::{self, name};
use cuemq_net::request::SendHeader;

use super::engine::{Answer, Moment, Outcome, Work};
use super::scan::Scanner;
use super::stamp;
use super::template::{Place, Template};

/// The producing group.
pub(super) const GROUP: &str = "cuemq-bench-producer";
/// The topic whose settings new topics inherit.
const DEFAULT_TOPIC: &str = "TBW102";

const MARKED_RUN: &str = "0123456789ABCDEF";
const MARKED_COUNT: &str = "FEDCBA9876543210";
const MARKED_KEY: &str = "FEDC0123BA984567";
const MARKED_BORN: i64 = 1_112_223_334_445;

/// What every message has.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) codec: HeaderCodec,
    pub(super) body_bytes: usize,
    pub(super) wait: bool,
    pub(super) tag: Option<String>,
    pub(super) keys: bool,
    /// Whether each body begins with when its message was due, for who waits for it.
    pub(super) stamped: bool,
}

struct Send {
    template: Template,
    count: Place,
    key: Option<Place>,
    born: Place,
}

/// Sends in turn to all queues of all topics.
pub(super) struct Sends {
    sends: Vec<Send>,
    next: usize,
    body: Vec<u8>,
    /// The run, if bodies are stamped.
    stamp: Option<u64>,
    count: u64,
}

impl Sends {
    /// Builds the requests for some topics' queues. `run` tells the unique keys of this thread from all others.
    pub(super) fn new(message: &Message, topics: &[String], queues: u32, run: u64) -> Result<Self> {
        let mut sends = Vec::new();
        // queue by queue, so that neighbouring requests go to different topics
        for queue_id in 0..queues {
            for topic in topics {
                let queue_id = i32::try_from(queue_id)?;
                sends.push(
                    message
                        .to(topic, queue_id, queues, run)
                        .with_context(|| format!("topic {topic}"))?,
                );
            }
        }
        Ok(Self {
            sends,
            next: 0,
            body: body(message.body_bytes),
            stamp: message.stamped.then_some(run),
            count: 0,
        })
    }

    /// Begins elsewhere than at the first queue, so that threads do not go side by side.
    pub(super) fn starting_at(mut self, place: usize) -> Self {
        self.next = place % self.sends.len();
        self
    }
}

impl Work for Sends {
    fn ask(&mut self, _slot: usize, opaque: i32, moment: Moment, out: &mut Vec<u8>) {
        let count = self.sends.len();
        let send = &mut self.sends[self.next];
        self.next = if self.next + 1 == count { 0 } else { self.next + 1 };
        self.count += 1;
        let template = &mut send.template;
        template.set_opaque(opaque);
        template.set_hexadecimal(send.count, self.count);
        template.set_decimal(send.born, moment.wall_ms);
        if let Some(key) = send.key {
            template.set_hexadecimal(key, self.count);
        }
        out.extend_from_slice(template.bytes());
        let at = out.len();
        out.extend_from_slice(&self.body);
        if let Some(run) = self.stamp {
            stamp::write(&mut out[at..], run, moment.at_ns);
        }
    }

    fn answered(&mut self, _slot: usize, answer: Answer<'_>, _: &mut Scanner) -> Outcome {
        if answer.code != ResponseCode::SUCCESS.0 {
            return Outcome::default();
        }
        Outcome {
            messages: 1,
            bytes: self.body.len() as u64,
            broken: None,
        }
    }
}

impl Message {
    fn to(&self, topic: &str, queue_id: i32, queues: u32, run: u64) -> Result<Send> {
        let properties = self.properties()?;
        let header = SendHeader {
            producer_group: GROUP,
            topic,
            default_topic: DEFAULT_TOPIC,
            default_topic_queue_nums: i32::try_from(queues)?,
            queue_id,
            born_timestamp: MARKED_BORN,
            properties: Some(&properties),
            reconsume_times: Some(0),
            ..SendHeader::default()
        };
        let code = RequestCode::SEND_MESSAGE_V2;
        let mut template = Template::build(self.codec, code, |fields| header.write(fields), self.body_bytes)?;
        let run_place = template.find(MARKED_RUN)?;
        template.set_hexadecimal(run_place, run);
        Ok(Send {
            count: template.find(MARKED_COUNT)?,
            key: self.keys.then(|| template.find(MARKED_KEY)).transpose()?,
            born: template.find(&MARKED_BORN.to_string())?,
            template,
        })
    }

    fn properties(&self) -> Result<String> {
        let mut out = Vec::new();
        properties::push(&mut out, name::UNIQUE_KEY, &[MARKED_RUN, MARKED_COUNT].concat())?;
        properties::push(&mut out, name::WAIT, if self.wait { "true" } else { "false" })?;
        if let Some(tag) = &self.tag {
            properties::push(&mut out, name::TAGS, tag).context("the tag")?;
        }
        if self.keys {
            properties::push(&mut out, name::KEYS, MARKED_KEY)?;
        }
        Ok(String::from_utf8(out)?)
    }
}

/// A body that no file system makes smaller.
pub(super) fn body(bytes: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..bytes).map(|_| next()).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use cuemq_net::command::Command;
    use cuemq_net::message::properties::Properties;

    use super::*;

    fn decoded(codec: HeaderCodec) -> Vec<Command> {
        let message = Message {
            codec,
            body_bytes: 100,
            wait: false,
            tag: Some("TagA".to_owned()),
            keys: true,
            stamped: false,
        };
        let topics = ["T-0".to_owned(), "T-1".to_owned()];
        let mut sends = Sends::new(&message, &topics, 2, 0xAB).unwrap();
        let mut commands = Vec::new();
        for number in 0..5 {
            let mut out = Vec::new();
            let moment = Moment {
                at_ns: 0,
                wall_ms: 1_700_000_000_000 + number as u64,
            };
            sends.ask(0, 1_000_000_000 + number, moment, &mut out);
            commands.push(Command::decode(&Bytes::from(out)).unwrap());
        }
        commands
    }

    #[test]
    fn both_encodings_decode_to_what_was_meant() {
        for codec in [HeaderCodec::Json, HeaderCodec::Binary] {
            for (number, command) in decoded(codec).iter().enumerate() {
                assert_eq!((command.codec, command.code, command.flag), (codec, 310, 0));
                assert_eq!(command.opaque, 1_000_000_000 + number as i32);
                assert_eq!(command.body, body(100));
                let field = |key| command.fields.get(key).unwrap();
                let [topic, queue] = [["T-0", "0"], ["T-1", "0"], ["T-0", "1"], ["T-1", "1"]][number % 4];
                assert_eq!((field("b"), field("e"), field("d")), (topic, queue, "2"));
                assert_eq!(field("g"), (1_700_000_000_000 + number as u64).to_string());
                let properties = Properties::new(field("i").as_bytes());
                let count = format!("{:016X}", number + 1);
                assert_eq!(
                    properties.get("UNIQ_KEY"),
                    Some(format!("00000000000000AB{count}").as_str())
                );
                assert_eq!(properties.get("KEYS"), Some(count.as_str()));
                assert_eq!(
                    (properties.get("TAGS"), properties.get("WAIT")),
                    (Some("TagA"), Some("false"))
                );
            }
        }
    }
}
