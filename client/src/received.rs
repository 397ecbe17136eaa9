//! A message as consumers and queries receive it (`MessageExt` in Java).
//!
//! It shares the memory of the answer that brought it: a clone counts a reference and copies nothing. Properties are read
//! where they lie, each time they are asked for.

use std::fmt;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use cuemq_net::body::MessageQueue;
use cuemq_net::message::id::OffsetMessageId;
use cuemq_net::message::properties::{Properties, name};
use cuemq_net::message::record::{self, Record, RecordError};
use cuemq_net::message::sysflag::{self, Compression};
use flate2::read::ZlibDecoder;

use crate::namespace::Namespace;

/// The longest body that a compressed one may unfold to, in bytes: four times what a Java producer sends at most.
const INFLATED_BODY_BYTES_MAX: u64 = 16 << 20;

/// What a consumer group's retry topic is called in front of the group's name.
pub(crate) const RETRY_TOPIC_PREFIX: &str = "%RETRY%";

/// A message that was stored by a broker. Clones are cheap.
#[derive(Clone)]
pub struct ReceivedMessage(Arc<Parts>);

#[derive(Clone)]
struct Parts {
    queue: Arc<MessageQueue>,
    /// Where a retried message was sent to first; else the queue's topic.
    original_topic: Option<String>,
    /// The topic as an application with a namespace knows it.
    seen_topic: Option<String>,
    body: Bytes,
    /// Whether the body is not as it was stored.
    is_unfolded: bool,
    properties: Bytes,
    flag: i32,
    system_flag: i32,
    queue_offset: i64,
    physical_offset: i64,
    born_timestamp_ms: i64,
    born_host: SocketAddr,
    store_timestamp_ms: i64,
    store_host: SocketAddr,
    stored_bytes: usize,
    reconsume_times: i32,
    prepared_transaction_offset: i64,
}

impl ReceivedMessage {
    /// Reads all records of a pull's answer; `queue` is where they were pulled from.
    pub(crate) fn read_all(records: &Bytes, queue: &Arc<MessageQueue>) -> Result<Vec<Self>, RecordError> {
        record::records(records)
            .map(|record| Ok(Self::of(record?, records, Arc::clone(queue))))
            .collect()
    }

    /// Reads a record whose broker is not known from a queue that was asked: of a query, a view, a check.
    pub(crate) fn read_one(record: &Bytes, broker_name: &str) -> Result<Self, RecordError> {
        let parsed = Record::parse(record)?;
        let queue = MessageQueue {
            topic: parsed.topic()?.to_owned(),
            broker_name: broker_name.to_owned(),
            queue_id: parsed.queue_id(),
        };
        Ok(Self::of(parsed, record, Arc::new(queue)))
    }

    fn of(record: Record<'_>, memory: &Bytes, queue: Arc<MessageQueue>) -> Self {
        let properties = memory.slice_ref(record.properties());
        let stored_body = memory.slice_ref(record.body());
        let unfolded = inflated(record.system_flag(), &stored_body);
        let original_topic = queue.topic.starts_with(RETRY_TOPIC_PREFIX).then(|| {
            let original = Properties::new(&properties).get(name::RETRY_TOPIC);
            original.unwrap_or(&queue.topic).to_owned()
        });
        Self(Arc::new(Parts {
            original_topic,
            seen_topic: None,
            queue,
            is_unfolded: unfolded.is_some(),
            body: unfolded.unwrap_or(stored_body),
            properties,
            flag: record.flag(),
            system_flag: record.system_flag(),
            queue_offset: record.queue_offset().cast_signed(),
            physical_offset: record.physical_offset().cast_signed(),
            born_timestamp_ms: record.born_timestamp_ms(),
            born_host: record.born_host(),
            store_timestamp_ms: record.store_timestamp_ms(),
            store_host: record.store_host(),
            stored_bytes: record.total_size(),
            reconsume_times: record.reconsume_times(),
            prepared_transaction_offset: record.prepared_transaction_offset(),
        }))
    }

