//! Bitmaps of messages, by which a pull passes over what no filter of its group wants: made here and by Java, and believed.

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cuemq_actors::testing::{ManualClock, TestBroker};
use cuemq_net::body::{
    Body, ConsumeQueueEntry, ConsumeQueueExtension, ConsumeQueuePart, ConsumerFilter, ConsumerFilterTable,
    SubscriptionData,
};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::message::record::Record;
use cuemq_storage::disk::{Disk, MemoryDisk, OpenMode};
use cuemq_tests::golden;

use crate::extensions::as_java_was_set;
use crate::filters::{pull_by, pull_subscribed, send_values, subscribe, subscribe_as, subscription};
use crate::pulls::bodies;
use crate::{Connection, arrived, number, send_to};

/// A unit with a bitmap of 112 bits.
const UNIT_BYTES: usize = 34;

fn start(disk: &MemoryDisk, clock: &Arc<ManualClock>) -> (TestBroker, Connection) {
    let builder = TestBroker::builder().memory_disk(disk).clock(clock.clone());
    let broker = builder.config(|config| {
        config.queue_extension = true;
        (config.filters.sql, config.filters.bitmaps) = (true, true);
    });
    let broker = broker.start().unwrap();
    let client = Connection::to(broker.broker());
    (broker, client)
}

/// Which of the messages have all bits of the group's filter.
fn marked(disk: &MemoryDisk) -> Vec<bool> {
    let text = disk
        .read_whole(Path::new("/data/config/consumerFilter.json"), 1 << 20)
        .unwrap();
    let table = ConsumerFilterTable::decode(&text).unwrap();
    let filter = &table.filter_data_by_topic["Marked"].group_filter_data["consumers"];
    let positions = &filter.bloom_filter_data.as_ref().unwrap().bit_pos;
    let file = Path::new("/data/consumequeue_ext/Marked/0/00000000000000000000");
    let bytes = disk.read_whole(file, 1 << 20).unwrap();
    let units = bytes.chunks(UNIT_BYTES).take_while(|unit| unit.starts_with(&[0, 34]));
    let is_marked = |unit: &[u8]| {
        positions
            .iter()
            .all(|bit| unit[20 + *bit as usize / 8] & 1 << (bit % 8) != 0)
    };
    units.map(is_marked).collect()
}

#[test]
fn a_message_is_marked_for_the_filters_that_want_it_and_a_pull_believes_its_marks() {
    let (disk, clock) = (MemoryDisk::new(1), Arc::new(ManualClock::new(1_700_000_000_000)));
    let (broker, mut client) = start(&disk, &clock);
    subscribe(&mut client, &[subscription("Marked", "a = 2", 1)]);
    // What comes in the first second is not yet judged by its marks.
    clock.advance(Duration::from_secs(2));
    send_values(&mut client, "Marked", &["1", "2", "x", "2", "3"]);
    arrived(&mut client, "Marked", 5);
    assert_eq!(bodies(&client.ask(pull_subscribed("Marked", 1))), [b"2", b"2"]);
    broker.stop().unwrap();
    assert_eq!(marked(&disk), [false, true, false, true, false]);

    let file = Path::new("/data/consumequeue_ext/Marked/0/00000000000000000000");
    let file = disk.open(file, OpenMode::Write).unwrap();
    file.write_at(&[IoSlice::new(&[0; 14])], 3 * UNIT_BYTES as u64 + 20)
        .unwrap();
    let (broker, mut client) = start(&disk, &clock);
    subscribe(&mut client, &[subscription("Marked", "a = 2", 2)]);
    assert_eq!(
        bodies(&client.ask(pull_subscribed("Marked", 2))),
        [b"2"],
        "one has lost its marks"
    );
    assert_eq!(
        bodies(&client.ask(pull_by("a = 2", "Marked", 0))),
        [b"2", b"2"],
        "a pull's own filter has none"
    );
    subscribe(&mut client, &[subscription("Marked", "a = '2'", 3)]);
    let found = client.ask(pull_subscribed("Marked", 3));
    assert_eq!(bodies(&found), [b"2", b"2"], "a new filter came after all of them");
    broker.stop().unwrap();
}

/// The queue offsets of all messages that a pull brings, again and again.
fn all(client: &mut Connection, pull: impl Fn(i64) -> Command) -> Vec<u64> {
    let (mut found, mut next) = (Vec::new(), 0);
    loop {
        let answer = client.ask(pull(next));
        let mut rest = &answer.body[..];
        while !rest.is_empty() {
            let record = Record::parse(rest).unwrap();
            found.push(record.queue_offset());
            rest = &rest[record.total_size()..];
        }
        match ResponseCode(answer.code) {
            ResponseCode::PULL_NOT_FOUND => return found,
            ResponseCode::PULL_RETRY_IMMEDIATELY => {
                next = answer.fields.get("nextBeginOffset").unwrap().parse().unwrap()
            }
            _ => next = number(&answer, "nextBeginOffset"),
        }
    }
}

