//! Records at the seams of the groups that recovery feeds to the queues. One that claims the first place of a queue and is
//! the last of its group waits: what follows in a later group tells whether the topic begins anew there.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use cuemq_net::message::record::{self, Record, RecordFields};
use cuemq_net::message::sysflag::TransactionType;

use super::world::layout;
use crate::consume_queue::{EXTENSION_FOLDER, Opening};
use crate::disk::{Disk, MemoryDisk};
use crate::position::QueueOffset;
use crate::recovery::StoreLayout;
use crate::recovery::refeed::{GROUP_RECORDS, Refeed};
use crate::segment::file_name;

const TOPIC: &str = "T";
/// When the first record was stored; each one behind it a millisecond later.
const BEGIN_MS: i64 = 1_700_000_000_000;

/// A walk over a log of two kinds of records: those of one queue, and prepared ones, which go into no queue.
struct Walk {
    disk: Arc<dyn Disk>,
    refeed: Refeed,
    fed: usize,
    end: u64,
    /// Where the queue's records lie.
    positions: Vec<u64>,
}

impl Walk {
    /// The first group has three records of the queue, which follow one another, and ends with one that claims place 0.
    fn with_a_doubtful_record() -> Self {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(1));
        let layout = StoreLayout {
            extension_file_bytes: Some(1 << 10),
            ..layout()
        };
        let mut refeed = Refeed::new(&disk, &layout, layout.queue_file_bytes, Opening::Clean, None);
        refeed.from_the_first = true;
        let mut walk = Self {
            disk,
            refeed,
            fed: 0,
            end: 0,
            positions: Vec::new(),
        };
        walk.claim([0, 1, 2]);
        walk.pass(GROUP_RECORDS - 4);
        walk.claim([0]);
        walk
    }

    /// Feeds records of the queue that claim these places.
    fn claim(&mut self, places: impl IntoIterator<Item = u64>) {
        for place in places {
            self.positions.push(self.end);
            self.feed(TransactionType::None, place);
        }
    }

    /// Feeds so many records that the queue does not get.
    fn pass(&mut self, records: usize) {
        (0..records).for_each(|_| self.feed(TransactionType::Prepared, 0));
    }

    fn feed(&mut self, kind: TransactionType, queue_offset: u64) {
        let host: SocketAddr = "127.0.0.1:10911".parse().unwrap();
        let fields = RecordFields {
            body: b"body",
            body_crc: record::body_crc(b"body"),
            topic: TOPIC,
            properties: b"",
            queue_id: 0,
            flag: 0,
            system_flag: kind.bits(),
            born_timestamp_ms: 1,
            born_host: host,
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
        };
        let mut bytes = Vec::new();
        let length = record::encode(&fields, &mut bytes).unwrap();
        record::place(&mut bytes, queue_offset, self.end, self.now_ms()).unwrap();
        self.refeed.feed(&Record::parse(&bytes).unwrap()).unwrap();
        self.fed += 1;
        self.end += length as u64;
    }

    /// When the next record is stored.
    fn now_ms(&self) -> i64 {
        BEGIN_MS + i64::try_from(self.fed).unwrap()
    }

    /// The positions of the records that the queue has in the end, from place 0 on.
    fn queued(&mut self) -> Vec<u64> {
        self.refeed.finish().unwrap();
        let view = self.refeed.queues[0].view();
        let units = (0..view.max_offset().0).map(|place| view.unit(QueueOffset(place)).unwrap().unwrap());
        units.map(|unit| unit.physical_offset.0).collect()
    }
}

#[test]
fn a_claim_of_the_first_place_that_ends_a_group_is_believed_if_a_later_group_goes_on_from_there() {
    for groups_between in [0, 2] {
        let mut walk = Walk::with_a_doubtful_record();
        walk.pass(groups_between * GROUP_RECORDS);
        walk.claim([1, 2]);
        assert_eq!(walk.queued(), walk.positions[3..], "{groups_between} groups between");
    }
}

#[test]
fn a_claim_of_the_first_place_that_ends_a_group_is_not_believed_if_a_later_group_goes_on_with_the_queue() {
    for groups_between in [0, 2] {
        let mut walk = Walk::with_a_doubtful_record();
        walk.pass(groups_between * GROUP_RECORDS);
        walk.claim([4, 5]);
        assert_eq!(walk.queued(), walk.positions, "{groups_between} groups between");
    }
}

#[test]
fn a_claim_of_the_first_place_that_ends_a_group_and_that_nothing_follows_costs_no_message() {
    for groups_between in [0, 2] {
        let mut walk = Walk::with_a_doubtful_record();
        walk.pass(groups_between * GROUP_RECORDS);
        assert_eq!(walk.queued(), walk.positions, "{groups_between} groups between");
    }
}

#[test]
fn a_record_that_waits_for_the_next_group_keeps_the_time_at_which_it_was_stored() {
    let mut walk = Walk::with_a_doubtful_record();
    let stored_ms = walk.now_ms() - 1;
    walk.claim([1]);
    walk.queued();
    let file = Path::new(TOPIC).join("0").join(file_name(0));
    let path = layout().root.join(EXTENSION_FOLDER).join(file);
    let extension = walk.disk.read_whole(&path, 1 << 20).unwrap();
    let has = |time_ms: i64| extension.windows(8).any(|bytes| bytes == time_ms.to_be_bytes());
    assert!(has(stored_ms) && has(stored_ms + 1));
}
