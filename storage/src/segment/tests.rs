//! What readers may and may not see of a segment, on a real file system.

use super::*;
use crate::disk::RealDisk;
use std::io::IoSlice;
use tempfile::{TempDir, tempdir};

const LENGTH: u64 = 16_384;

fn created() -> (TempDir, SegmentWriter) {
    let root = tempdir().unwrap();
    let writer = SegmentWriter::create(&RealDisk, root.path(), LENGTH, LENGTH).unwrap();
    (root, writer)
}

fn write(writer: &mut SegmentWriter, position: u64, bytes: &[u8]) {
    writer.write_at(&[IoSlice::new(bytes)], position).unwrap();
}

fn kind(error: &StoreError) -> io::ErrorKind {
    match error {
        StoreError::Io { source, .. } => source.kind(),
        other => panic!("{other}"),
    }
}

#[test]
fn a_file_name_is_twenty_digits() {
    assert_eq!(file_name(0), "00000000000000000000");
    assert_eq!(file_name(u64::MAX), "18446744073709551615");
    for start in [0, 1, 1_073_741_824, u64::MAX / 4 - 1] {
        assert_eq!(parse_file_name(&file_name(start)), Some(start));
    }
    for name in [
        "",
        "0",
        "0000000000000000000",
        "000000000000000000000",
        "+0000000000000000001",
        "-0000000000000000001",
        "0000000000000000000a",
        "18446744073709551615",
        "18446744073709551616",
        "18446744072635809792",
        "00000000000000000001.tmp",
        "٠0000000000000000000",
    ] {
        assert_eq!(parse_file_name(name), None, "{name}");
    }
}

#[test]
fn readers_see_only_what_is_published() {
    let (_root, mut writer) = created();
    let segment = Arc::clone(writer.segment());
    write(&mut writer, 0, b"published, not yet published");
    assert_eq!(segment.read(0..1), None);
    writer.publish(9);
    assert_eq!(segment.read(0..9), Some(b"published".as_slice()));
    assert_eq!(
        (segment.read(0..10), segment.read(10..12), segment.readable()),
        (None, None, 9)
    );
    let mut copy = [0; 4];
    assert!(segment.copy(5, &mut copy).unwrap());
    assert_eq!(&copy, b"shed");
    assert!(!segment.copy(6, &mut copy).unwrap() && !segment.copy(u64::MAX, &mut copy).unwrap());
}

#[test]
fn published_bytes_are_never_written_again() {
    let (_root, mut writer) = created();
    write(&mut writer, 0, b"0123456789");
    writer.publish(5);
    let error = writer.write_at(&[IoSlice::new(b"x")], 4).unwrap_err();
    assert_eq!(kind(&error), io::ErrorKind::InvalidInput);
    write(&mut writer, 5, b"x");
    writer.publish(10);
    assert_eq!(writer.segment().read(0..10), Some(b"01234x6789".as_slice()));
}

#[test]
#[should_panic(expected = "published 1 after 2")]
fn a_watermark_does_not_go_back() {
    let (_root, mut writer) = created();
    writer.publish(2);
    writer.publish(1);
}

#[test]
fn nothing_is_written_past_the_end() {
    let (_root, mut writer) = created();
    for (position, length) in [(LENGTH - 1, 2), (LENGTH, 1), (u64::MAX, 1)] {
        let bytes = vec![1; length];
        assert_eq!(
            kind(&writer.write_at(&[IoSlice::new(&bytes)], position).unwrap_err()),
            io::ErrorKind::InvalidInput
        );
    }
    write(&mut writer, LENGTH - 1, b"x");
    write(&mut writer, LENGTH, b"");
    assert_eq!(
        RealDisk.read_whole(writer.segment().path(), 1 << 20).unwrap().len() as u64,
        LENGTH
    );
}

