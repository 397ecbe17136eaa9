//! A disk that fills up under a running broker, in the commit log, in a consume queue, in the index: new messages are
//! refused with a clear error, reads go on, nothing is lost, and all goes on by itself when there is room again.

use std::io::ErrorKind;
use std::time::Duration;

use cuemq_actors::testing::{MemoryDisk, PATIENCE, Site, TestBroker};
use cuemq_net::body::{Body, KvTable};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::message::record::records;
use cuemq_storage::disk::memory::{Fault, FaultId, Operation};

use crate::line::{Line, PULLED_AT_ONCE};
use crate::load::{TOPIC, pull, send};

#[test]
fn when_no_file_can_be_allocated_sends_are_refused_and_go_on_when_there_is_room() {
    let disk = MemoryDisk::new(1);
    let config = TestBroker::builder().config(|config| config.segment_bytes = Some(64 << 10));
    let broker = config.memory_disk(&disk).start().unwrap();
    let mut line = Line::to(&broker);
    assert_eq!(line.send().code, ResponseCode::SUCCESS.0);
    let full = disk.inject(
        Fault::new(Operation::Allocate)
            .on("commitlog")
            .kind(ErrorKind::StorageFull),
    );
    let refused = line.send_until_refused();
    assert_eq!(
        refused.code,
        ResponseCode::SERVICE_NOT_AVAILABLE.0,
        "{:?}",
        refused.remark
    );
    assert!(line.read() > 0, "reads go on");
    disk.clear(full);
    assert!(
        line.send_until_accepted(),
        "sends go on when there is room:\n{}",
        broker.tree()
    );
    broker.stop().unwrap();
}

#[test]
fn a_full_disk_closes_the_gate_and_room_opens_it() {
    let disk = MemoryDisk::new(1);
    let config = TestBroker::builder().config(|config| {
        config.free_bytes = 8 << 20;
        config.checkpoint_interval = Duration::from_millis(20);
    });
    let broker = config.memory_disk(&disk).start().unwrap();
    let mut line = Line::to(&broker);
    assert_eq!(line.send().code, ResponseCode::SUCCESS.0);
    disk.set_capacity(4 << 20);
    let refused = line.send_until_refused();
    assert_eq!(refused.code, ResponseCode::SERVICE_NOT_AVAILABLE.0);
    assert!(refused.remark.is_some_and(|remark| remark.contains("disk full")));
    assert!(line.read() > 0, "reads go on");
    disk.set_capacity(1 << 30);
    assert!(line.send_until_accepted(), "sends go on when there is room");
    broker.stop().unwrap();
}

/// What a file needs room for.
const NEEDS: [Operation; 5] = [
    Operation::CreateDirectory,
    Operation::Create,
    Operation::SetLength,
    Operation::Allocate,
    Operation::Write,
];

fn no_room(disk: &MemoryDisk, operation: Operation, path: &str) -> FaultId {
    disk.inject(Fault::new(operation).on(path).kind(ErrorKind::StorageFull).partial(7))
}

/// How far the broker says that it is behind with the dispatch.
fn dispatch_behind(line: &mut Line) -> u64 {
    let answer = line.ask(&Command::request(RequestCode::GET_BROKER_RUNTIME_INFO));
    let table = KvTable::decode(&answer.body).unwrap().table;
    table["dispatchBehindBytes"].parse().unwrap()
}

/// Sends until it is noticed that there is no room; how many messages were acknowledged.
fn sent_until_full(line: &mut Line) -> usize {
    let acknowledged = (0..1000).take_while(|_| line.send().code == ResponseCode::SUCCESS.0);
    let acknowledged = acknowledged.count();
    let refused = line.send();
    assert_eq!(refused.code, ResponseCode::SERVICE_NOT_AVAILABLE.0);
    let remark = refused.remark.unwrap_or_default();
    assert!(remark.contains("maybe disk full"), "{remark}");
    acknowledged
}

#[test]
fn a_consume_queue_without_room_refuses_sends_loses_nothing_and_goes_on_by_itself() {
    for operation in NEEDS {
        let disk = MemoryDisk::new(1);
        let broker = TestBroker::builder().memory_disk(&disk).start().unwrap();
        let mut line = Line::to(&broker);
        assert_eq!(line.ask(&send(TOPIC, 1, 0)).code, ResponseCode::SUCCESS.0);
        let full = no_room(&disk, operation, "consumequeue/Panics/0");
        let acknowledged = sent_until_full(&mut line);
        assert!(acknowledged > 0 && disk.fired(full) > 0, "{operation:?}");
        assert_eq!(line.read_queue(1), 1, "reads go on");
        if operation == Operation::Write {
            assert!(line.read() > 0, "what waits to be written is read");
        } else {
            assert_eq!(line.read(), 0);
            assert!(dispatch_behind(&mut line) > 4096, "the messages are not in their queue");
        }
        disk.clear(full);
        assert!(line.send_until_accepted(), "sends go on when there is room");
        assert_eq!(line.read(), acknowledged + 1, "{operation:?}");
        broker.stop().unwrap();
    }
}

