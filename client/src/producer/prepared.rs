//! A message, or a batch of them, as it leaves: with its ids, its properties, and its body compressed where that pays. Made
//! once for all attempts, so that a message that is sent again has the same id.

use std::borrow::Cow;
use std::io::Write;

use bytes::Bytes;
use cuemq_net::message::batch::{self, BatchEntry};
use cuemq_net::message::id::UniqueIds;
use cuemq_net::message::properties::name;
use cuemq_net::message::sysflag::{COMPRESSED, TransactionType};
use flate2::Compression;
use flate2::write::ZlibEncoder;

use crate::error::{Cause, Error};
use crate::message::{self, Message};
use crate::namespace::Namespace;
use crate::text::ShortText;

/// How the body is compressed, beside the bit that says that it is: zlib, as release 4.9 says it.
const ZLIB: i32 = 0x300;

/// What is sent.
pub(super) struct Prepared<'a> {
    pub(super) messages: &'a [Message],
    /// As brokers know it.
    pub(super) topic: Cow<'a, str>,
    pub(super) msg_id: ShortText,
    pub(super) body: Cow<'a, Bytes>,
    pub(super) properties: String,
    pub(super) flag: i32,
    pub(super) sys_flag: i32,
    pub(super) is_batch: bool,
    pub(super) is_reply: bool,
    pub(super) reconsume_times: i32,
    pub(super) max_reconsume_times: Option<i32>,
}

/// How to prepare.
pub(super) struct Preparing<'a> {
    pub(super) ids: &'a UniqueIds,
    pub(super) namespace: &'a Namespace,
    pub(super) now_ms: i64,
    pub(super) compress_over: usize,
    pub(super) compress_level: u32,
}

/// The properties as they leave: with a unique id and WAIT, unless they are there.
fn properties(message: &Message, preparing: &Preparing<'_>) -> (String, ShortText) {
    let set = message.encoded_properties();
    let mut properties = String::with_capacity(set.len() + 64);
    properties.push_str(set);
    let id = match message.get(name::UNIQUE_KEY) {
        Some(id) => id.into(),
        None => {
            let id = preparing.ids.next(preparing.now_ms);
            message::push(&mut properties, name::UNIQUE_KEY, id.as_str());
            id.as_str().into()
        }
    };
    if message.get(name::WAIT).is_none() {
        message::push(&mut properties, name::WAIT, "true");
    }
    if let Some(namespace) = preparing
        .namespace
        .name()
        .filter(|_| message.get(name::INSTANCE_ID).is_none())
    {
        message::push(&mut properties, name::INSTANCE_ID, namespace);
    }
    (properties, id)
}

fn compressed(body: &Bytes, level: u32) -> Option<Bytes> {
    let mut out = ZlibEncoder::new(Vec::with_capacity(body.len() / 2), Compression::new(level));
    out.write_all(body).ok()?;
    out.finish().ok().map(Bytes::from)
}

impl<'a> Prepared<'a> {
    /// One message.
    pub(super) fn one(messages: &'a [Message; 1], preparing: &Preparing<'_>, transaction: TransactionType) -> Self {
        let [message] = messages;
        let (properties, msg_id) = properties(message, preparing);
        let mut sys_flag = transaction.bits();
        let is_long = message.body().len() >= preparing.compress_over;
        let body = match is_long
            .then(|| compressed(message.body(), preparing.compress_level))
            .flatten()
        {
            Some(compressed) => {
                sys_flag |= COMPRESSED | ZLIB;
                Cow::Owned(compressed)
            }
            None => Cow::Borrowed(message.body()),
        };
        let is_reply = message.get(name::MESSAGE_TYPE) == Some("reply");
        let topic = match is_reply {
            // the cluster's own topic
            true => Cow::Borrowed(message.topic()),
            false => preparing.namespace.wrap(message.topic()),
        };
        let number = |name| message.get(name).and_then(|number| number.parse().ok());
        Self {
            messages,
            topic,
            msg_id,
            body,
            properties,
            flag: message.flag_value(),
            sys_flag,
            is_batch: false,
            is_reply,
            reconsume_times: number(name::RECONSUME_TIME).unwrap_or_default(),
            max_reconsume_times: number(name::MAX_RECONSUME_TIMES),
        }
    }

