//! Messages with a delivery time of their own wait in `rmq_sys_wheel_timer`, and come to their topic to the millisecond.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cuemq_actors::config::BrokerConfig;
use cuemq_actors::supervise::Site;
use cuemq_actors::testing::{ManualClock, TestBroker};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::message::properties::Properties;
use cuemq_net::message::record::{Record, records};
use cuemq_storage::disk::MemoryDisk;

use crate::{Connection, PATIENCE, arrived, number, pull_from, refused, send_to};

const WAITING: &str = "rmq_sys_wheel_timer";
const START_MS: u64 = 1_700_000_000_000;
const DAY: Duration = Duration::from_secs(86_400);

/// A message that asks for its time by this property.
fn timed(topic: &str, name: &str, value: impl std::fmt::Display) -> Command {
    send_to(topic).with_field("i", format!("UNIQ_KEY\u{1}{topic}{value}\u{2}{name}\u{1}{value}\u{2}"))
}

/// How many messages queue 0 of a topic has.
fn length(client: &mut Connection, topic: &str) -> i64 {
    let asked = Command::request(RequestCode::GET_MAX_OFFSET)
        .with_field("topic", topic)
        .with_field("queueId", 0);
    number(&client.ask(asked), "offset")
}

fn started(directory: &Path, clock: &Arc<ManualClock>) -> TestBroker {
    let broker = TestBroker::builder().data(directory).clock(clock.clone());
    broker.start().unwrap()
}

/// Waits until a topic has `count` messages and whatever is due was delivered: another one, which is due a millisecond later,
/// came behind. Adds one to the topic.
fn settled(client: &mut Connection, clock: &ManualClock, topic: &str, count: i64) {
    arrived(client, topic, count);
    let mark = format!("{topic}Mark{}", number(&client.ask(send_to(topic)), "queueOffset"));
    number(&client.ask(timed(&mark, "TIMER_DELAY_MS", 1)), "queueOffset");
    clock.advance(Duration::from_millis(1));
    arrived(client, &mark, 1);
    assert_eq!(
        length(client, topic),
        count + 1,
        "nothing came early, and nothing twice"
    );
}

#[test]
fn a_message_comes_at_its_time_to_the_millisecond_and_says_how_it_waited() {
    let clock = Arc::new(ManualClock::new(START_MS));
    let broker = TestBroker::builder().clock(clock.clone()).start().unwrap();
    let mut client = Connection::to(broker.broker());
    let asked = [
        ("TIMER_DELIVER_MS", START_MS + 40 * 86_400_000),
        ("TIMER_DELAY_MS", 1_500),
        ("TIMER_DELAY_SEC", 2),
        ("TIMER_DELIVER_MS", START_MS + 1_501),
        ("TIMER_DELIVER_MS", START_MS),
    ];
    for (name, value) in asked {
        let answer = client.ask(timed("At", name, value));
        assert_eq!(number(&answer, "queueId"), 0, "the queue that was asked for");
    }
    arrived(&mut client, "At", 1);
    clock.advance(Duration::from_millis(1_499));
    clock.advance(Duration::from_millis(1));
    arrived(&mut client, "At", 2);
    clock.advance(Duration::from_millis(1));
    arrived(&mut client, "At", 3);
    clock.advance(Duration::from_millis(499));
    arrived(&mut client, "At", 4);
    clock.advance(40 * DAY - Duration::from_millis(2_000));
    arrived(&mut client, "At", 5);
    let found = client.ask(pull_from("At", 0));
    let told: Vec<_> = records(&found.body)
        .map(|record| {
            let record = record.unwrap();
            let properties = Properties::new(record.properties());
            let told = [
                "TIMER_OUT_MS",
                "TIMER_ENQUEUE_MS",
                "TIMER_DEQUEUE_MS",
                "REAL_TOPIC",
                "REAL_QID",
            ];
            let told = told.map(|name| properties.get(name).map(str::to_owned));
            (record.store_timestamp_ms() - START_MS.cast_signed(), told)
        })
        .collect();
    let waited = |until_ms: u64| {
        let texts = [START_MS + until_ms - 1, START_MS, START_MS + until_ms].map(|ms| ms.to_string());
        let [out, from, to] = texts;
        let told = [out, from, to, "At".into(), "0".into()].map(Some);
        (until_ms.cast_signed(), told)
    };
    let expected = [
        (0, [const { None }; 5]),
        waited(1_500),
        waited(1_501),
        waited(2_000),
        waited(40 * 86_400_000),
    ];
    assert_eq!(told, expected);
    broker.stop().unwrap();
}

