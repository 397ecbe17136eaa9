//! Groups: who is online and who hears of it, consumer offsets, positions in queues, and what a tool asks of the broker.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cuemq_actors::broker::SystemError;
use cuemq_actors::testing::TestBroker;
use cuemq_net::body::{Body, ConsumerData, ConsumerList, HeartbeatData, KvTable};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::dialect::Style;
use cuemq_storage::clock::ManualClock;
use cuemq_storage::disk::MemoryDisk;
use cuemq_storage::disk::memory::{Fault, Operation};
use cuemq_storage::marker;

use crate::{Connection, arrived, number, refused, send_to};

const GROUP: &str = "consumers";

fn heartbeat(client_id: &str) -> Command {
    let consumer = ConsumerData {
        group_name: GROUP.to_owned(),
        ..ConsumerData::default()
    };
    let data = HeartbeatData {
        client_id: client_id.to_owned(),
        consumers: vec![consumer],
        ..HeartbeatData::default()
    };
    Command::request(RequestCode::HEART_BEAT).with_body(data.encode(Style::Fastjson))
}

fn members(client: &mut Connection) -> Vec<String> {
    let list = Command::request(RequestCode::GET_CONSUMER_LIST_BY_GROUP).with_field("consumerGroup", GROUP);
    let answer = client.ask(list);
    match ResponseCode(answer.code) {
        ResponseCode::SUCCESS => {
            let mut ids = ConsumerList::decode(&answer.body).unwrap().consumer_id_list;
            ids.sort();
            ids
        }
        _ => {
            let remark = refused(&answer, ResponseCode::SYSTEM_ERROR);
            assert_eq!(remark, format!("no consumer for this group, {GROUP}"));
            Vec::new()
        }
    }
}

/// Waits for the notice that the group has changed: a oneway request of the broker.
fn notified(client: &mut Connection) {
    let notice = client.receive();
    assert!(notice.is_oneway() && !notice.is_response(), "{notice:?}");
    assert_eq!(RequestCode(notice.code), RequestCode::NOTIFY_CONSUMER_IDS_CHANGED);
    assert_eq!(notice.fields.get("consumerGroup"), Some(GROUP));
}

/// The C++ client 1.2 and 2.x print an enum as its number, a version quoted, and leave tags and hashes to the broker.
#[test]
fn a_heartbeat_with_numbers_for_enums_makes_a_member() {
    let broker = TestBroker::start();
    let mut client = Connection::to(broker.broker());
    let body = r#"{"clientID":"c++","consumerDataSet":[{"consumeFromWhere":4,"consumeType":1,"groupName":"consumers",
        "messageModel":1,"subscriptionDataSet":[{"subString":"*","subVersion":"1795306732522","topic":"T"}]}]}"#;
    let opaque = client.send(Command::request(RequestCode::HEART_BEAT).with_body(body.as_bytes().to_vec()));
    let (first, second) = (client.receive(), client.receive());
    let answer = [first, second].into_iter().find(Command::is_response).unwrap();
    assert_eq!(
        (answer.opaque, ResponseCode(answer.code)),
        (opaque, ResponseCode::SUCCESS),
        "{answer:?}"
    );
    assert_eq!(members(&mut client), ["c++"]);
}

/// Joins two clients, the first of which hears of itself and of the other.
fn two_members(broker: &TestBroker) -> (Connection, Connection) {
    let mut one = Connection::to(broker.broker());
    let opaque = one.send(heartbeat("one"));
    // The answer and the notice that follows from the heartbeat may come in either order.
    let first = [one.receive(), one.receive()];
    assert!(
        first
            .iter()
            .any(|command| command.is_response() && command.opaque == opaque && command.code == 0)
    );
    assert!(first.iter().any(|command| !command.is_response()), "{first:?}");
    let mut two = Connection::to(broker.broker());
    two.send(heartbeat("two"));
    let second = [two.receive(), two.receive()];
    assert!(second.iter().any(Command::is_response), "{second:?}");
    notified(&mut one);
    (one, two)
}

#[test]
fn members_are_listed_and_told_at_once_who_comes() {
    let broker = TestBroker::start();
    let mut asking = Connection::to(broker.broker());
    assert_eq!(members(&mut asking), [""; 0]);
    let _members = two_members(&broker);
    assert_eq!(members(&mut asking), ["one", "two"]);
}

#[test]
fn who_unregisters_is_gone_at_once() {
    let broker = TestBroker::start();
    let (mut one, mut two) = two_members(&broker);
    let leave = Command::request(RequestCode::UNREGISTER_CLIENT)
        .with_field("clientID", "two")
        .with_field("consumerGroup", GROUP);
    assert_eq!(two.ask(leave).code, 0);
    notified(&mut one);
    assert_eq!(members(&mut one), ["one"]);
}

#[test]
fn whose_connection_ends_is_gone_at_once() {
    let broker = TestBroker::start();
    let (mut one, two) = two_members(&broker);
    drop(two);
    notified(&mut one);
    assert_eq!(members(&mut one), ["one"]);
}

