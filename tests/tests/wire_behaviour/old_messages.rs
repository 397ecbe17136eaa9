//! Messages of an earlier life of the broker, which it reads where it may wait for the disk: they are there. What the disk
//! does not give, old or new, is an answer that says so, never the end of the process and never a message passed over.

use cuemq_actors::testing::TestBroker;
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_storage::disk::MemoryDisk;
use cuemq_storage::disk::memory::{Fault, Operation};

use crate::pulls::{SUBSCRIPTION, SUSPEND, bodies, positions};
use crate::{Connection, arrived, number, pull_from, refused, send_to};

const TOPIC: &str = "Old";
const MESSAGES: i64 = 5;
/// Two of them fill a file of the log.
const BODY_BYTES: usize = 30_000;

fn start(disk: &MemoryDisk) -> TestBroker {
    let small_files = |config: &mut cuemq_actors::config::BrokerConfig| config.segment_bytes = Some(64 << 10);
    TestBroker::builder()
        .memory_disk(disk)
        .config(small_files)
        .start()
        .unwrap()
}

/// A broker that was started on messages of an earlier life.
fn restarted(disk: &MemoryDisk) -> (TestBroker, Connection) {
    let broker = start(disk);
    let mut client = Connection::to(broker.broker());
    for number_of_message in 0..MESSAGES {
        let body = vec![u8::try_from(number_of_message).unwrap(); BODY_BYTES];
        number(&client.ask(send_to(TOPIC).with_body(body)), "queueOffset");
    }
    arrived(&mut client, TOPIC, MESSAGES);
    broker.stop().unwrap();
    let broker = start(disk);
    let client = Connection::to(broker.broker());
    (broker, client)
}

fn of_queue(code: RequestCode) -> Command {
    Command::request(code)
        .with_field("topic", TOPIC)
        .with_field("queueId", 0)
}

#[track_caller]
fn are_all_there(client: &mut Connection) {
    let answer = client.ask(pull_from(TOPIC, 0));
    assert_eq!(positions(&answer), (0, [0, MESSAGES, 0, MESSAGES]));
    let first_bytes: Vec<u8> = bodies(&answer).iter().map(|body| body[0]).collect();
    assert_eq!(first_bytes, [0, 1, 2, 3, 4]);
}

#[test]
fn messages_of_an_earlier_life_are_pulled_and_found_by_time() {
    let (broker, mut client) = restarted(&MemoryDisk::new(1));
    are_all_there(&mut client);
    let filtered = client.ask(pull_from(TOPIC, 0).with_field("subscription", "none"));
    assert_eq!(
        positions(&filtered),
        (ResponseCode::PULL_RETRY_IMMEDIATELY.0, [0, MESSAGES, 0, MESSAGES])
    );
    let earliest = number(
        &client.ask(of_queue(RequestCode::GET_EARLIEST_MSG_STORETIME)),
        "timestamp",
    );
    assert!(earliest > 1_700_000_000_000, "{earliest}");
    let search = |time: i64| of_queue(RequestCode::SEARCH_OFFSET_BY_TIMESTAMP).with_field("timestamp", time);
    assert_eq!(number(&client.ask(search(earliest - 1)), "offset"), 0);
    assert_eq!(number(&client.ask(search(i64::MAX)), "offset"), MESSAGES - 1);
    broker.stop().unwrap();
}

#[test]
fn messages_whose_file_cannot_be_mapped_are_not_passed_over() {
    let disk = MemoryDisk::new(1);
    let (broker, mut client) = restarted(&disk);
    disk.inject(Fault::new(Operation::View).on("commitlog/00000000000000000000"));
    let answer = client.ask(pull_from(TOPIC, 0));
    let remark = refused(&answer, ResponseCode::SYSTEM_ERROR);
    assert!(remark.contains("pull again once it is mended"), "{remark}");
    disk.clear_faults();
    are_all_there(&mut client);
    broker.stop().unwrap();
}

#[test]
fn a_new_file_that_cannot_be_mapped_takes_no_message_and_sends_go_on_once_it_can() {
    let disk = MemoryDisk::new(1);
    disk.inject(Fault::new(Operation::View).on("commitlog"));
    let broker = start(&disk);
    let mut client = Connection::to(broker.broker());
    refused(&client.ask(send_to(TOPIC)), ResponseCode::SERVICE_NOT_AVAILABLE);
    disk.clear_faults();
    assert_eq!(number(&client.ask(send_to(TOPIC)), "queueOffset"), 0);
    let pull = pull_from(TOPIC, 0).with_field("sysFlag", SUSPEND | SUBSCRIPTION);
    assert_eq!(bodies(&client.ask(pull)), [b"body"]);
    broker.stop().unwrap();
}

#[test]
fn what_can_be_read_before_a_bad_sector_is_delivered_and_the_rest_refused() {
    let disk = MemoryDisk::new(1);
    let (broker, mut client) = restarted(&disk);
    disk.inject(Fault::new(Operation::Read).on("commitlog/00000000000000065536"));
    let before = client.ask(pull_from(TOPIC, 0));
    assert_eq!(positions(&before), (0, [0, 2, 0, MESSAGES]));
    refused(&client.ask(pull_from(TOPIC, 2)), ResponseCode::SYSTEM_ERROR);
    disk.clear_faults();
    are_all_there(&mut client);
    broker.stop().unwrap();
}

/// A client that is told at once that there is nothing would ask again at once, for as long as the disk is broken.
#[test]
fn a_pull_whose_consume_queue_cannot_be_read_is_refused_even_if_it_may_wait() {
    let disk = MemoryDisk::new(1);
    let (broker, mut client) = restarted(&disk);
    disk.inject(Fault::new(Operation::Read).on("consumequeue/Old/0"));
    let answer = client.ask(pull_from(TOPIC, 0).with_field("sysFlag", SUSPEND | SUBSCRIPTION));
    refused(&answer, ResponseCode::SYSTEM_ERROR);
    disk.clear_faults();
    are_all_there(&mut client);
    broker.stop().unwrap();
}

#[test]
fn requests_about_times_say_that_the_disk_has_a_fault() {
    let disk = MemoryDisk::new(1);
    let (broker, mut client) = restarted(&disk);
    let search = || of_queue(RequestCode::SEARCH_OFFSET_BY_TIMESTAMP).with_field("timestamp", 5);
    for part in ["consumequeue/Old/0", "commitlog"] {
        disk.inject(Fault::new(Operation::Read).on(part));
        for request in [of_queue(RequestCode::GET_EARLIEST_MSG_STORETIME), search()] {
            let answer = client.ask(request);
            let remark = refused(&answer, ResponseCode::SYSTEM_ERROR);
            assert!(remark.contains("disk has a fault"), "{part}: {remark}");
        }
        let information = client.ask(Command::request(RequestCode::GET_BROKER_RUNTIME_INFO));
        assert_eq!(information.code, 0, "{part}");
        disk.clear_faults();
    }
    assert_eq!(number(&client.ask(search()), "offset"), 0);
    broker.stop().unwrap();
}
