//! Messages with a delay level wait in `SCHEDULE_TOPIC_XXXX`, and come to their topic when they are due.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cuemq_actors::testing::{ManualClock, TestBroker};
use cuemq_net::body::{Body, DelayOffsetTable};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::message::properties::Properties;
use cuemq_net::message::record::{Record, records};
use cuemq_storage::delay_level::DelayLevels;
use cuemq_storage::disk::MemoryDisk;

use crate::{Connection, PATIENCE, arrived, number, pull_from, refused, send_to};

const SCHEDULE: &str = "SCHEDULE_TOPIC_XXXX";
const START_MS: u64 = 1_700_000_000_000;

fn delayed(topic: &str, level: u32) -> Command {
    let properties = format!("UNIQ_KEY\u{1}0A{level}\u{2}DELAY\u{1}{level}\u{2}");
    send_to(topic).with_field("i", properties)
}

/// How many messages queue 0 of a topic has.
fn length(client: &mut Connection, topic: &str) -> i64 {
    let asked = Command::request(RequestCode::GET_MAX_OFFSET)
        .with_field("topic", topic)
        .with_field("queueId", 0);
    number(&client.ask(asked), "offset")
}

/// The delays as code 45 tells them, when `fits` says so.
fn progress(client: &mut Connection, fits: impl Fn(&DelayOffsetTable) -> bool) -> DelayOffsetTable {
    let asked_at = Instant::now();
    loop {
        let answer = client.ask(Command::request(RequestCode::GET_ALL_DELAY_OFFSET));
        let table = DelayOffsetTable::decode(&answer.body).unwrap();
        if fits(&table) {
            return table;
        }
        assert!(asked_at.elapsed() < PATIENCE, "{table:?}");
        std::thread::yield_now();
    }
}

fn at(table: &DelayOffsetTable, level: i32) -> i64 {
    table.offset_table.get(&level).copied().unwrap_or(0)
}

#[test]
fn a_delayed_message_comes_when_its_delay_is_over_and_not_before() {
    let clock = Arc::new(ManualClock::new(START_MS));
    let broker = TestBroker::builder().clock(clock.clone()).start().unwrap();
    let mut client = Connection::to(broker.broker());
    for level in [3, 1, 2] {
        assert_eq!(
            number(&client.ask(delayed("Later", level)), "queueId"),
            0,
            "the queue that was asked for"
        );
    }
    clock.advance(Duration::from_millis(1_000));
    arrived(&mut client, "Later", 1);
    clock.advance(Duration::from_millis(8_999));
    arrived(&mut client, "Later", 2);
    let table = progress(&mut client, |table| at(table, 2) == 1);
    assert_eq!(
        (at(&table, 1), at(&table, 3)),
        (1, 0),
        "the third is due a millisecond later"
    );
    assert_eq!(length(&mut client, "Later"), 2);
    clock.advance(Duration::from_millis(1));
    arrived(&mut client, "Later", 3);
    let found = client.ask(pull_from("Later", 0));
    let told: Vec<_> = records(&found.body)
        .map(|record| {
            let record = record.unwrap();
            let level = Properties::new(record.properties()).get("DELAY").unwrap().to_owned();
            (level, record.store_timestamp_ms() - START_MS.cast_signed())
        })
        .collect();
    assert_eq!(
        told,
        [("1".into(), 1_000), ("2".into(), 9_999), ("3".into(), 10_000)],
        "by level, and when the clock stood at"
    );
    broker.stop().unwrap();
}

#[test]
fn a_queue_with_an_extension_keeps_when_a_message_is_due() {
    let clock = Arc::new(ManualClock::new(START_MS));
    let broker = TestBroker::builder()
        .clock(clock.clone())
        .config(|config| config.queue_extension = true)
        .start()
        .unwrap();
    let mut client = Connection::to(broker.broker());
    for level in [2, 1] {
        number(&client.ask(delayed("Extended", level)), "queueOffset");
    }
    clock.advance(Duration::from_secs(1));
    arrived(&mut client, "Extended", 1);
    let table = progress(&mut client, |table| at(table, 1) == 1);
    assert_eq!(at(&table, 2), 0, "the other one is due after 5 s");
    assert_eq!(length(&mut client, "Extended"), 1);
    broker.stop().unwrap();
}