fn of_queue(code: RequestCode, topic: &str) -> Command {
    Command::request(code)
        .with_field("consumerGroup", GROUP)
        .with_field("topic", topic)
        .with_field("queueId", 0)
}

#[test]
fn offsets_are_kept_as_committed_even_backwards_and_a_new_group_starts_at_0() {
    let broker = TestBroker::start();
    let mut client = Connection::to(broker.broker());
    number(&client.ask(send_to("Offsets")), "queueOffset");
    let query = || of_queue(RequestCode::QUERY_CONSUMER_OFFSET, "Offsets");
    assert_eq!(
        number(&client.ask(query()), "offset"),
        0,
        "a young queue begins at 0 for a group without an offset"
    );
    for committed in [7, 3] {
        let commit = of_queue(RequestCode::UPDATE_CONSUMER_OFFSET, "Offsets").with_field("commitOffset", committed);
        assert_eq!(client.ask(commit).code, 0);
        assert_eq!(number(&client.ask(query()), "offset"), committed);
    }
}

#[test]
fn a_new_group_asks_its_own_settings_once_the_first_message_has_left_the_memory() {
    let memory = |bytes| TestBroker::builder().config(move |config| config.memory_bytes = Some(bytes));
    let query = || of_queue(RequestCode::QUERY_CONSUMER_OFFSET, "Left");
    // 40 of 100 bytes hold no message; 40 MiB hold it.
    for (bytes, starts_at_0) in [(100, false), (100 << 20, true)] {
        let broker = memory(bytes).start().unwrap();
        let mut client = Connection::to(broker.broker());
        assert_eq!(number(&client.ask(query()), "offset"), 0, "there is no queue yet");
        number(&client.ask(send_to("Left")), "queueOffset");
        arrived(&mut client, "Left", 1);
        let answer = client.ask(query());
        if starts_at_0 {
            assert_eq!(number(&answer, "offset"), 0);
        } else {
            let remark = refused(&answer, ResponseCode::QUERY_NOT_FOUND);
            assert_eq!(
                remark,
                "Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first"
            );
        }
        let commit = of_queue(RequestCode::UPDATE_CONSUMER_OFFSET, "Left").with_field("commitOffset", 1);
        assert_eq!(client.ask(commit).code, 0);
        assert_eq!(number(&client.ask(query()), "offset"), 1, "what is committed is told");
        broker.stop().unwrap();
    }
}

#[test]
fn a_new_group_that_wants_no_zero_in_an_offsets_place_gets_none() {
    let broker = TestBroker::start();
    let mut client = Connection::to(broker.broker());
    number(&client.ask(send_to("Young")), "queueOffset");
    let query =
        |zero: bool| of_queue(RequestCode::QUERY_CONSUMER_OFFSET, "Young").with_field("setZeroIfNotFound", zero);
    assert_eq!(
        refused(&client.ask(query(false)), ResponseCode::QUERY_NOT_FOUND),
        "Not found, do not set to zero, maybe this group boot first"
    );
    assert_eq!(number(&client.ask(query(true)), "offset"), 0);
    let commit = of_queue(RequestCode::UPDATE_CONSUMER_OFFSET, "Young").with_field("commitOffset", 0);
    assert_eq!(client.ask(commit).code, 0);
    assert_eq!(
        number(&client.ask(query(false)), "offset"),
        0,
        "a committed 0 is an offset"
    );
}

#[test]
fn a_commit_on_a_topic_that_is_not_there_is_answered_with_17() {
    let broker = TestBroker::start();
    let mut client = Connection::to(broker.broker());
    let commit = of_queue(RequestCode::UPDATE_CONSUMER_OFFSET, "Nowhere").with_field("commitOffset", 1);
    assert_eq!(
        refused(&client.ask(commit), ResponseCode::TOPIC_NOT_EXIST),
        "Topic Nowhere not exist!"
    );
}

#[test]
fn offsets_are_there_after_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let start = || TestBroker::builder().data(home.path()).start().unwrap();
    let broker = start();
    let mut client = Connection::to(broker.broker());
    number(&client.ask(send_to("Kept")), "queueOffset");
    let commit = of_queue(RequestCode::UPDATE_CONSUMER_OFFSET, "Kept").with_field("commitOffset", 1);
    assert_eq!(client.ask(commit).code, 0);
    broker.stop().unwrap();
    let broker = start();
    let mut client = Connection::to(broker.broker());
    let query = of_queue(RequestCode::QUERY_CONSUMER_OFFSET, "Kept");
    assert_eq!(number(&client.ask(query), "offset"), 1);
    broker.stop().unwrap();
}

#[test]
fn a_stop_that_cannot_save_the_offsets_fails_and_leaves_the_store_in_order() {
    let disk = MemoryDisk::new(1);
    let start = || TestBroker::builder().memory_disk(&disk).start().unwrap();
    let broker = start();
    let mut client = Connection::to(broker.broker());
    number(&client.ask(send_to("Unsaved")), "queueOffset");
    disk.inject(Fault::new(Operation::Write).on("consumerOffset.json"));
    let commit = of_queue(RequestCode::UPDATE_CONSUMER_OFFSET, "Unsaved").with_field("commitOffset", 1);
    assert_eq!(client.ask(commit).code, 0);
    let stopped = broker.stop();
    assert!(matches!(stopped, Err(SystemError::OffsetsNotSaved(_))), "{stopped:?}");
    let is_left_in_order = !marker::was_aborted(&disk, Path::new("/data")).unwrap();
    assert!(is_left_in_order);
    disk.clear_faults();
    start().stop().unwrap();
}