#[test]
fn a_time_that_is_none_or_too_far_ahead_is_refused_as_java_does() {
    let broker = TestBroker::builder()
        .config(|config| config.timers.max = 3 * DAY)
        .start()
        .unwrap();
    let mut client = Connection::to(broker.broker());
    for value in ["soon", "259201"] {
        let answer = client.ask(timed("Far", "TIMER_DELAY_SEC", value));
        let remark = refused(&answer, ResponseCode::MESSAGE_ILLEGAL);
        assert!(
            remark.starts_with(
                "timer message illegal, the delay time should not be bigger than the max delay 259200000ms"
            )
        );
    }
    let closed = refused(&client.ask(send_to(WAITING)), ResponseCode::NO_PERMISSION).to_owned();
    assert_eq!(closed, "Sending message to topic[rmq_sys_wheel_timer] is forbidden.");
    broker.stop().unwrap();

    let broker = TestBroker::builder()
        .config(|config| config.timers.enabled = false)
        .start()
        .unwrap();
    let mut client = Connection::to(broker.broker());
    let answer = client.ask(timed("Off", "TIMER_DELAY_SEC", 1));
    assert_eq!(
        refused(&answer, ResponseCode::SYSTEM_ERROR),
        "accurate timer message is not enabled, timerWheelEnable is false"
    );
    broker.stop().unwrap();
}

#[test]
fn what_waits_says_where_it_goes_and_a_level_wins_over_a_time() {
    let broker = TestBroker::builder().start().unwrap();
    let mut client = Connection::to(broker.broker());
    let both = "DELAY\u{1}3\u{2}TIMER_DELAY_SEC\u{1}1000\u{2}";
    number(&client.ask(send_to("Level").with_field("i", both)), "queueOffset");
    number(&client.ask(timed("Time", "TIMER_DELAY_SEC", 1_000)), "queueOffset");
    arrived(&mut client, WAITING, 1);
    let found = client.ask(pull_from(WAITING, 0));
    let record = Record::parse(&found.body).unwrap();
    let properties = Properties::new(record.properties());
    assert_eq!(properties.get("REAL_TOPIC"), Some("Time"));
    assert_eq!(properties.get("TIMER_DELAY_SEC"), Some("1000"));
    broker.stop().unwrap();
}

#[test]
fn what_waits_is_delivered_once_after_a_restart_and_after_a_lost_index() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(START_MS));
    let broker = started(directory.path(), &clock);
    let mut client = Connection::to(broker.broker());
    for ms in [10, 5_000, 9_000] {
        number(&client.ask(timed("Kept", "TIMER_DELAY_MS", ms)), "queueOffset");
    }
    clock.advance(Duration::from_millis(10));
    arrived(&mut client, "Kept", 1);
    drop(client);
    broker.stop().unwrap();

    let broker = started(directory.path(), &clock);
    let mut client = Connection::to(broker.broker());
    clock.advance(Duration::from_millis(4_990));
    settled(&mut client, &clock, "Kept", 2);
    drop(client);
    broker.stop().unwrap();

    std::fs::write(directory.path().join("cuemq/timers"), b"no index at all").unwrap();
    let broker = started(directory.path(), &clock);
    let mut client = Connection::to(broker.broker());
    clock.advance(Duration::from_millis(4_000));
    settled(&mut client, &clock, "Kept", 4);
    broker.stop().unwrap();
}