#[test]
fn an_index_without_room_refuses_sends_and_goes_on_by_itself() {
    for operation in NEEDS {
        let disk = MemoryDisk::new(2);
        let broker = TestBroker::builder().memory_disk(&disk).start().unwrap();
        let mut line = Line::to(&broker);
        let full = no_room(&disk, operation, "/index");
        let acknowledged = sent_until_full(&mut line);
        assert!(acknowledged > 0 && disk.fired(full) > 0, "{operation:?}");
        assert_eq!(line.read(), acknowledged, "reads go on");
        disk.clear(full);
        assert!(line.send_until_accepted(), "sends go on when there is room");
        assert_eq!(line.read(), acknowledged + 1);
        // It says that everything is on disk only when the index has confirmed it.
        broker.stop().unwrap();
    }
}

#[test]
fn what_waits_for_a_message_is_woken_when_its_queue_has_room_again() {
    let disk = MemoryDisk::new(3);
    let broker = TestBroker::builder().memory_disk(&disk).start().unwrap();
    let mut line = Line::to(&broker);
    let full = no_room(&disk, Operation::Allocate, "consumequeue/Panics/0");
    let acknowledged = sent_until_full(&mut line);
    // It looks by itself only every 5 s, later than its client would give up.
    let waiting = pull("readers", 0, 0).with_field("suspendTimeoutMillis", 60_000);
    disk.clear(full);
    let woken = line.ask(&waiting);
    assert_eq!(records(&woken.body).count(), acknowledged.min(PULLED_AT_ONCE));
    assert_eq!(dispatch_behind(&mut line), 0);
    broker.stop().unwrap();
}

#[test]
fn a_consume_queue_that_is_built_anew_without_room_goes_on_as_well() {
    let disk = MemoryDisk::new(4);
    let broker = TestBroker::builder().memory_disk(&disk).start().unwrap();
    let mut line = Line::to(&broker);
    let full = no_room(&disk, Operation::Allocate, "consumequeue/Panics/0");
    let acknowledged = sent_until_full(&mut line);
    broker.faults().arm("consume queue Panics/0", Site::Task, 1);
    let struck = broker.wait_for(PATIENCE, |standing| standing.restarts == 1);
    assert!(struck.is_some(), "{}", broker.tree());
    disk.clear(full);
    assert!(line.send_until_accepted(), "{}", broker.tree());
    assert_eq!(line.read(), acknowledged + 1);
    broker.stop().unwrap();
}

#[test]
fn a_broker_that_stops_on_a_full_disk_has_everything_after_its_next_start() {
    for room_at_the_stop in [true, false] {
        let disk = MemoryDisk::new(5);
        let broker = TestBroker::builder().memory_disk(&disk).start().unwrap();
        let mut line = Line::to(&broker);
        let full = no_room(&disk, Operation::Allocate, "consumequeue/Panics/0");
        let acknowledged = sent_until_full(&mut line);
        if room_at_the_stop {
            disk.clear(full);
        }
        assert_eq!(broker.stop().is_ok(), room_at_the_stop);
        disk.clear(full);
        disk.kill();
        let broker = TestBroker::builder().memory_disk(&disk).start().unwrap();
        assert_eq!(Line::to(&broker).read(), acknowledged);
        broker.stop().unwrap();
    }
}

#[test]
fn a_consume_queue_that_cannot_be_written_or_synced_poisons_the_store() {
    let failures = [
        Fault::new(Operation::Write),
        Fault::new(Operation::SyncData).kind(ErrorKind::StorageFull),
    ];
    for failure in failures {
        let disk = MemoryDisk::new(6);
        let broker = TestBroker::builder().memory_disk(&disk).start().unwrap();
        let mut line = Line::to(&broker);
        disk.inject(failure.on("consumequeue"));
        let remark = line.send_until_refused().remark.unwrap_or_default();
        // By the gate, by the log that had the batch, or by the log that gets it then.
        let told = [
            "nothing is accepted until the broker is restarted",
            "outcome unknown",
            "the store has failed",
        ];
        assert!(told.iter().any(|told| remark.contains(told)), "{remark}");
        disk.clear_faults();
        assert_eq!(line.send().code, ResponseCode::SERVICE_NOT_AVAILABLE.0, "for good");
        assert!(broker.stop().is_err());
    }
}