    /// Messages of one topic that are stored together: never compressed, as by Java.
    ///
    /// # Errors
    /// When they cannot be one batch.
    pub(super) fn batch(messages: &'a [Message], preparing: &Preparing<'_>) -> Result<Self, Error> {
        let first = check_batch(messages)?;
        let mut body = Vec::new();
        let mut msg_ids = Vec::with_capacity(messages.len());
        for message in messages {
            let (properties, msg_id) = properties(message, preparing);
            let entry = BatchEntry {
                flag: message.flag_value(),
                body: message.body(),
                properties: properties.as_bytes(),
            };
            let encoded = batch::encode(&entry, &mut body);
            encoded.map_err(|error| Cause::Invalid(error.to_string()).nowhere().topic(first.topic()))?;
            msg_ids.push(String::from(msg_id));
        }
        let mut properties = String::new();
        message::push(&mut properties, name::WAIT, first.get(name::WAIT).unwrap_or("true"));
        Ok(Self {
            messages,
            topic: preparing.namespace.wrap(first.topic()),
            msg_id: msg_ids.join(",").into(),
            body: Cow::Owned(body.into()),
            properties,
            flag: 0,
            sys_flag: 0,
            is_batch: true,
            is_reply: false,
            reconsume_times: 0,
            max_reconsume_times: None,
        })
    }
}

/// Refuses messages that are no batch (`MessageBatch.generateFromList`); gives the first.
fn check_batch(messages: &[Message]) -> Result<&Message, Error> {
    let refuse = |message: &Message, rule: &str| Err(Cause::Invalid(rule.to_owned()).nowhere().topic(message.topic()));
    let Some(first) = messages.first() else {
        return Err(Cause::Invalid("the batch has no message".to_owned()).nowhere());
    };
    for message in messages {
        let delays = [
            name::DELAY,
            name::TIMER_DELAY_MS,
            name::TIMER_DELAY_SECONDS,
            name::TIMER_DELIVER_MS,
        ];
        if delays.iter().any(|name| message.get(name).is_some()) {
            return refuse(message, "a message of a batch cannot be delayed");
        }
        if message.topic().starts_with("%RETRY%") {
            return refuse(message, "a batch cannot go to a retry topic");
        }
        if message.topic() != first.topic() {
            return refuse(message, "the messages of a batch have one topic");
        }
        if message.get(name::WAIT).unwrap_or("true") != first.get(name::WAIT).unwrap_or("true") {
            return refuse(message, "the messages of a batch all wait for the disk, or none does");
        }
    }
    Ok(first)
}

/// The bytes that a message takes in a batch at most.
pub(super) fn entry_bytes(message: &Message) -> usize {
    /// What the ids and WAIT add to the properties at most.
    const ADDED: usize = 80;
    message.body().len() + message.encoded_properties().len() + batch::ENTRY_FIXED_BYTES + ADDED
}