#[test]
fn while_their_owner_or_its_writer_starts_anew_nothing_is_lost() {
    let clock = Arc::new(ManualClock::new(START_MS));
    let broker = TestBroker::builder().clock(clock.clone()).start().unwrap();
    let mut client = Connection::to(broker.broker());
    for number_of in 0..50 {
        number(
            &client.ask(timed("Stubborn", "TIMER_DELAY_MS", 1_000 + number_of)),
            "queueOffset",
        );
    }
    broker.faults().arm("timers", Site::Handler, 1);
    broker.faults().arm("timer index", Site::Handler, 1);
    clock.advance(Duration::from_secs(1));
    number(&client.ask(timed("Stubborn", "TIMER_DELAY_MS", 1)), "queueOffset");
    clock.advance(Duration::from_secs(1));
    arrived(&mut client, "Stubborn", 51);
    broker.stop().unwrap();
}

#[test]
fn a_clock_that_steps_makes_nothing_early_and_loses_nothing() {
    let clock = Arc::new(ManualClock::new(START_MS));
    let broker = TestBroker::builder().clock(clock.clone()).start().unwrap();
    let mut client = Connection::to(broker.broker());
    let at_ms = START_MS + 10_000;
    number(&client.ask(timed("Stepped", "TIMER_DELIVER_MS", at_ms)), "queueOffset");
    clock.step_to(START_MS - 3_600_000);
    number(
        &client.ask(timed("Stepped", "TIMER_DELIVER_MS", at_ms + 1)),
        "queueOffset",
    );
    settled(&mut client, &clock, "Stepped", 0);
    clock.step_to(at_ms);
    arrived(&mut client, "Stepped", 2);
    clock.step_to(START_MS);
    settled(&mut client, &clock, "Stepped", 2);
    clock.step_to(at_ms + 1);
    arrived(&mut client, "Stepped", 4);
    broker.stop().unwrap();
}

/// The handle that the answer to a send tells.
fn handle(answer: &Command) -> String {
    answer.fields.get("recallHandle").unwrap().to_owned()
}

fn recall(topic: &str, handle: &str) -> Command {
    Command::request(RequestCode::RECALL_MESSAGE)
        .with_field("producerGroup", "Producers")
        .with_field("topic", topic)
        .with_field("recallHandle", handle)
}

#[test]
fn a_message_that_waits_is_recalled_and_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(START_MS));
    let broker = started(directory.path(), &clock);
    let mut client = Connection::to(broker.broker());
    let at_ms = START_MS + 5_000;
    let send = |key: &str| {
        let properties = format!("UNIQ_KEY\u{1}{key}\u{2}TIMER_DELIVER_MS\u{1}{at_ms}\u{2}");
        send_to("Sorry")
            .with_field("i", properties)
            .with_body(key.as_bytes().to_vec())
    };
    let handles: Vec<_> = ["A", "B", "C"].map(|key| handle(&client.ask(send(key)))).into();
    for gone in [0, 2] {
        let answer = client.ask(recall("Sorry", &handles[gone]));
        assert_eq!(answer.fields.get("msgId"), Some(["A", "B", "C"][gone]), "{answer:?}");
    }
    drop(client);
    broker.stop().unwrap();

    let broker = started(directory.path(), &clock);
    let mut client = Connection::to(broker.broker());
    clock.advance(Duration::from_millis(5_000));
    settled(&mut client, &clock, "Sorry", 1);
    let found = client.ask(pull_from("Sorry", 0));
    assert_eq!(Record::parse(&found.body).unwrap().body(), b"B");
    let late = client.ask(recall("Sorry", &handles[1]));
    assert_eq!(
        refused(&late, ResponseCode::ILLEGAL_OPERATION),
        "recall failed, timestamp invalid"
    );
    broker.stop().unwrap();
}

