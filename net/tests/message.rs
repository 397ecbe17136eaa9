//! Properties of the message codecs over generated input: what is written is read back, and bytes of any kind are
//! answered, never a panic.

#[path = "../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "the fuzz crate exports it")]
#[expect(dead_code, reason = "the targets of other codecs")]
mod targets;

use cuemq_net::message::batch::{self, BatchEntry};
use cuemq_net::message::id::OffsetMessageId;
use cuemq_net::message::properties::{self, Properties, name};
use cuemq_net::message::record::{self, Inspection, RecordFields};
use cuemq_net::message::sysflag::{BORN_HOST_V6, STORE_HOST_V6};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

const V6_BITS: i32 = BORN_HOST_V6 | STORE_HOST_V6;

fn host() -> impl Strategy<Value = SocketAddr> {
    any::<(IpAddr, u16)>().prop_map(|(ip, port)| SocketAddr::new(ip.to_canonical(), port))
}

/// The fields that own their bytes, to borrow [`RecordFields`] from.
#[derive(Clone, Debug)]
struct Owned {
    body: Vec<u8>,
    topic: String,
    properties: Vec<u8>,
    numbers: (i32, i32, i32, i32),
    times: (i64, i64),
    hosts: (SocketAddr, SocketAddr),
}

impl Owned {
    fn fields(&self) -> RecordFields<'_> {
        RecordFields {
            body: &self.body,
            body_crc: record::body_crc(&self.body),
            topic: &self.topic,
            properties: &self.properties,
            queue_id: self.numbers.0,
            flag: self.numbers.1,
            system_flag: self.numbers.2,
            born_timestamp_ms: self.times.0,
            born_host: self.hosts.0,
            store_host: self.hosts.1,
            reconsume_times: self.numbers.3,
            prepared_transaction_offset: self.times.1,
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let length = record::encode(&self.fields(), &mut bytes).expect("generated fields fit their lengths");
        assert_eq!(length, bytes.len());
        bytes
    }
}

prop_compose! {
    fn owned()(
        body in vec(any::<u8>(), 0..300),
        topic in "[\\PC]{0,30}",
        properties in vec(any::<u8>(), 0..200),
        numbers in any::<(i32, i32, i32, i32)>(),
        times in any::<(i64, i64)>(),
        hosts in (host(), host()),
    ) -> Owned {
        Owned { body, topic, properties, numbers, times, hosts }
    }
}

/// Java's rule, written down as Java does it: split everywhere, drop empty parts at the end, take exactly two.
fn split_as_java(text: &str) -> BTreeMap<String, String> {
    let split = |text: &str, separator: char| {
        let mut parts: Vec<String> = text.split(separator).map(str::to_owned).collect();
        while parts.last().is_some_and(String::is_empty) {
            parts.pop();
        }
        parts
    };
    let mut map = BTreeMap::new();
    for item in split(text, '\u{2}') {
        if let [name, value] = &split(&item, '\u{1}')[..] {
            map.insert(name.clone(), value.clone());
        }
    }
    map
}

