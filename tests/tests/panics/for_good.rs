//! What may not be built anew: a flusher or allocator that fails ends the store. Sends get a clear refusal at once instead
//! of silence, and reads go on. So does a disk that fails under a running broker.

use cuemq_actors::supervise::Health;
use cuemq_actors::testing::{MemoryDisk, Site, TestBroker};
use cuemq_net::code::ResponseCode;
use cuemq_storage::disk::memory::{Fault, Operation};

use crate::line::Line;

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