#[test]
fn the_ends_of_a_queue_and_times_in_it_are_told() {
    // Of messages of one millisecond any would be a right answer.
    let clock = Arc::new(ManualClock::new(1_800_000_000_000));
    let broker = TestBroker::builder().clock(clock.clone()).start().unwrap();
    let mut client = Connection::to(broker.broker());
    for _ in 0..3 {
        clock.advance(Duration::from_secs(10));
        number(&client.ask(send_to("Ends")), "queueOffset");
    }
    arrived(&mut client, "Ends", 3);
    let mut ask = |code: RequestCode, field: &str| number(&client.ask(of_queue(code, "Ends")), field);
    assert_eq!(ask(RequestCode::GET_MAX_OFFSET, "offset"), 3);
    assert_eq!(ask(RequestCode::GET_MIN_OFFSET, "offset"), 0);
    assert_eq!(
        ask(RequestCode::GET_EARLIEST_MSG_STORETIME, "timestamp"),
        1_800_000_010_000
    );
    let search = |time: i64| of_queue(RequestCode::SEARCH_OFFSET_BY_TIMESTAMP, "Ends").with_field("timestamp", time);
    for (second, found) in [(0, 0), (10, 0), (20, 1), (26, 2), (30, 2)] {
        let at = 1_800_000_000_000 + second * 1000;
        assert_eq!(number(&client.ask(search(at)), "offset"), found, "{second} s");
    }
}

/// As Java 5.3.3 answers; what a client without boundary is told, the test before has.
#[test]
fn a_time_with_a_boundary_leads_to_the_first_message_from_it_or_the_last_up_to_it() {
    let clock = Arc::new(ManualClock::new(1_800_000_000_000));
    let broker = TestBroker::builder().clock(clock.clone()).start().unwrap();
    let mut client = Connection::to(broker.broker());
    // Two messages of each time: 10 s, 20 s, 30 s.
    for _ in 0..3 {
        clock.advance(Duration::from_secs(10));
        for _ in 0..2 {
            number(&client.ask(send_to("Bounds")), "queueOffset");
        }
    }
    arrived(&mut client, "Bounds", 6);
    let mut search = |second: i64, boundary: &str| {
        let search = of_queue(RequestCode::SEARCH_OFFSET_BY_TIMESTAMP, "Bounds")
            .with_field("timestamp", 1_800_000_000_000 + second * 1000)
            .with_field("boundaryType", boundary);
        number(&client.ask(search), "offset")
    };
    for (second, lower, upper) in [
        (9, 0, 0),
        (10, 0, 1),
        (11, 2, 1),
        (19, 2, 1),
        (20, 2, 3),
        (30, 4, 5),
        (31, 6, 5),
    ] {
        assert_eq!(search(second, "LOWER"), lower, "lower of {second} s");
        assert_eq!(search(second, "UPPER"), upper, "upper of {second} s");
    }
    assert_eq!([search(19, "lower"), search(19, "upper"), search(19, "odd")], [2, 1, 2]);
}

/// As the recordings of 4.3.0 and 4.9.7 have it, also for a number that no queue of the topic has.
#[test]
fn a_queue_that_was_never_written_begins_and_ends_at_0() {
    let broker = TestBroker::start();
    let mut client = Connection::to(broker.broker());
    number(&client.ask(send_to("Short")), "queueOffset");
    for code in [RequestCode::GET_MIN_OFFSET, RequestCode::GET_MAX_OFFSET] {
        let of_none = of_queue(code, "Short").with_field("queueId", 9);
        assert_eq!(number(&client.ask(of_none), "offset"), 0);
    }
}

#[test]
fn runtime_information_has_javas_keys() {
    let broker = TestBroker::builder()
        .config(|config| config.accept_sends_from_ms = 1_700_000_000_000)
        .start()
        .unwrap();
    let mut client = Connection::to(broker.broker());
    number(&client.ask(send_to("Info")), "queueOffset");
    let answer = client.ask(Command::request(RequestCode::GET_BROKER_RUNTIME_INFO));
    let table = KvTable::decode(&answer.body).unwrap().table;
    for key in [
        "brokerVersionDesc",
        "bootTimestamp",
        "commitLogMaxOffset",
        "commitLogMinOffset",
        "dispatchBehindBytes",
        "putTps",
        "getTotalTps",
        "earliestMessageTimeStamp",
        "commitLogDiskRatio",
        "sendThreadPoolQueueSize",
    ] {
        assert!(table.contains_key(key), "{key} of {table:?}");
    }
    assert_eq!(table["msgPutTotalTodayNow"], "1");
    assert_eq!(table["startAcceptSendRequestTimeStamp"], "1700000000000");
}