    /// The topic that it was sent to, also where it comes again from a group's retry topic; without the namespace of the
    /// consumer that got it.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.0.seen_topic.as_deref().unwrap_or_else(|| self.stored_topic())
    }

    /// The same message as the applications of a namespace see it.
    pub(crate) fn in_namespace(self, namespace: &Namespace) -> Self {
        if namespace.name().is_none() {
            return self;
        }
        let seen_topic = Some(namespace.unwrap(self.stored_topic()).into_owned());
        let mut parts = Arc::unwrap_or_clone(self.0);
        parts.seen_topic = seen_topic;
        Self(Arc::new(parts))
    }

    /// The topic that it was sent to, as brokers know it.
    pub(crate) fn stored_topic(&self) -> &str {
        self.0.original_topic.as_deref().unwrap_or(&self.0.queue.topic)
    }

    /// The queue that it was taken from, as brokers know it: of a message that comes again, one of the group's retry topic.
    #[must_use]
    pub fn queue(&self) -> &MessageQueue {
        &self.0.queue
    }

    /// The body, unfolded where it was compressed by zlib. What is compressed otherwise, or does not unfold to at most 16
    /// MiB, is left as it was stored; [`ReceivedMessage::system_flag`] says how.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.0.body
    }

    /// All properties as they were stored.
    #[must_use]
    pub fn properties(&self) -> Properties<'_> {
        Properties::new(&self.0.properties)
    }

    /// The value of a property, the application's own or RocketMQ's.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties().get(name)
    }

    /// The tag, by which subscriptions choose.
    #[must_use]
    pub fn tags(&self) -> Option<&str> {
        self.property(name::TAGS)
    }

    /// The keys, by which queries find it.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.properties().keys()
    }

    /// The id that its producer gave it, which stays the same however often it comes; where it has none,
    /// [`ReceivedMessage::offset_message_id`].
    #[must_use]
    pub fn message_id(&self) -> String {
        self.property(name::UNIQUE_KEY)
            .map_or_else(|| self.offset_message_id(), str::to_owned)
    }

    /// The id by the place where this very record lies.
    #[must_use]
    pub fn offset_message_id(&self) -> String {
        let id = OffsetMessageId {
            host: self.0.store_host,
            physical_offset: self.0.physical_offset.cast_unsigned(),
        };
        id.to_string()
    }

    /// Its position in the queue.
    #[must_use]
    pub fn queue_offset(&self) -> i64 {
        self.0.queue_offset
    }

    /// Its position in the broker's commit log, in bytes.
    #[must_use]
    pub fn physical_offset(&self) -> i64 {
        self.0.physical_offset
    }

    /// The application's own flag.
    #[must_use]
    pub fn flag(&self) -> i32 {
        self.0.flag
    }

    /// The bits of [`cuemq_net::message::sysflag`].
    #[must_use]
    pub fn system_flag(&self) -> i32 {
        self.0.system_flag
    }

    /// When it was made, in milliseconds since 1970 by its producer's clock.
    #[must_use]
    pub fn born_timestamp_ms(&self) -> i64 {
        self.0.born_timestamp_ms
    }

    /// Its producer's address.
    #[must_use]
    pub fn born_host(&self) -> SocketAddr {
        self.0.born_host
    }

    /// When it was stored, in milliseconds since 1970 by the broker's clock.
    #[must_use]
    pub fn store_timestamp_ms(&self) -> i64 {
        self.0.store_timestamp_ms
    }

    /// The address of the broker that stored it.
    #[must_use]
    pub fn store_host(&self) -> SocketAddr {
        self.0.store_host
    }

    /// How often consumers of the group sent it back.
    #[must_use]
    pub fn reconsume_times(&self) -> i32 {
        self.0.reconsume_times
    }

    /// Where the half message of its transaction lies in the commit log, in bytes; 0 where there is none.
    #[must_use]
    pub fn prepared_transaction_offset(&self) -> i64 {
        self.0.prepared_transaction_offset
    }

    /// The bytes of the record that the broker stores.
    #[must_use]
    pub fn stored_bytes(&self) -> usize {
        self.0.stored_bytes
    }

    /// The bits of the system flag that still say how the body is compressed.
    pub(crate) fn compression_flag(&self) -> i32 {
        let says = sysflag::COMPRESSED | sysflag::COMPRESSION_MASK;
        if self.0.is_unfolded {
            0
        } else {
            self.0.system_flag & says
        }
    }

    /// The same message as one that came so often.
    pub(crate) fn with_reconsume_times(&self, reconsume_times: i32) -> Self {
        let mut parts = Parts::clone(&self.0);
        parts.reconsume_times = reconsume_times;
        Self(Arc::new(parts))
    }

    /// The memory that it holds on to, in bytes: what flow control counts, as the body's length in Java.
    pub(crate) fn body_bytes(&self) -> usize {
        self.0.body.len()
    }
}

/// Java prints all fields; this prints what people look for.
impl fmt::Debug for ReceivedMessage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ReceivedMessage")
            .field("topic", &self.topic())
            .field("broker_name", &self.0.queue.broker_name)
            .field("queue_id", &self.0.queue.queue_id)
            .field("queue_offset", &self.0.queue_offset)
            .field("message_id", &self.message_id())
            .field("tags", &self.tags())
            .field("reconsume_times", &self.0.reconsume_times)
            .field("body_bytes", &self.0.body.len())
            .finish_non_exhaustive()
    }
}

