//! Half messages are seen by nobody until their producer commits them, and a producer that says nothing is asked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cuemq_actors::config::BrokerConfig;
use cuemq_actors::testing::{ManualClock, TestBroker};
use cuemq_net::body::{Body, HeartbeatData, ProducerData};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::dialect::Style;
use cuemq_net::message::properties::Properties;
use cuemq_net::message::record::Record;

use crate::{Connection, PATIENCE, arrived, number, pull_from, refused, send_to};

const HALVES: &str = "RMQ_SYS_TRANS_HALF_TOPIC";
const GIVEN_UP: &str = "TRANS_CHECK_MAX_TIME_TOPIC";
const COMMIT: i32 = 8;
const ROLLBACK: i32 = 12;

fn half(topic: &str) -> Command {
    let properties = "UNIQ_KEY\u{1}0A\u{2}TRAN_MSG\u{1}true\u{2}PGROUP\u{1}producers\u{2}";
    send_to(topic).with_field("i", properties).with_field("f", 4)
}

/// Sends a half message, and gives its place in the half topic and in the log.
fn open(client: &mut Connection, topic: &str) -> (i64, u64) {
    let answer = client.ask(half(topic));
    let id = answer.fields.get("msgId").unwrap().to_owned();
    (
        number(&answer, "queueOffset"),
        u64::from_str_radix(&id[16..], 16).unwrap(),
    )
}

fn end((queue_offset, physical_offset): (i64, u64), how: i32) -> Command {
    Command::request(RequestCode::END_TRANSACTION)
        .with_field("producerGroup", "producers")
        .with_field("tranStateTableOffset", queue_offset)
        .with_field("commitLogOffset", physical_offset)
        .with_field("commitOrRollback", how)
        .with_field("fromTransactionCheck", false)
        .with_field("msgId", "0A")
        .with_field("transactionId", "0A")
}

/// Waits until queue 0 of a topic, which may have to be made first, has so many messages.
fn has(client: &mut Connection, topic: &str, count: i64) {
    let asked = Command::request(RequestCode::GET_MAX_OFFSET)
        .with_field("topic", topic)
        .with_field("queueId", 0);
    let asked_at = Instant::now();
    while number(&client.ask(asked.clone()), "offset") < count {
        assert!(asked_at.elapsed() < PATIENCE, "{topic} has no {count} messages");
    }
}

fn success(answer: &Command) {
    assert_eq!(ResponseCode(answer.code), ResponseCode::SUCCESS, "{answer:?}");
}

/// A broker that looks at open transactions all the time.
fn asking(clock: &Arc<ManualClock>) -> TestBroker {
    let quick = |config: &mut BrokerConfig| {
        config.transactions.check_interval = Duration::from_millis(20);
        config.transactions.check_max = 2;
    };
    let builder = TestBroker::builder().clock(clock.clone()).config(quick);
    builder.start().unwrap()
}

#[test]
fn what_is_committed_comes_and_what_is_rolled_back_or_open_does_not() {
    let broker = TestBroker::start();
    let mut client = Connection::to(broker.broker());
    number(&client.ask(send_to("Money")), "queueOffset");
    let (rolled_back, committed) = (open(&mut client, "Money"), open(&mut client, "Money"));
    open(&mut client, "Money");
    success(&client.ask(end(rolled_back, ROLLBACK)));
    success(&client.ask(end(committed, COMMIT)));
    number(&client.ask(send_to("Money")), "queueOffset");
    arrived(&mut client, "Money", 3);
    let found = client.ask(pull_from("Money", 1));
    let record = Record::parse(&found.body).unwrap();
    assert_eq!((record.body(), record.system_flag()), (&b"body"[..], COMMIT));
    assert_eq!(
        record.prepared_transaction_offset(),
        i64::try_from(committed.1).unwrap()
    );
    assert_eq!(
        number(&client.ask(pull_from("Money", 0)), "maxOffset"),
        3,
        "two plain and one committed"
    );
    broker.stop().unwrap();
}

#[test]
fn a_transaction_is_ended_by_its_own_group_and_place_alone() {
    let broker = TestBroker::start();
    let mut client = Connection::to(broker.broker());
    number(&client.ask(send_to("Money")), "queueOffset");
    let place = open(&mut client, "Money");
    let mut said = |command: Command| {
        let answer = client.ask(command);
        refused(&answer, ResponseCode::SYSTEM_ERROR).to_owned()
    };
    assert_eq!(
        said(end(place, COMMIT).with_field("producerGroup", "thieves")),
        "The producer group wrong"
    );
    assert_eq!(
        said(end((place.0 + 1, place.1), COMMIT)),
        "The transaction state table offset wrong"
    );
    assert_eq!(
        said(end((place.0, place.1 + 1), COMMIT)),
        "Find prepared transaction message failed"
    );
    assert_eq!(
        said(end((0, 0), COMMIT)),
        "Find prepared transaction message failed",
        "an ordinary message"
    );
    // Who does not know gets no answer: the next one is that of the next request.
    client.send(end(place, 0));
    success(&client.ask(end(place, COMMIT)));
    arrived(&mut client, "Money", 2);
    broker.stop().unwrap();
}