#[test]
fn what_cannot_be_recalled_is_refused_in_java_s_words() {
    let clock = Arc::new(ManualClock::new(START_MS));
    let broker = TestBroker::builder().clock(clock).start().unwrap();
    let mut client = Connection::to(broker.broker());
    number(&client.ask(send_to("Known")), "queueOffset");
    let sent = client.ask(timed("Mine", "TIMER_DELAY_SEC", 9));
    for (topic, handle, code, remark) in [
        (
            "None",
            &*handle(&sent),
            ResponseCode::TOPIC_NOT_EXIST,
            "recall failed, the topic[None] not exist",
        ),
        (
            "Mine",
            "%%",
            ResponseCode::ILLEGAL_OPERATION,
            "recall handle is invalid",
        ),
        (
            "Known",
            &*handle(&sent),
            ResponseCode::ILLEGAL_OPERATION,
            "recall failed, topic not match",
        ),
    ] {
        let answer = client.ask(recall(topic, handle));
        assert!(refused(&answer, code).contains(remark), "{answer:?}");
    }
    broker.stop().unwrap();
}

fn small(config: &mut BrokerConfig) {
    config.segment_bytes = Some(64 << 10);
    config.queue_file_bytes = 40;
    config.checkpoint_interval = Duration::from_millis(10);
    config.retention.age = Duration::ZERO;
    config.retention.interval = Duration::from_millis(10);
    config.retention.pause = Duration::from_millis(1);
    let all: Vec<String> = (0..24).map(|hour| format!("{hour:02}")).collect();
    config.retention.hours = all.join(";").parse().unwrap();
}

/// Fills more than two files of the log, and waits until the first of them is gone.
fn overflow(client: &mut Connection, clock: &ManualClock) {
    let before = number(&client.ask(min_offset("Flood")), "offset");
    for _ in 0..6 {
        number(&client.ask(send_to("Flood").with_body(vec![1; 30_000])), "queueOffset");
    }
    clock.advance(Duration::from_secs(3_600));
    let asked_at = Instant::now();
    while number(&client.ask(min_offset("Flood")), "offset") <= before + 1 {
        assert!(asked_at.elapsed() < PATIENCE, "the file stays");
        std::thread::yield_now();
    }
}

fn min_offset(topic: &str) -> Command {
    Command::request(RequestCode::GET_MIN_OFFSET)
        .with_field("topic", topic)
        .with_field("queueId", 0)
}

#[test]
fn what_waits_forty_days_outlives_a_log_that_keeps_nothing() {
    let clock = Arc::new(ManualClock::new(START_MS));
    let disk = MemoryDisk::new(1);
    let start = || {
        let builder = TestBroker::builder().memory_disk(&disk).clock(clock.clone());
        builder.config(small).start().unwrap()
    };
    let broker = start();
    let mut client = Connection::to(broker.broker());
    number(&client.ask(send_to("Flood")), "queueOffset");
    let kept = client.ask(timed("Outlives", "TIMER_DELAY_SEC", 40 * 86_400));
    let regretted = client.ask(timed("Outlives", "TIMER_DELAY_SEC", 39 * 86_400));
    number(&kept, "queueOffset");
    let gone = client.ask(recall("Outlives", &handle(&regretted)));
    assert_eq!(ResponseCode(gone.code), ResponseCode::SUCCESS, "{gone:?}");
    overflow(&mut client, &clock);
    drop(client);
    broker.stop().unwrap();

    let broker = start();
    let mut client = Connection::to(broker.broker());
    overflow(&mut client, &clock);
    overflow(&mut client, &clock);
    clock.step_to(START_MS + 40 * 86_400_000 - 2);
    settled(&mut client, &clock, "Outlives", 0);
    clock.step_to(START_MS + 40 * 86_400_000);
    arrived(&mut client, "Outlives", 2);
    let found = client.ask(pull_from("Outlives", 0));
    let last = records(&found.body).last().unwrap().unwrap();
    assert_eq!(last.store_timestamp_ms(), (START_MS + 40 * 86_400_000).cast_signed());
    let properties = Properties::new(last.properties());
    assert_eq!(properties.get("TIMER_DELAY_SEC"), Some("3456000"));
    let moved: u32 = properties.get("TIMER_ROLL_TIMES").unwrap().parse().unwrap();
    assert!(moved >= 3, "{moved}");
    broker.stop().unwrap();
}