#[test]
fn the_marks_of_javas_messages_say_what_their_properties_say() {
    let expression = "index BETWEEN 10 AND 20 AND TAGS IN ('Order1', 'Order2')";
    for name in ["4.3.0-ext", "4.9.8-ext"] {
        let store = golden::unpack(name).unwrap();
        let builder = TestBroker::builder().data(store.root()).config(|config| {
            as_java_was_set(config, &store.manifest, false);
            config.filters.sql = true;
        });
        let broker = builder.start().unwrap();
        let mut client = Connection::to(broker.broker());
        let version = 4_000_000_000_000;
        let subscribed = subscription("StoreOrders", expression, version);
        subscribe_as(&mut client, "GID_store_sql", &[subscribed]);
        let (mut by_marks, mut by_properties) = (0, 0);
        for queue_id in 0..4 {
            let of_group = |pull: Command| {
                pull.with_field("consumerGroup", "GID_store_sql")
                    .with_field("queueId", queue_id)
            };
            let subscribed = all(&mut client, |next| {
                of_group(pull_subscribed("StoreOrders", version)).with_field("queueOffset", next)
            });
            let brought = all(&mut client, |next| of_group(pull_by(expression, "StoreOrders", next)));
            assert_eq!(subscribed, brought, "{name} {queue_id}");
            (by_marks, by_properties) = (by_marks + subscribed.len(), by_properties + brought.len());
        }
        assert!(by_marks > 0 && by_marks == by_properties, "{name}: {by_marks}");
        broker.stop().unwrap();
    }
}

/// Entries of a queue, as tools are told them.
fn entries(client: &mut Connection, group: Option<&str>) -> (ConsumeQueuePart, Vec<ConsumeQueueEntry>) {
    let query = Command::request(RequestCode::QUERY_CONSUME_QUEUE)
        .with_field("topic", "Marked")
        .with_field("queueId", 0)
        .with_field("index", 0)
        .with_field("count", 10);
    let query = group
        .into_iter()
        .fold(query, |query, group| query.with_field("consumerGroup", group));
    let answer = client.ask(query);
    assert_eq!(answer.code, 0, "{answer:?}");
    let part = ConsumeQueuePart::decode(&answer.body).unwrap();
    let entries = part.queue_data.clone().unwrap();
    (part, entries)
}

/// Which of the entries a group may want.
fn judged(client: &mut Connection, group: &str) -> Vec<bool> {
    let (_, entries) = entries(client, Some(group));
    entries.iter().map(|entry| entry.eval).collect()
}

#[test]
fn tools_are_told_what_an_extension_holds_and_what_of_it_a_group_may_want() {
    let (disk, clock) = (MemoryDisk::new(1), Arc::new(ManualClock::new(1_700_000_000_000)));
    let (broker, mut client) = start(&disk, &clock);
    subscribe(&mut client, &[subscription("Marked", "a = 2", 1)]);
    clock.advance(Duration::from_secs(2));
    send_values(&mut client, "Marked", &["1", "2"]);
    let blue = send_to("Marked").with_field("i", "TAGS\u{1}blue\u{2}");
    assert_eq!(client.ask(blue).code, 0);
    arrived(&mut client, "Marked", 3);

    let (part, told) = entries(&mut client, Some("consumers"));
    let filter = part.filter_data.unwrap();
    assert!(
        filter.starts_with("{\n\t\"bloomFilterData\":{\n\t\t\"bitNum\":112,"),
        "{filter}"
    );
    let filter = ConsumerFilter::decode(filter.as_bytes()).unwrap();
    assert_eq!((&*filter.expression, filter.client_version), ("a = 2", 1));
    assert_eq!(part.subscription_data.unwrap().sub_string, "a = 2");
    assert_eq!(
        told.iter().map(|entry| entry.eval).collect::<Vec<_>>(),
        [false, true, false]
    );
    assert_eq!(told[0].tags_code, i64::MIN, "the first address");
    assert_eq!(
        told[0].extend_data_json.as_deref(),
        Some(r#"{"filterBitMap":"AAAAAAAAAAAAAAAAAAA=","msgStoreTime":1700000002000,"size":34,"tagsCode":0}"#)
    );
    let lines = ["0".repeat(48), "0".repeat(64), String::new()];
    assert_eq!(told[0].bit_map, Some(lines.join("\n")));
    // A line holds the bits of eight bytes, the last one first.
    let bits: String = told[1].bit_map.as_deref().unwrap().split('\n').collect();
    let positions = filter.bloom_filter_data.unwrap().bit_pos;
    let mut expected = vec![b'0'; 112];
    positions.iter().for_each(|bit| expected[111 - *bit as usize] = b'1');
    assert_eq!(bits.as_bytes(), expected);
    let blue = ConsumeQueueExtension::decode(told[2].extend_data_json.as_deref().unwrap().as_bytes()).unwrap();
    assert_eq!((blue.size, blue.tags_code), (34, 3_027_034));

    let (part, told) = entries(&mut client, None);
    assert_eq!((part.filter_data, part.subscription_data), (None, None));
    assert!(told.iter().all(|entry| !entry.eval && entry.bit_map.is_some()));
    let by_tag = SubscriptionData {
        topic: "Marked".to_owned(),
        sub_string: "blue".to_owned(),
        ..SubscriptionData::default()
    };
    let [mut one, mut other] = [(), ()].map(|()| Connection::to(broker.broker()));
    subscribe_as(&mut one, "by-tag", &[by_tag]);
    assert_eq!(judged(&mut client, "by-tag"), [false, false, true]);
    subscribe_as(&mut other, "late", &[subscription("Marked", "a = 2", 1)]);
    assert_eq!(judged(&mut client, "late"), [true; 3], "they came before it");

    disk.remove_file(Path::new("/data/consumequeue_ext/Marked/0/00000000000000000000"))
        .unwrap();
    let (_, told) = entries(&mut client, Some("consumers"));
    let lost = &told[0];
    assert_eq!(
        lost.msg.as_deref(),
        Some("Cq extend not exist!addr: -9223372036854775808")
    );
    assert_eq!(
        (lost.eval, &lost.bit_map, &lost.extend_data_json),
        (false, &None, &None)
    );
    broker.stop().unwrap();
}
