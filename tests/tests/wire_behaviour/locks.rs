//! Queues that are locked for one consumer of a group, so that messages keep their order.

use std::sync::Arc;
use std::time::Duration;

use cuemq_actors::testing::TestBroker;
use cuemq_net::body::{Body, LockBatch, LockedQueues, MessageQueue};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::dialect::Style;
use cuemq_storage::clock::ManualClock;
use cuemq_storage::disk::MemoryDisk;

use crate::{Connection, refused};

fn batch(code: RequestCode, client: &str, queues: &[i32]) -> Command {
    let queue = |queue_id: &i32| MessageQueue {
        topic: "Ordered".to_owned(),
        broker_name: "broker-a".to_owned(),
        queue_id: *queue_id,
    };
    let batch = LockBatch {
        client_id: client.to_owned(),
        consumer_group: "consumers".to_owned(),
        queues: queues.iter().map(queue).collect(),
    };
    Command::request(code).with_body(batch.encode(Style::Fastjson))
}

/// The queues that a client holds after it has asked for these.
fn locked(connection: &mut Connection, client: &str, queues: &[i32]) -> Vec<i32> {
    let answer = connection.ask(batch(RequestCode::LOCK_BATCH_MQ, client, queues));
    assert_eq!(answer.code, 0, "{answer:?}");
    let held = LockedQueues::decode(&answer.body).unwrap().queues;
    held.iter().map(|queue| queue.queue_id).collect()
}

#[test]
fn a_queue_is_locked_for_one_client_of_a_group_until_it_lets_go_or_is_silent_for_a_minute() {
    let clock = Arc::new(ManualClock::new(1_800_000_000_000));
    let broker = TestBroker::builder().clock(clock.clone()).start().unwrap();
    let (mut one, mut two) = (Connection::to(broker.broker()), Connection::to(broker.broker()));
    assert_eq!(locked(&mut one, "one", &[0, 1, 2]), [0, 1, 2]);
    assert_eq!(locked(&mut two, "two", &[2, 3]), [3]);
    // Clients mostly unlock without waiting for an answer.
    two.send(batch(RequestCode::UNLOCK_BATCH_MQ, "two", &[2]).oneway());
    one.send(batch(RequestCode::UNLOCK_BATCH_MQ, "one", &[1]).oneway());
    assert_eq!(one.ask(batch(RequestCode::UNLOCK_BATCH_MQ, "one", &[7])).code, 0);
    assert_eq!(
        locked(&mut two, "two", &[0, 1, 2]),
        [1],
        "only the holder has let go of its own"
    );
    // A closed connection is no reason: its client may still be at work on a message.
    drop(one);
    clock.advance(Duration::from_secs(60));
    assert_eq!(locked(&mut two, "two", &[0, 2]), [0; 0]);
    clock.advance(Duration::from_millis(1));
    assert_eq!(locked(&mut two, "two", &[0, 2]), [0, 2]);
}

#[test]
fn locks_that_cannot_be_read_are_refused() {
    let broker = TestBroker::start();
    let mut client = Connection::to(broker.broker());
    for code in [RequestCode::LOCK_BATCH_MQ, RequestCode::UNLOCK_BATCH_MQ] {
        let answer = client.ask(Command::request(code).with_body(b"{\"mqSet\":".to_vec()));
        assert!(refused(&answer, ResponseCode::SYSTEM_ERROR).starts_with("the body cannot be read"));
    }
}

/// A consumer that lives through the death of its broker has messages in hand, and goes on with them.
#[test]
fn a_queue_that_was_locked_before_the_broker_was_killed_is_nobody_elses_after_its_restart() {
    let (disk, clock) = (MemoryDisk::new(1), Arc::new(ManualClock::new(1_800_000_000_000)));
    let start = || {
        let builder = TestBroker::builder().memory_disk(&disk).clock(clock.clone());
        builder.start().unwrap()
    };
    let broker = start();
    let mut one = Connection::to(broker.broker());
    assert_eq!(locked(&mut one, "one", &[0, 1]), [0, 1]);
    disk.kill();
    drop(broker);
    let broker = start();
    let mut client = Connection::to(broker.broker());
    assert_eq!(locked(&mut client, "two", &[0, 1, 2]), [2]);
    assert_eq!(locked(&mut client, "one", &[0]), [0], "the holder comes back");
    clock.advance(Duration::from_millis(60_001));
    assert_eq!(
        locked(&mut client, "two", &[0, 1]),
        [0, 1],
        "who has not come back for a minute has lost it"
    );
    broker.stop().unwrap();
}

#[test]
fn a_damaged_file_of_locks_stops_no_start_and_nothing_is_locked_before_its_locks_are_over() {
    let (home, clock) = (
        tempfile::tempdir().unwrap(),
        Arc::new(ManualClock::new(1_800_000_000_000)),
    );
    std::fs::create_dir_all(home.path().join("cuemq")).unwrap();
    std::fs::write(home.path().join("cuemq/locks"), b"no snapshot").unwrap();
    let builder = TestBroker::builder().data(home.path()).clock(clock.clone());
    let broker = builder.start().unwrap();
    let mut client = Connection::to(broker.broker());
    assert_eq!(locked(&mut client, "one", &[0]), [0; 0]);
    clock.advance(Duration::from_millis(60_001));
    assert_eq!(locked(&mut client, "one", &[0]), [0]);
    broker.stop().unwrap();
}
