//! Consume queues with an extension: their entries lead to the tags instead of telling them, and pulls by tag are right
//! all the same, whoever wrote it and whether or not one is written now.

use std::path::Path;

use cuemq_actors::config::BrokerConfig;
use cuemq_actors::testing::TestBroker;
use cuemq_net::code::ResponseCode;
use cuemq_net::message::record::Record;
use cuemq_storage::disk::{Disk, MemoryDisk};
use cuemq_storage::index::Layout;
use cuemq_tests::golden;

use crate::pulls::bodies;
use crate::{Connection, arrived, number, pull_from, send_to};

const TOPIC: &str = "Extended";
/// Where a broker on a disk in memory keeps the extension of the topic's first queue.
const DIRECTORY: &str = "/data/consumequeue_ext/Extended/0";

fn start(disk: &MemoryDisk, extended: bool) -> (TestBroker, Connection) {
    let broker = TestBroker::builder()
        .memory_disk(disk)
        .config(|config| config.queue_extension = extended)
        .start()
        .unwrap();
    let client = Connection::to(broker.broker());
    (broker, client)
}

/// Sends messages `from..to`, of which every third is blue.
fn send(client: &mut Connection, from: u8, to: u8) {
    for at in from..to {
        let properties = if at.is_multiple_of(3) {
            "TAGS\u{1}blue\u{2}"
        } else {
            "TAGS\u{1}red\u{2}"
        };
        let message = send_to(TOPIC).with_field("i", properties).with_body(vec![at]);
        assert_eq!(number(&client.ask(message), "queueOffset"), i64::from(at));
    }
    arrived(client, TOPIC, to.into());
}

/// The bodies of all messages with a tag, as far as one pull brings them.
fn of_tag(client: &mut Connection, tag: &str) -> Vec<u8> {
    let pull = pull_from(TOPIC, 0).with_field("subscription", tag);
    bodies(&client.ask(pull)).concat()
}

fn files(disk: &MemoryDisk) -> usize {
    disk.list(Path::new(DIRECTORY)).unwrap().len()
}

#[test]
fn a_pull_by_tag_is_right_with_an_extension_after_it_and_before_it() {
    let disk = MemoryDisk::new(1);
    let every_third = |count: u8| (0..count).filter(|at| at.is_multiple_of(3)).collect::<Vec<u8>>();
    // An extension's file takes 49 units.
    for (extended, from, to, files_behind) in [
        (false, 0, 10, 0),
        (true, 10, 80, 2),
        (false, 80, 85, 2),
        (true, 85, 90, 2),
    ] {
        let (broker, mut client) = start(&disk, extended);
        assert_eq!(of_tag(&mut client, "blue"), every_third(from), "old ones, up to {from}");
        send(&mut client, from, to);
        assert_eq!(of_tag(&mut client, "blue"), every_third(to), "up to {to}");
        assert_eq!(of_tag(&mut client, "green || yellow"), [0; 0], "up to {to}");
        assert_eq!(files(&disk), files_behind, "up to {to}");
        broker.stop().unwrap();
    }
}

#[test]
fn tags_that_an_extension_has_lost_let_every_message_through_and_none_is_missed() {
    let disk = MemoryDisk::new(1);
    let (broker, mut client) = start(&disk, true);
    send(&mut client, 0, 6);
    broker.stop().unwrap();
    disk.remove_file(&Path::new(DIRECTORY).join("00000000000000000000"))
        .unwrap();
    for extended in [false, true] {
        let (broker, mut client) = start(&disk, extended);
        assert_eq!(of_tag(&mut client, "blue"), [0, 1, 2, 3, 4, 5]);
        broker.stop().unwrap();
    }
    let (broker, mut client) = start(&disk, true);
    send(&mut client, 6, 9);
    assert_eq!(of_tag(&mut client, "blue"), [0, 1, 2, 3, 4, 5, 6]);
    broker.stop().unwrap();
}

pub(crate) fn as_java_was_set(config: &mut BrokerConfig, manifest: &golden::Manifest, extended: bool) {
    let size = |key| manifest.number(key).unwrap();
    config.queue_extension = extended;
    config.extension_file_bytes = size("mappedFileSizeConsumeQueueExt");
    config.index = Layout::new(
        size("maxHashSlotNum").try_into().unwrap(),
        size("maxIndexNum").try_into().unwrap(),
    );
}

#[test]
fn a_store_of_java_with_extensions_gives_each_tag_its_messages() {
    for name in ["4.3.0-ext", "4.9.8-ext"] {
        for extended in [false, true] {
            let store = golden::unpack(name).unwrap();
            let broker = TestBroker::builder()
                .data(store.root())
                .config(|config| as_java_was_set(config, &store.manifest, extended))
                .start()
                .unwrap();
            let mut client = Connection::to(broker.broker());
            let is_one = |queue: &&golden::Queue| queue.topic == "StoreOne";
            let queue = store.manifest.queues.iter().find(is_one).unwrap();
            for tag in ["TagA", "TagB", "TagC"] {
                let has_tag =
                    |message: &&golden::Message| message.properties.get("TAGS").is_some_and(|tags| tags == tag);
                let expected: Vec<u64> = queue
                    .messages
                    .iter()
                    .filter(has_tag)
                    .map(|message| message.queue_offset)
                    .collect();
                assert!(!expected.is_empty());
                assert_eq!(
                    all_of_tag(&mut client, "StoreOne", tag),
                    expected,
                    "{name} {tag} {extended}"
                );
            }
            broker.stop().unwrap();
        }
    }
}

/// The queue offsets of all messages with a tag, pull by pull.
fn all_of_tag(client: &mut Connection, topic: &str, tag: &str) -> Vec<u64> {
    let (mut found, mut next) = (Vec::new(), 0);
    loop {
        let answer = client.ask(pull_from(topic, next).with_field("subscription", tag));
        let mut rest = &answer.body[..];
        while !rest.is_empty() {
            let record = Record::parse(rest).unwrap();
            found.push(record.queue_offset());
            rest = &rest[record.total_size()..];
        }
        if answer.code == ResponseCode::PULL_NOT_FOUND.0 {
            return found;
        }
        next = number(&answer, "nextBeginOffset");
    }
}