/// Text in which separators and known names are frequent.
fn properties_text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => Just("\u{1}".to_owned()),
        4 => Just("\u{2}".to_owned()),
        4 => "[a-c]{1,2}",
        2 => prop_oneof![Just(name::TAGS), Just(name::KEYS), Just(name::WAIT)].prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    vec(part, 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn a_record_comes_back_as_it_was_written(
        owned in owned(),
        queue_offset in 0..=i64::MAX as u64,
        physical_offset in 0..=i64::MAX as u64,
        store_timestamp_ms: i64,
    ) {
        let mut bytes = owned.encode();
        record::place(&mut bytes, queue_offset, physical_offset, store_timestamp_ms).unwrap();
        let Inspection::Record(read) = record::inspect(&bytes) else { panic!("{:?}", record::inspect(&bytes)) };
        let fields = owned.fields();
        prop_assert_eq!(read.total_size(), bytes.len());
        prop_assert_eq!(read.queue_offset(), queue_offset);
        prop_assert_eq!(read.physical_offset(), physical_offset);
        prop_assert_eq!(read.store_timestamp_ms(), store_timestamp_ms);
        prop_assert_eq!(read.body(), fields.body);
        prop_assert_eq!(read.topic(), Ok(fields.topic));
        prop_assert_eq!(read.properties(), fields.properties);
        prop_assert_eq!(read.queue_id(), fields.queue_id);
        prop_assert_eq!(read.flag(), fields.flag);
        prop_assert_eq!(read.system_flag() & !V6_BITS, fields.system_flag & !V6_BITS);
        prop_assert_eq!(read.system_flag() & BORN_HOST_V6 != 0, fields.born_host.is_ipv6());
        prop_assert_eq!(read.system_flag() & STORE_HOST_V6 != 0, fields.store_host.is_ipv6());
        prop_assert_eq!(read.born_timestamp_ms(), fields.born_timestamp_ms);
        prop_assert_eq!((read.born_host(), read.store_host()), (fields.born_host, fields.store_host));
        prop_assert_eq!(read.reconsume_times(), fields.reconsume_times);
        prop_assert_eq!(read.prepared_transaction_offset(), fields.prepared_transaction_offset);
        prop_assert_eq!(read.verify_crc(), Ok(()));
    }

    #[test]
    fn a_record_with_any_byte_changed_or_cut_is_answered(
        owned in owned(),
        at: prop::sample::Index,
        byte: u8,
        cut: prop::sample::Index,
    ) {
        let mut bytes = owned.encode();
        let length = bytes.len();
        bytes[at.index(length)] = byte;
        targets::record::run(&bytes);
        targets::record::run(&bytes[..cut.index(length)]);
    }

    #[test]
    fn bytes_of_any_kind_are_answered(mut bytes in vec(any::<u8>(), 0..400), has_magic: bool) {
        if has_magic && let Some(start) = bytes.first_chunk_mut::<8>() {
            *start = [0, 0, 0, start[3], 0xDA, 0xA3, 0x20, 0xA7];
        }
        targets::record::run(&bytes);
        targets::batch::run(&bytes);
        targets::properties::run(&bytes);
    }

    #[test]
    fn a_pull_body_is_read_record_by_record(all in vec(owned(), 0..6)) {
        let body = all.iter().map(Owned::encode).collect::<Vec<_>>().concat();
        let bodies: Vec<_> = record::records(&body).map(|read| read.unwrap().body().to_vec()).collect();
        prop_assert_eq!(bodies, all.into_iter().map(|owned| owned.body).collect::<Vec<_>>());
    }

    #[test]
    fn a_batch_comes_back_as_it_was_written(
        all in vec((any::<i32>(), vec(any::<u8>(), 0..50), vec(any::<u8>(), 0..50)), 0..8),
    ) {
        let written: Vec<_> =
            all.iter().map(|(flag, body, properties)| BatchEntry { flag: *flag, body, properties }).collect();
        let mut body = Vec::new();
        for entry in &written {
            batch::encode(entry, &mut body).unwrap();
        }
        prop_assert_eq!(batch::entries(&body).collect::<Result<Vec<_>, _>>(), Ok(written));
    }

    #[test]
    fn properties_are_read_by_javas_rule(text in properties_text()) {
        let expected = split_as_java(&text);
        let properties = Properties::from(&text[..]);
        let read: BTreeMap<_, _> =
            properties.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        prop_assert_eq!(&read, &expected);
        for (name, value) in &expected {
            prop_assert_eq!(properties.get(name), Some(&value[..]));
        }
        targets::properties::run(text.as_bytes());
    }

    #[test]
    fn an_edit_changes_one_name_alone(text in properties_text(), name in "[a-c]{1,2}|TAGS", value in "[^\u{1}\u{2}]{1,5}") {
        let mut expected = split_as_java(&text);
        let removed = properties::without(text.as_bytes(), &name);
        expected.remove(&name);
        prop_assert_eq!(split_as_java(std::str::from_utf8(&removed).unwrap()), expected.clone());
        let set = properties::with(text.as_bytes(), &name, &value).unwrap();
        let mut pushed = text.into_bytes();
        properties::push(&mut pushed, &name, &value).unwrap();
        expected.insert(name, value);
        prop_assert_eq!(split_as_java(std::str::from_utf8(&set).unwrap()), expected.clone());
        prop_assert_eq!(split_as_java(std::str::from_utf8(&pushed).unwrap()), expected);
    }

    #[test]
    fn an_offset_id_comes_back_as_it_was_written(host in host(), physical_offset in 0..=i64::MAX as u64) {
        let id = OffsetMessageId { host, physical_offset };
        let text = id.to_string();
        prop_assert_eq!(text.len(), if host.is_ipv4() { 32 } else { 56 });
        prop_assert_eq!(text.parse(), Ok(id));
    }

    #[test]
    fn a_text_of_any_kind_is_an_id_or_an_error(text in "[0-9A-Fa-f]{32}|[0-9A-F]{56}|\\PC{0,60}") {
        if let Ok(id) = text.parse::<OffsetMessageId>() {
            prop_assert_eq!(id.to_string().len(), text.len());
        }
    }
}
