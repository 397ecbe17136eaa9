//! What may not be built anew: a flusher or allocator that fails ends the store. Sends get a clear refusal at once instead
//! of silence, and reads go on. And a disk that fails or fills up, under a running broker.

use std::time::Duration;

use cuemq_actors::supervise::Health;
use cuemq_actors::testing::{MemoryDisk, PATIENCE, Site, TestBroker};
use cuemq_net::code::ResponseCode;
use cuemq_net::command::Command;
use cuemq_net::message::record::records;
use cuemq_storage::disk::memory::{Fault, Operation};

use crate::load::{Client, TOPIC, pull, send};

/// A client that sends into one queue and reads it, without a runtime around it.
struct Line {
    runtime: tokio::runtime::Runtime,
    client: Client,
    number: u64,
}

impl Line {
    fn to(broker: &TestBroker) -> Self {
        Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
            client: Client::new(broker.broker()),
            number: 0,
        }
    }

    /// Sends the next message; every send is answered.
    fn send(&mut self) -> Command {
        let request = send(TOPIC, 0, 4 * self.number);
        self.number += 1;
        self.runtime.block_on(self.client.call(&request)).expect("an answer")
    }

    /// Sends until the answer is another one than success.
    fn send_until_refused(&mut self) -> Command {
        let refused = (0..1000).map(|_| self.send()).find(|answer| answer.code != 0);
        refused.expect("a refusal within 1000 sends")
    }

    /// How many messages one pull from the beginning brings.
    fn read(&mut self) -> usize {
        let answer = self.runtime.block_on(self.client.call(&pull("readers", 0, 0)));
        records(&answer.expect("an answer").body).count()
    }
}

fn ends_the_store(child: &str) {
    let broker = crate::broker();
    let mut line = Line::to(&broker);
    assert_eq!(line.send().code, ResponseCode::SUCCESS.0);
    broker.faults().arm(child, Site::Handler, 1);
    line.send_until_refused();
    let failed = broker.failed();
    assert!(failed.starts_with(child), "{failed}");
    assert_eq!(broker.health().health, Health::Failed);
    let refused = line.send();
    assert_eq!(
        refused.code,
        ResponseCode::SERVICE_NOT_AVAILABLE.0,
        "{:?}",
        refused.remark
    );
    assert!(refused.remark.is_some_and(|remark| remark.contains("restarted")));
    assert!(line.read() > 0, "reads go on");
    assert!(broker.stop().is_err(), "the store is left to recovery");
}

#[test]
fn a_flusher_that_panics_ends_the_store_and_reads_go_on() {
    ends_the_store("flusher");
}

#[test]
fn an_allocator_that_panics_ends_the_store_and_reads_go_on() {
    ends_the_store("allocator");
}

#[test]
fn after_a_failed_sync_the_outcome_is_unknown_later_sends_are_refused_and_reads_go_on() {
    let disk = MemoryDisk::new(1);
    let broker = TestBroker::builder().memory_disk(&disk).start().unwrap();
    let mut line = Line::to(&broker);
    assert_eq!(line.send().code, ResponseCode::SUCCESS.0);
    disk.inject(Fault::new(Operation::SyncData).on("commitlog").times(1));
    let unknown = line.send();
    assert_eq!(unknown.code, ResponseCode::SYSTEM_ERROR.0);
    assert!(unknown.remark.is_some_and(|remark| remark.contains("outcome unknown")));
    let refused = line.send();
    assert_eq!(refused.code, ResponseCode::SERVICE_NOT_AVAILABLE.0);
    assert!(
        refused
            .remark
            .is_some_and(|remark| remark.contains("a write to the disk has failed"))
    );
    assert_eq!(line.read(), 1, "what was acknowledged is read, what is unknown is not");
    assert!(broker.stop().is_err());
}

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
            .kind(std::io::ErrorKind::StorageFull),
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
    let again = (0..100).any(|_| line.send().code == ResponseCode::SUCCESS.0);
    assert!(again, "sends go on when there is room:\n{}", broker.tree());
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
    let deadline = Duration::from_secs(5).min(PATIENCE);
    let reopened = line.runtime.block_on(async {
        let client = &mut line.client;
        tokio::time::timeout(deadline, async {
            while client
                .call(&send(TOPIC, 0, 4))
                .await
                .is_none_or(|answer| answer.code != 0)
            {}
        })
        .await
    });
    assert!(reopened.is_ok(), "sends go on when there is room");
    broker.stop().unwrap();
}
