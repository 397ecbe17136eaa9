//! Old messages go: at their age and hour, by hand, by length, by a ratio of the disk; with what leads to them, and so that
//! consumers that are behind are told where to go on.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cuemq_actors::config::BrokerConfig;
use cuemq_actors::testing::{ManualClock, TestBroker};
use cuemq_net::body::{Body, KvTable, OffsetMovedEvent, TopicConfigTable};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::dialect::Style;
use cuemq_storage::disk::{Disk, MemoryDisk};

use crate::pulls::{bodies, positions};
use crate::{Connection, PATIENCE, arrived, number, pull_from, send_to};

const TOPIC: &str = "Aging";
const NOW_MS: u64 = 1_700_000_000_000;
const HOURS: u64 = 3600;
/// Two of them fill a file of the log, so that the fifth begins the third file.
const BODY_BYTES: usize = 30_000;
const MESSAGES: i64 = 5;
/// The first message that is left when every file is old.
const LEFT: i64 = 4;

/// A world in which a test lets time pass.
struct Aging {
    clock: Arc<ManualClock>,
    disk: MemoryDisk,
}

impl Aging {
    fn new() -> Self {
        Self {
            clock: Arc::new(ManualClock::new(NOW_MS)),
            disk: MemoryDisk::new(1),
        }
    }

    /// Small files, and a look at all hours, as often as the test can wish.
    fn start(&self, change: impl FnOnce(&mut BrokerConfig)) -> (TestBroker, Connection) {
        let builder = TestBroker::builder().memory_disk(&self.disk).clock(self.clock.clone());
        let broker = builder.config(|config| small(config, change)).start().unwrap();
        let client = Connection::to(broker.broker());
        (broker, client)
    }

    fn pass(&self, hours: u64) {
        self.clock.advance(Duration::from_secs(hours * HOURS));
    }

    fn files(&self, directory: &str) -> usize {
        self.disk.list(&Path::new("/data").join(directory)).unwrap().len()
    }
}

fn small(config: &mut BrokerConfig, change: impl FnOnce(&mut BrokerConfig)) {
    config.segment_bytes = Some(64 << 10);
    config.queue_file_bytes = 40;
    config.checkpoint_interval = Duration::from_millis(10);
    config.retention.interval = Duration::from_millis(10);
    config.retention.pause = Duration::from_millis(1);
    let all: Vec<String> = (0..24).map(|hour| format!("{hour:02}")).collect();
    config.retention.hours = all.join(";").parse().unwrap();
    change(config);
}

fn unchanged(_: &mut BrokerConfig) {}

fn fill(client: &mut Connection, topic: &str) {
    for at in 0..MESSAGES {
        let body = vec![u8::try_from(at).unwrap(); BODY_BYTES];
        let stored = client.ask(
            send_to(topic)
                .with_field("i", format!("KEYS\u{1}k{at}\u{2}"))
                .with_body(body),
        );
        assert_eq!(number(&stored, "queueOffset"), at);
    }
    arrived(client, topic, MESSAGES);
}

fn of_queue(code: RequestCode) -> Command {
    Command::request(code)
        .with_field("topic", TOPIC)
        .with_field("queueId", 0)
}

fn min_offset(client: &mut Connection) -> i64 {
    number(&client.ask(of_queue(RequestCode::GET_MIN_OFFSET)), "offset")
}

/// Waits until the queue begins there.
#[track_caller]
fn begins_at(client: &mut Connection, first: i64) {
    let asked_at = Instant::now();
    while min_offset(client) != first {
        assert!(asked_at.elapsed() < PATIENCE, "it begins at {}", min_offset(client));
    }
}

fn by_key(client: &mut Connection, key: &str) -> ResponseCode {
    let query = Command::request(RequestCode::QUERY_MESSAGE)
        .with_field("topic", TOPIC)
        .with_field("key", key)
        .with_field("maxNum", 32)
        .with_field("beginTimestamp", 0)
        .with_field("endTimestamp", i64::MAX);
    ResponseCode(client.ask(query).code)
}