/// Cuts messages into batches of at most so many bytes, bodies, properties and what a batch adds counted; a message that is
/// longer by itself is a batch by itself.
#[must_use]
pub(super) fn split(messages: Vec<Message>, max_bytes: usize) -> Vec<Vec<Message>> {
    let mut parts: Vec<Vec<Message>> = Vec::new();
    let mut bytes = 0;
    for message in messages {
        let own = entry_bytes(&message);
        match parts.last_mut() {
            Some(part) if bytes + own <= max_bytes => {
                bytes += own;
                part.push(message);
            }
            _ => {
                bytes = own;
                parts.push(vec![message]);
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::{IpAddr, Ipv4Addr};

    static NONE: std::sync::LazyLock<Namespace> = std::sync::LazyLock::new(Namespace::default);

    fn preparing(ids: &UniqueIds) -> Preparing<'_> {
        Preparing {
            ids,
            namespace: &NONE,
            now_ms: 1_700_000_000_000,
            compress_over: 4096,
            compress_level: 5,
        }
    }

    fn ids() -> UniqueIds {
        UniqueIds::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7, 9)
    }

    #[test]
    fn a_body_of_4096_bytes_is_compressed_and_a_shorter_one_is_not() {
        let ids = ids();
        let short = [Message::new("T", vec![b'x'; 4095])];
        let prepared = Prepared::one(&short, &preparing(&ids), TransactionType::None);
        assert_eq!((prepared.sys_flag, prepared.body.len()), (0, 4095));
        let long = [Message::new("T", vec![b'x'; 4096])];
        let prepared = Prepared::one(&long, &preparing(&ids), TransactionType::Prepared);
        assert_eq!(prepared.sys_flag, 0x305);
        assert!(prepared.body.len() < 100);
        let mut unfolded = Vec::new();
        flate2::read::ZlibDecoder::new(&prepared.body[..])
            .read_to_end(&mut unfolded)
            .unwrap();
        assert_eq!(unfolded, vec![b'x'; 4096]);
    }

    #[test]
    fn every_message_gets_an_id_of_its_own_unless_it_has_one() {
        let ids = ids();
        let messages = [Message::new("T", "b").tags("A")];
        let first = Prepared::one(&messages, &preparing(&ids), TransactionType::None);
        let second = Prepared::one(&messages, &preparing(&ids), TransactionType::None);
        assert_ne!(first.msg_id, second.msg_id);
        let expected = format!("TAGS\x01A\x02UNIQ_KEY\x01{}\x02WAIT\x01true\x02", first.msg_id);
        assert_eq!(first.properties, expected);
        assert_eq!(first.msg_id.len(), 32);
        assert!(first.msg_id.starts_with("7F000001"));
        let has_one = [Message::new("T", "b")
            .with(name::UNIQUE_KEY, "id")
            .wait_store_msg_ok(false)];
        let prepared = Prepared::one(&has_one, &preparing(&ids), TransactionType::None);
        assert_eq!(
            (prepared.msg_id.as_str(), prepared.properties.as_str()),
            ("id", "UNIQ_KEY\x01id\x02WAIT\x01false\x02")
        );
    }

    #[test]
    fn a_batch_holds_its_messages_with_an_id_each() {
        let ids = ids();
        let messages = [Message::new("T", "one").tags("A"), Message::new("T", "two").flag(7)];
        let prepared = Prepared::batch(&messages, &preparing(&ids)).unwrap();
        let entries: Vec<_> = batch::entries(&prepared.body).collect::<Result<_, _>>().unwrap();
        assert_eq!(
            entries.iter().map(|entry| entry.body).collect::<Vec<_>>(),
            [&b"one"[..], b"two"]
        );
        assert_eq!(entries[1].flag, 7);
        let ids: Vec<_> = prepared.msg_id.split(',').collect();
        for (entry, id) in entries.iter().zip(&ids) {
            assert!(String::from_utf8_lossy(entry.properties).contains(id));
        }
        assert_eq!((ids.len(), prepared.properties.as_str()), (2, "WAIT\x01true\x02"));
    }

    #[test]
    fn what_is_no_batch_is_refused() {
        let ids = ids();
        let one = || Message::new("T", "b");
        let refused = [
            vec![],
            vec![one(), one().delay_time_level(1)],
            vec![one(), Message::new("U", "b")],
            vec![one(), one().wait_store_msg_ok(false)],
            vec![Message::new("%RETRY%g", "b")],
        ];
        for messages in refused {
            assert!(
                matches!(Prepared::batch(&messages, &preparing(&ids)), Err(Error::Fix(_))),
                "{messages:?}"
            );
        }
    }

    #[test]
    fn a_long_batch_is_cut_to_the_limit_and_keeps_its_order() {
        let messages: Vec<_> = (0..10).map(|n| Message::new("T", vec![n; 100])).collect();
        let parts = split(messages.clone(), 700);
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 3, 1]);
        assert_eq!(parts.concat(), messages);
        for part in &parts {
            assert!(Prepared::batch(part, &preparing(&ids())).unwrap().body.len() <= 700);
        }
        assert_eq!(split(vec![Message::new("T", vec![0; 9000])], 700).len(), 1);
    }
}
