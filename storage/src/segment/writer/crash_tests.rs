//! Segments on a disk that loses its power, or lies, at every change.

use super::*;
use crate::disk::memory::{Fault, MemoryDisk, Operation, Survival};
use std::io::IoSlice;

const LENGTH: u64 = 16_384;
const RECORD: u64 = 700;

fn queue() -> &'static Path {
    Path::new("/store/commitlog")
}

fn disk_with_queue(seed: u64) -> MemoryDisk {
    let disk = MemoryDisk::new(seed);
    disk.create_directory(queue()).unwrap();
    disk
}

/// Makes a segment and appends records, each synced and counted before the next.
fn append_synced(disk: &MemoryDisk, acknowledged: &mut u64) -> Result<()> {
    let mut writer = SegmentWriter::create(disk, queue(), 0, LENGTH)?;
    let sync = writer.sync_handle();
    for record in 1..=5u8 {
        let bytes = [record; RECORD as usize];
        writer.write_at(&[IoSlice::new(&bytes)], *acknowledged * RECORD)?;
        sync.sync()?;
        *acknowledged += 1;
        writer.publish(*acknowledged * RECORD);
    }
    Ok(())
}

#[test]
fn an_acknowledged_record_survives_a_crash_at_any_change() {
    for seed in 0..10 {
        for nth in 1.. {
            let disk = disk_with_queue(seed);
            disk.crash_at(nth);
            let mut acknowledged = 0;
            let finished = append_synced(&disk.process(), &mut acknowledged).is_ok();
            disk.crash(Survival::Random(seed * 1000 + nth));
            let found = disk.read_whole(&queue().join(file_name(0)), LENGTH).unwrap_or_default();
            assert!(
                acknowledged == 0 || found.len() as u64 == LENGTH,
                "a segment in use has all its length"
            );
            for record in 0..acknowledged {
                let start = usize::try_from(record * RECORD).unwrap();
                let stored = &found[start..start + RECORD as usize];
                assert!(
                    stored.iter().all(|byte| u64::from(*byte) == record + 1),
                    "{:#?}",
                    disk.trace()
                );
            }
            if finished {
                assert_eq!(acknowledged, 5);
                break;
            }
        }
    }
}

#[test]
fn a_created_segment_is_there_after_a_crash_with_all_its_blocks() {
    let disk = disk_with_queue(1);
    SegmentWriter::create(&disk, queue(), LENGTH, LENGTH).unwrap();
    disk.crash(Survival::Nothing);
    assert_eq!(
        disk.read_whole(&queue().join(file_name(LENGTH)), LENGTH).unwrap(),
        [0; LENGTH as usize]
    );
    let space = disk.space(queue()).unwrap();
    assert_eq!(space.total - space.available, LENGTH);
}

#[test]
fn a_full_disk_refuses_a_segment_and_readers_go_on() {
    let disk = disk_with_queue(1);
    let mut writer = SegmentWriter::create(&disk, queue(), 0, LENGTH).unwrap();
    writer.write_at(&[IoSlice::new(b"stored")], 0).unwrap();
    writer.publish(6);
    disk.set_capacity(LENGTH + 4096);
    let StoreError::Io { source, .. } = SegmentWriter::create(&disk, queue(), LENGTH, LENGTH).unwrap_err() else {
        panic!("a full disk is an I/O error");
    };
    assert_eq!(source.kind(), io::ErrorKind::StorageFull);
    writer.segment().populate(0..6).unwrap();
    assert_eq!(writer.segment().read(0..6), Some(b"stored".as_slice()));
    writer.write_at(&[IoSlice::new(&[1; 1000])], 6).unwrap();
}

#[test]
fn a_cold_page_that_cannot_be_read_is_an_error() {
    let disk = disk_with_queue(1);
    let writer = SegmentWriter::create(&disk, queue(), 0, LENGTH).unwrap();
    disk.inject(Fault::new(Operation::Read).on(&file_name(0)));
    assert!(matches!(
        writer.segment().populate(0..LENGTH),
        Err(StoreError::Io { operation: "read", .. })
    ));
}