#[test]
fn files_go_at_their_age_with_what_leads_to_them_and_a_consumer_that_is_behind_is_told() {
    let world = Aging::new();
    let (broker, mut client) = world.start(unchanged);
    fill(&mut client, TOPIC);
    assert_eq!((min_offset(&mut client), world.files("consumequeue/Aging/0")), (0, 3));
    world.pass(71);
    // One pull reads one file of the queue.
    assert_eq!(positions(&client.ask(pull_from(TOPIC, 0))), (0, [0, 2, 0, MESSAGES]));
    world.pass(1);
    begins_at(&mut client, LEFT);
    let behind = client.ask(pull_from(TOPIC, 1));
    assert_eq!(behind.remark.as_deref(), Some("OFFSET_TOO_SMALL"));
    let moved = (ResponseCode::PULL_OFFSET_MOVED.0, [0, LEFT, LEFT, MESSAGES]);
    assert_eq!(positions(&behind), moved);
    arrived(&mut client, "OFFSET_MOVED_EVENT", 1);
    let told = bodies(&client.ask(pull_from("OFFSET_MOVED_EVENT", 0)));
    let told = OffsetMovedEvent::decode(&told[0]).unwrap();
    assert_eq!((told.asked_queue_offset, told.next_queue_offset), (1, LEFT));
    let left = client.ask(pull_from(TOPIC, LEFT));
    assert_eq!(bodies(&left), [vec![4; BODY_BYTES]]);
    let earliest = client.ask(of_queue(RequestCode::GET_EARLIEST_MSG_STORETIME));
    assert_eq!(number(&earliest, "timestamp").cast_unsigned(), NOW_MS);
    let told = client.ask(Command::request(RequestCode::GET_BROKER_RUNTIME_INFO));
    assert_eq!(
        KvTable::decode(&told.body).unwrap().table["commitLogMinOffset"],
        "131072"
    );
    assert_eq!(by_key(&mut client, "k0"), ResponseCode::QUERY_NOT_FOUND);
    assert_eq!(by_key(&mut client, "k4"), ResponseCode::SUCCESS);
    broker.stop().unwrap();
    assert_eq!((world.files("commitlog"), world.files("consumequeue/Aging/0")), (1, 1));
}

#[test]
fn a_store_whose_beginning_is_gone_opens_and_its_queues_go_on_with_their_numbers() {
    let world = Aging::new();
    let (broker, mut client) = world.start(unchanged);
    fill(&mut client, TOPIC);
    fill(&mut client, "Filler");
    world.pass(72);
    begins_at(&mut client, MESSAGES);
    let empty = client.ask(pull_from(TOPIC, 2));
    assert_eq!(positions(&empty).1, [0, MESSAGES, MESSAGES, MESSAGES]);
    for kill in [true, false] {
        let (broker, mut client) = if kill {
            world.disk.kill();
            world.start(unchanged)
        } else {
            world.start(unchanged)
        };
        assert_eq!(min_offset(&mut client), MESSAGES);
        assert_eq!(
            positions(&client.ask(pull_from(TOPIC, 0))).1,
            [0, MESSAGES, MESSAGES, MESSAGES]
        );
        broker.stop().unwrap();
    }
    let (again, mut client) = world.start(unchanged);
    assert_eq!(number(&client.ask(send_to(TOPIC)), "queueOffset"), MESSAGES);
    again.stop().unwrap();
    drop(broker);
}

/// Deletes by hand, and waits until that is done.
fn delete_by_hand(client: &mut Connection) {
    for code in [
        RequestCode::DELETE_EXPIRED_COMMITLOG,
        RequestCode::CLEAN_EXPIRED_CONSUMEQUEUE,
    ] {
        assert_eq!(client.ask(Command::request(code)).code, 0, "{code:?}");
    }
}

