//! Logs of another program with records whose topic or queue number is no name of a directory.

use std::io::IoSlice;
use std::path::Path;

use cuemq_net::message::record::{self, MAGIC_LONG_TOPIC, RecordFields, position};

use super::world::{Open, World, layout};
use crate::disk::{Disk, MemoryDisk, OpenMode};
use crate::log_state::{Acknowledge, FlushMode};
use crate::marker;
use crate::position::PhysicalOffset;

const STORED_MS: i64 = 1_600_000_000_000;

/// A log in the making.
#[derive(Default)]
struct Foreign {
    bytes: Vec<u8>,
    records: usize,
}

impl Foreign {
    fn add(&mut self, topic: &str, queue_id: i32, queue_offset: u64, properties: &[u8]) {
        let host = "127.0.0.1:10911".parse().unwrap();
        let fields = RecordFields {
            body: b"body",
            body_crc: record::body_crc(b"body"),
            topic,
            properties,
            queue_id,
            flag: 0,
            system_flag: 0,
            born_timestamp_ms: 1,
            born_host: host,
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
        };
        let start = self.bytes.len();
        record::encode(&fields, &mut self.bytes).unwrap();
        record::place(&mut self.bytes[start..], queue_offset, start as u64, STORED_MS).unwrap();
        self.records += 1;
    }

    /// A topic that is no text.
    fn add_no_text(&mut self) {
        let start = self.bytes.len();
        self.add("text", 0, 0, b"");
        let topic = self.bytes[start..]
            .windows(4)
            .position(|bytes| bytes == b"text")
            .unwrap();
        self.bytes[start + topic] = 0xFF;
    }

    /// A topic of 300 letters, in the form that release 5 has for it.
    fn add_long(&mut self) {
        let start = self.bytes.len();
        self.add("long", 0, 0, b"");
        let short = self.bytes.split_off(start);
        let topic = short.windows(5).position(|bytes| bytes == b"\x04long").unwrap();
        let long = [&short[..topic], &[1, 44], &[b't'; 300], &short[topic + 5..]].concat();
        self.bytes.extend_from_slice(&long);
        let total = u32::try_from(long.len()).unwrap().to_be_bytes();
        let record = &mut self.bytes[start..];
        record[position::TOTAL_SIZE..position::MAGIC].copy_from_slice(&total);
        record[position::MAGIC..position::BODY_CRC].copy_from_slice(&MAGIC_LONG_TOPIC.to_be_bytes());
    }

    /// Puts it on a disk as the one file of a log.
    fn lay(&self, disk: &MemoryDisk, aborted: bool) {
        let layout = layout();
        disk.create_directory(&layout.commit_log).unwrap();
        let path = layout.commit_log.join(crate::segment::file_name(0));
        let file = disk.open(&path, OpenMode::CreateNew).unwrap();
        file.allocate(0, layout.segment_bytes.unwrap()).unwrap();
        file.write_at(&[IoSlice::new(&self.bytes)], 0).unwrap();
        file.sync_data().unwrap();
        if aborted {
            marker::mark_in_use(disk, &layout.root).unwrap();
        }
    }
}

fn records_in(open: &Open) -> usize {
    let mut records = 0;
    open.log
        .view()
        .walk(PhysicalOffset(0), |_| {
            records += 1;
            true
        })
        .unwrap();
    records
}

fn names(disk: &MemoryDisk, directory: &str) -> Vec<String> {
    let listed = disk.list(Path::new(directory)).unwrap();
    listed.into_iter().map(|entry| entry.name).collect()
}

/// Two records that have a queue, and eight that can have none between them.
fn odd_log() -> Foreign {
    let mut log = Foreign::default();
    log.add("T", 0, 0, b"");
    log.add("../../escaped", 0, 0, b"");
    log.add("/escaped", 0, 0, b"");
    log.add("..", 0, 0, b"");
    log.add("a\0b", 0, 0, b"zeros\x01in a\0property\x02");
    log.add_no_text();
    log.add_long();
    log.add("T", -1, 0, b"");
    log.add("T", 1, u64::MAX / 32, b"");
    log.add("T", 0, 1, b"zeros\x01in a\0property\x02");
    log
}

#[test]
fn a_record_whose_queue_cannot_be_is_in_the_log_alone_and_stops_no_start() {
    for aborted in [true, false] {
        let mut world = World::new(70, FlushMode::Sync);
        let log = odd_log();
        log.lay(&world.disk, aborted);
        let open = world.open().unwrap();
        assert_eq!((open.report.unplaced, open.report.damage.as_deref()), (8, None));
        assert_eq!(open.log.view().visible().0, log.bytes.len() as u64);
        assert_eq!(records_in(&open), log.records, "all can be read");
        assert_eq!(
            names(&world.disk, "/"),
            ["store"],
            "nothing is written beside the store"
        );
        assert_eq!(names(&world.disk, "/store/consumequeue"), ["T"]);
        assert_eq!(names(&world.disk, "/store/consumequeue/T"), ["0"]);
        assert_eq!(open.queues[0].end().0, 2);
    }
}

#[test]
fn a_log_with_odd_records_is_not_cut_at_them_when_a_lost_queue_is_rebuilt_after_a_kill() {
    let mut world = World::new(71, FlushMode::Sync);
    let log = odd_log();
    log.lay(&world.disk, true);
    let mut open = world.open().unwrap();
    let batch = world.batch(0, 1, 4, false);
    world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
    drop(open);
    world.disk.kill();
    world.lose_queue(0);
    let open = world.open().unwrap();
    assert_eq!((open.report.damage.as_deref(), open.report.unplaced), (None, 8));
    assert_eq!(records_in(&open), log.records + 1);
    assert_eq!(open.queues[0].end().0, 3);
}