#[test]
fn a_level_beyond_the_table_is_its_highest_and_one_that_is_no_number_an_error() {
    let broker = TestBroker::builder()
        .config(|config| config.delay_levels = DelayLevels::parse("1s 40d").unwrap())
        .start()
        .unwrap();
    let mut client = Connection::to(broker.broker());
    number(&client.ask(delayed("Far", 99)), "queueOffset");
    let pull = pull_from(SCHEDULE, 0).with_field("queueId", 1);
    let asked_at = Instant::now();
    let found = loop {
        let answer = client.ask(pull.clone());
        if ResponseCode(answer.code) == ResponseCode::SUCCESS {
            break answer;
        }
        assert!(asked_at.elapsed() < PATIENCE, "{answer:?}");
    };
    let record = Record::parse(&found.body).unwrap();
    let properties = Properties::new(record.properties());
    let told = ["DELAY", "REAL_TOPIC", "REAL_QID"].map(|name| properties.get(name).unwrap().to_owned());
    assert_eq!(told, ["2", "Far", "0"]);
    let soon = client.ask(send_to("Far").with_field("i", "DELAY\u{1}soon\u{2}"));
    assert!(refused(&soon, ResponseCode::MESSAGE_ILLEGAL).contains("`soon` is no number"));
    broker.stop().unwrap();
}

#[test]
fn what_waits_is_delivered_once_after_a_restart_and_what_was_delivered_not_again() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(START_MS));
    let start = || {
        TestBroker::builder()
            .data(directory.path())
            .clock(clock.clone())
            .start()
            .unwrap()
    };
    let broker = start();
    let mut client = Connection::to(broker.broker());
    for level in [1, 2] {
        number(&client.ask(delayed("Kept", level)), "queueOffset");
    }
    clock.advance(Duration::from_secs(1));
    arrived(&mut client, "Kept", 1);
    drop(client);
    broker.stop().unwrap();
    let file = std::fs::read_to_string(directory.path().join("config/delayOffset.json")).unwrap();
    assert!(file.contains("1:1"), "{file}");

    let broker = start();
    let mut client = Connection::to(broker.broker());
    clock.advance(Duration::from_secs(4));
    arrived(&mut client, "Kept", 2);
    let table = progress(&mut client, |table| at(table, 2) == 1);
    assert_eq!(at(&table, 1), 1);
    assert_eq!(length(&mut client, "Kept"), 2);
    broker.stop().unwrap();
}

#[test]
fn while_the_owner_of_delays_starts_anew_nothing_is_lost() {
    let clock = Arc::new(ManualClock::new(START_MS));
    let broker = TestBroker::builder().clock(clock.clone()).start().unwrap();
    let mut client = Connection::to(broker.broker());
    for _ in 0..50 {
        number(&client.ask(delayed("Stubborn", 1)), "queueOffset");
    }
    broker
        .faults()
        .arm("schedule", cuemq_actors::supervise::Site::Handler, 1);
    client.ask(Command::request(RequestCode::GET_ALL_DELAY_OFFSET));
    clock.advance(Duration::from_secs(1));
    arrived(&mut client, "Stubborn", 50);
    broker.stop().unwrap();
}

#[test]
fn what_waits_is_delivered_by_a_broker_that_has_no_room_for_sends() {
    let (disk, clock) = (MemoryDisk::new(9), Arc::new(ManualClock::new(START_MS)));
    disk.set_capacity(64 << 20);
    let broker = TestBroker::builder()
        .memory_disk(&disk)
        .clock(clock.clone())
        .config(|config| config.free_bytes = 16 << 20)
        .start()
        .unwrap();
    let mut client = Connection::to(broker.broker());
    number(&client.ask(delayed("Waiting", 2)), "queueOffset");
    disk.set_capacity(12 << 20);
    let asked_at = Instant::now();
    while ResponseCode(client.ask(send_to("Waiting")).code) != ResponseCode::SERVICE_NOT_AVAILABLE {
        assert!(asked_at.elapsed() < PATIENCE, "the disk is not found full");
    }
    let sent = length(&mut client, "Waiting");
    clock.advance(Duration::from_secs(5));
    arrived(&mut client, "Waiting", sent + 1);
    broker.stop().unwrap();
}