#[test]
fn transactions_can_be_refused_by_name() {
    let broker = TestBroker::builder()
        .config(|config| config.transactions.reject = true)
        .start()
        .unwrap();
    let mut client = Connection::to(broker.broker());
    let answer = client.ask(half("Money"));
    let remark = refused(&answer, ResponseCode::NO_PERMISSION);
    assert_eq!(remark, "the broker[127.0.0.1] sending transaction message is forbidden");
    broker.stop().unwrap();
}

#[test]
fn a_producer_that_says_nothing_is_asked_about_its_own_message_until_it_answers() {
    let clock = Arc::new(ManualClock::new(1_700_000_000_000));
    let broker = asking(&clock);
    let mut client = Connection::to(broker.broker());
    open(&mut client, "Money");
    let heartbeat = HeartbeatData {
        client_id: "c1".to_owned(),
        producers: vec![ProducerData {
            group_name: "producers".to_owned(),
        }],
        ..HeartbeatData::default()
    };
    success(&client.ask(Command::request(RequestCode::HEART_BEAT).with_body(heartbeat.encode(Style::Fastjson))));
    clock.advance(Duration::from_secs(6));
    let question = client.receive();
    assert_eq!(RequestCode(question.code), RequestCode::CHECK_TRANSACTION_STATE);
    let record = Record::parse(&question.body).unwrap();
    assert_eq!((record.topic().unwrap(), record.body()), ("Money", &b"body"[..]));
    let times = Properties::new(record.properties())
        .get("TRANSACTION_CHECK_TIMES")
        .map(str::to_owned);
    assert_eq!(times.as_deref(), Some("1"));
    let told = |name: &str| question.fields.get(name).unwrap().parse::<i64>().unwrap();
    let place = (told("tranStateTableOffset"), told("commitLogOffset").cast_unsigned());
    assert_eq!(place, (1, record.physical_offset()), "where it lies now");
    success(&client.ask(end(place, COMMIT).with_field("fromTransactionCheck", true)));
    arrived(&mut client, "Money", 1);
    broker.stop().unwrap();
}

#[test]
fn an_immune_transaction_keeps_no_file_for_good_and_is_asked_about_when_its_time_is_over() {
    let clock = Arc::new(ManualClock::new(1_700_000_000_000));
    let broker = asking(&clock);
    let mut client = Connection::to(broker.broker());
    let properties = "TRAN_MSG\u{1}true\u{2}PGROUP\u{1}producers\u{2}CHECK_IMMUNITY_TIME_IN_SECONDS\u{1}900\u{2}";
    number(
        &client.ask(
            half("Money")
                .with_field("g", 1_700_000_000_000_i64)
                .with_field("i", properties),
        ),
        "queueOffset",
    );
    clock.advance(Duration::from_secs(600));
    has(&mut client, HALVES, 2);
    let found = client.ask(pull_from(HALVES, 1));
    let record = Record::parse(&found.body).unwrap();
    let times = Properties::new(record.properties())
        .get("TRANSACTION_CHECK_TIMES")
        .map(str::to_owned);
    assert_eq!(times, None, "it is moved, and nobody was asked");
    clock.advance(Duration::from_secs(300));
    has(&mut client, HALVES, 3);
    broker.stop().unwrap();
}

#[test]
fn a_transaction_that_nobody_ends_is_given_up_and_kept_for_whoever_looks() {
    let clock = Arc::new(ManualClock::new(1_700_000_000_000));
    let broker = asking(&clock);
    let mut client = Connection::to(broker.broker());
    open(&mut client, "Money");
    for written in 2..=3 {
        clock.advance(Duration::from_secs(6));
        has(&mut client, HALVES, written);
    }
    clock.advance(Duration::from_secs(6));
    has(&mut client, GIVEN_UP, 1);
    arrived(&mut client, GIVEN_UP, 1);
    broker.stop().unwrap();
}

#[test]
fn open_transactions_are_found_again_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let start = || TestBroker::builder().data(directory.path()).start().unwrap();
    let broker = start();
    let mut client = Connection::to(broker.broker());
    let (done, place) = (open(&mut client, "Money"), open(&mut client, "Money"));
    success(&client.ask(end(done, ROLLBACK)));
    drop(client);
    broker.stop().unwrap();

    let broker = start();
    let mut client = Connection::to(broker.broker());
    success(&client.ask(end(place, COMMIT)));
    arrived(&mut client, "Money", 1);
    broker.stop().unwrap();
}