#[test]
fn whoever_asks_has_what_is_old_enough_deleted_at_once_and_nothing_else() {
    let world = Aging::new();
    // It looks by itself long after the test.
    let (broker, mut client) = world.start(|config| config.retention.interval = Duration::from_secs(3600));
    fill(&mut client, TOPIC);
    delete_by_hand(&mut client);
    assert_eq!(min_offset(&mut client), 0);
    world.pass(72);
    // What was sent a moment ago may not be on disk in its queue yet, and stays until it is.
    let asked_at = Instant::now();
    while min_offset(&mut client) < LEFT {
        delete_by_hand(&mut client);
        assert!(asked_at.elapsed() < PATIENCE);
    }
    assert_eq!(min_offset(&mut client), LEFT);
    broker.stop().unwrap();
}

#[test]
fn a_log_that_is_longer_than_it_may_be_loses_its_oldest_files_alone() {
    let world = Aging::new();
    // The file with the newest message, the one in front of it, and the one that is made ahead.
    let (broker, mut client) = world.start(|config| config.retention.max_bytes = 3 * (64 << 10));
    fill(&mut client, TOPIC);
    number(
        &client.ask(send_to(TOPIC).with_body(vec![5; BODY_BYTES])),
        "queueOffset",
    );
    begins_at(&mut client, 2);
    arrived(&mut client, TOPIC, MESSAGES + 1);
    for at in [2, 4] {
        assert_eq!(bodies(&client.ask(pull_from(TOPIC, at))).len(), 2, "from {at}");
    }
    broker.stop().unwrap();
}

#[test]
fn a_disk_that_is_too_full_takes_files_before_their_time_only_where_that_is_asked_for() {
    for (percent, first) in [(0, 0), (10, LEFT)] {
        let world = Aging::new();
        let (broker, mut client) = world.start(|config| {
            config.retention.disk_percent = percent;
            config.retention.forced_percent = 10;
        });
        fill(&mut client, TOPIC);
        for (group, next) in [("behind", 1), ("ahead", LEFT)] {
            let commit = of_queue(RequestCode::UPDATE_CONSUMER_OFFSET)
                .with_field("consumerGroup", group)
                .with_field("commitOffset", next);
            assert_eq!(client.ask(commit).code, 0);
        }
        world.disk.set_capacity(1 << 20);
        begins_at(&mut client, first);
        // Behind a whole round.
        assert_eq!(
            client
                .ask(Command::request(RequestCode::CLEAN_EXPIRED_CONSUMEQUEUE))
                .code,
            0
        );
        begins_at(&mut client, first);
        let lost = broker.metrics().deleted_undelivered.get();
        let of_the_group_behind = first.saturating_sub(1).max(0).unsigned_abs();
        assert_eq!(lost, of_the_group_behind, "each message once, though two files went");
        broker.stop().unwrap();
    }
}

#[test]
fn an_expired_queue_goes_when_its_topic_is_not_there_and_keeps_its_numbers_when_it_is() {
    let (home, world) = (tempfile::tempdir().unwrap(), Aging::new());
    let start = || {
        let builder = TestBroker::builder().data(home.path()).clock(world.clock.clone());
        let broker = builder.config(|config| small(config, |_| {})).start().unwrap();
        let client = Connection::to(broker.broker());
        (broker, client)
    };
    let (broker, mut client) = start();
    for topic in ["Gone", TOPIC, "Filler"] {
        fill(&mut client, topic);
    }
    broker.stop().unwrap();
    let path = home.path().join("config/topics.json");
    let mut table = TopicConfigTable::decode(&std::fs::read(&path).unwrap()).unwrap();
    table.topic_config_table.remove("Gone").unwrap();
    std::fs::write(&path, table.encode(Style::Pretty)).unwrap();
    let (broker, mut client) = start();
    world.pass(72);
    begins_at(&mut client, MESSAGES);
    let queue = |topic: &str| home.path().join("consumequeue").join(topic).join("0");
    assert!(queue("Gone").exists());
    assert_eq!(
        client
            .ask(Command::request(RequestCode::CLEAN_EXPIRED_CONSUMEQUEUE))
            .code,
        0
    );
    assert!(!queue("Gone").exists() && queue(TOPIC).exists());
    assert_eq!(number(&client.ask(send_to(TOPIC)), "queueOffset"), MESSAGES);
    broker.stop().unwrap();
}