#[test]
fn a_created_file_is_allocated_zeroed_and_never_taken_over() {
    let (root, writer) = created();
    assert_eq!(writer.segment().path(), root.path().join("00000000000000016384"));
    assert_eq!((writer.segment().start(), writer.segment().end()), (LENGTH, 2 * LENGTH));
    assert_eq!(
        RealDisk.read_whole(writer.segment().path(), LENGTH).unwrap(),
        vec![0; 16_384]
    );
    let again = SegmentWriter::create(&RealDisk, root.path(), LENGTH, LENGTH).unwrap_err();
    assert_eq!(kind(&again), io::ErrorKind::AlreadyExists);
}

#[test]
fn a_file_that_is_created_anew_has_nothing_of_the_one_before_whatever_that_was_like() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join(file_name(LENGTH));
    for left in [0, 5, 2 * LENGTH] {
        let file = RealDisk.open(&path, OpenMode::Create).unwrap();
        file.set_length(left).unwrap();
        file.write_at(&[std::io::IoSlice::new(b"left")], 0).unwrap();
        SegmentWriter::create_anew(&RealDisk, root.path(), LENGTH, LENGTH).unwrap();
        assert_eq!(RealDisk.read_whole(&path, LENGTH).unwrap(), vec![0; 16_384]);
        RealDisk.remove_file(&path).unwrap();
    }
}

#[test]
fn an_existing_file_opens_with_its_own_length_and_nothing_published() {
    let (root, mut writer) = created();
    write(&mut writer, 3, b"stored");
    writer.sync_handle().sync().unwrap();
    drop(writer);
    let mut writer = SegmentWriter::open_existing(&RealDisk, root.path(), LENGTH).unwrap();
    assert_eq!((writer.segment().length(), writer.segment().readable()), (LENGTH, 0));
    writer.publish(9);
    assert_eq!(writer.segment().read(3..9), Some(b"stored".as_slice()));
    assert_eq!(
        kind(&SegmentWriter::open_existing(&RealDisk, root.path(), 0).unwrap_err()),
        io::ErrorKind::NotFound
    );
}

#[test]
fn a_lazy_segment_is_opened_and_mapped_on_first_use() {
    let (root, mut writer) = created();
    write(&mut writer, 0, b"cold");
    drop(writer);
    let segment = Segment::open_lazy(Arc::new(RealDisk), root.path(), LENGTH, LENGTH, 4);
    assert_eq!(segment.read(0..4), None);
    segment.map().unwrap();
    assert_eq!(segment.read(0..4), Some(b"cold".as_slice()));
    assert_eq!(segment.read(0..5), None);
    let deleted = Segment::open_lazy(Arc::new(RealDisk), root.path(), 0, LENGTH, 4);
    assert_eq!(kind(&deleted.map().unwrap_err()), io::ErrorKind::NotFound);
}

#[test]
fn shared_bytes_outlive_the_writer_and_the_file() {
    let (_root, mut writer) = created();
    write(&mut writer, 0, b"in flight");
    writer.publish(9);
    let segment = Arc::clone(writer.segment());
    let shared = segment.share(3..9).unwrap();
    assert!(segment.share(3..10).is_none());
    RealDisk.remove_file(segment.path()).unwrap();
    drop((writer, segment));
    assert_eq!(shared.as_ref(), b"flight");
}

#[test]
fn pages_are_made_present_by_reading_where_the_kernel_cannot() {
    let (_root, writer) = created();
    let segment = writer.segment();
    segment.read_through(0..LENGTH).unwrap();
    segment.read_through(LENGTH..10 * LENGTH).unwrap();
    segment.populate(0..LENGTH).unwrap();
    assert_eq!(
        kind(&segment.populate(0..LENGTH + 1).unwrap_err()),
        io::ErrorKind::InvalidInput
    );
}

#[test]
fn positions_of_the_queue_are_found_in_the_file() {
    let (_root, writer) = created();
    let in_file = |position| writer.segment().position_in_file(position);
    assert_eq!((in_file(LENGTH), in_file(2 * LENGTH - 1)), (Some(0), Some(LENGTH - 1)));
    assert_eq!((in_file(LENGTH - 1), in_file(2 * LENGTH)), (None, None));
}