/// Unfolds a body that zlib compressed; `None` where it is not, or does not unfold within the limit.
fn inflated(system_flag: i32, body: &Bytes) -> Option<Bytes> {
    if sysflag::compression(system_flag)? != Compression::Zlib {
        return None;
    }
    let mut out = Vec::new();
    let mut decoder = ZlibDecoder::new(&body[..]).take(INFLATED_BODY_BYTES_MAX + 1);
    let length = decoder.read_to_end(&mut out).ok()?;
    (length as u64 <= INFLATED_BODY_BYTES_MAX).then(|| out.into())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use cuemq_net::message::record::{RecordFields, body_crc, encode, place};
    use flate2::write::ZlibEncoder;
    use std::io::Write;

    /// The bytes of a record at this queue offset, as a broker answers them.
    pub(crate) fn stored(topic: &str, properties: &[u8], body: &[u8], system_flag: i32, queue_offset: u64) -> Vec<u8> {
        let fields = RecordFields {
            body,
            body_crc: body_crc(body),
            topic,
            properties,
            queue_id: 3,
            flag: 7,
            system_flag,
            born_timestamp_ms: 1,
            born_host: "1.2.3.4:5".parse().unwrap(),
            store_host: "10.0.0.1:10911".parse().unwrap(),
            reconsume_times: 2,
            prepared_transaction_offset: 0,
        };
        let mut bytes = Vec::new();
        encode(&fields, &mut bytes).unwrap();
        place(&mut bytes, queue_offset, 1000 + queue_offset, 2).unwrap();
        bytes
    }

    pub(crate) fn queue(topic: &str) -> Arc<MessageQueue> {
        Arc::new(MessageQueue {
            topic: topic.to_owned(),
            broker_name: "broker-a".to_owned(),
            queue_id: 3,
        })
    }

    /// A message with this body at this queue offset.
    pub(crate) fn message(queue_offset: u64, body: &[u8]) -> ReceivedMessage {
        let bytes = Bytes::from(stored("T", b"", body, 0, queue_offset));
        ReceivedMessage::read_all(&bytes, &queue("T")).unwrap().remove(0)
    }

    #[test]
    fn the_messages_of_an_answer_come_in_its_order_with_all_they_were_stored_with() {
        let properties = b"TAGS\x01TagA\x02KEYS\x01a b\x02UNIQ_KEY\x01ABC\x02color\x01red\x02";
        let answer = [stored("T", properties, b"one", 0, 5), stored("T", b"", b"two", 0, 6)].concat();
        let read = ReceivedMessage::read_all(&answer.into(), &queue("T")).unwrap();
        assert_eq!(read.len(), 2);
        let first = &read[0];
        assert_eq!((first.topic(), &first.body()[..]), ("T", &b"one"[..]));
        assert_eq!((first.tags(), first.property("color")), (Some("TagA"), Some("red")));
        assert_eq!(first.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((first.queue_offset(), first.physical_offset()), (5, 1005));
        assert_eq!((first.flag(), first.reconsume_times()), (7, 2));
        assert_eq!(first.message_id(), "ABC");
        assert_eq!(read[1].message_id(), read[1].offset_message_id());
        assert_eq!(read[1].offset_message_id(), "0A00000100002A9F00000000000003EE");
    }

    #[test]
    fn a_message_that_comes_again_has_the_topic_it_was_sent_to() {
        let bytes = stored("%RETRY%g", b"RETRY_TOPIC\x01T\x02", b"x", 0, 0).into();
        let read = ReceivedMessage::read_all(&bytes, &queue("%RETRY%g")).unwrap();
        assert_eq!((read[0].topic(), &*read[0].queue().topic), ("T", "%RETRY%g"));
    }

    #[test]
    fn a_body_compressed_by_zlib_is_unfolded_and_any_other_left_as_it_is() {
        let mut encoder = ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(&[b'x'; 5000]).unwrap();
        let folded = encoder.finish().unwrap();
        for (body, system_flag, seen) in [
            (&folded[..], sysflag::COMPRESSED, &[b'x'; 5000][..]),
            (&folded, sysflag::COMPRESSED | 0x300, &[b'x'; 5000]),
            (&folded, sysflag::COMPRESSED | 0x200, &folded),
            (&folded, 0, &folded),
            (b"no zlib", sysflag::COMPRESSED, b"no zlib"),
        ] {
            let bytes = stored("T", b"", body, system_flag, 0).into();
            let read = ReceivedMessage::read_all(&bytes, &queue("T")).unwrap();
            assert_eq!(&read[0].body()[..], seen);
        }
    }

    #[test]
    fn a_torn_answer_is_an_error() {
        let mut bytes = stored("T", b"", b"x", 0, 0);
        bytes.pop();
        assert!(ReceivedMessage::read_all(&bytes.into(), &queue("T")).is_err());
    }
}
