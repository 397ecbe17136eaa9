//! The promises of the store, each by its own test.

use super::world::{World, check_store_times};
use crate::disk::Disk;
use crate::disk::memory::{Fault, Operation, Survival};
use crate::entropy::{Entropy, SeededEntropy};
use crate::error::StoreError;
use crate::log_state::{Acknowledge, FlushMode, Outcome};

fn sent(world: &World, outcome: Outcome) -> usize {
    world.told.values().filter(|told| told.outcome == outcome).count()
}

#[test]
fn promise_1_what_is_acknowledged_survives_a_power_loss_that_keeps_nothing_else() {
    let mut world = World::new(1, FlushMode::Sync);
    let mut open = world.open().unwrap();
    for number in 0..60 {
        let batch = world.batch(number % 3, 1, 50, false);
        world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
    }
    world.disk.crash(Survival::Nothing);
    let mut open = world.open().unwrap();
    world.check(&mut open);
    assert_eq!(World::visible(&open).len(), 60);
}

#[test]
fn promise_2_a_failed_sync_poisons_the_store_and_nothing_is_tried_again() {
    let mut world = World::new(2, FlushMode::Sync);
    let mut open = world.open().unwrap();
    let batch = world.batch(0, 1, 50, false);
    world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
    let fault = world
        .disk
        .inject(Fault::new(Operation::SyncData).on("commitlog").times(1));
    let batch = world.batch(0, 1, 50, false);
    world.send(&mut open, batch, Acknowledge::Flushed).unwrap_err();
    assert_eq!(world.disk.fired(fault), 1);
    assert_eq!(
        sent(&world, Outcome::Unknown),
        1,
        "the sender is told that the outcome is not known"
    );
    let batch = world.batch(0, 1, 50, false);
    world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
    assert_eq!(sent(&world, Outcome::Refused), 1, "a later one is refused");
    assert_eq!(World::visible(&open).len(), 1, "and reads go on");
}

#[test]
fn promise_2_what_a_restart_serves_after_a_failed_sync_is_on_disk_and_not_only_in_a_page_cache_that_lies() {
    let mut world = World::new(3, FlushMode::Sync);
    let mut open = world.open().unwrap();
    let fault = world
        .disk
        .inject(Fault::new(Operation::SyncData).on("commitlog/0").times(1).after(1));
    let batch = world.batch(0, 1, 50, false);
    let failed = world.send(&mut open, batch, Acknowledge::Flushed);
    assert_eq!(
        (world.disk.fired(fault), sent(&world, Outcome::Unknown)),
        (1, 1),
        "{failed:?}"
    );
    // The process restarts on the same page cache, which shows the record and calls its pages clean.
    world.disk.kill();
    let open = world.open().unwrap();
    let served = World::visible(&open);
    assert_eq!(served.len(), 1);
    world.disk.crash(Survival::Nothing);
    let open = world.open().unwrap();
    assert_eq!(World::visible(&open), served, "what was served once does not disappear");
}

#[test]
fn promise_3_a_record_behind_a_cut_does_not_come_back_to_life() {
    let mut world = World::new(4, FlushMode::Sync);
    let mut open = world.open().unwrap();
    for _ in 0..3 {
        let batch = world.batch(0, 1, 50, false);
        world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
    }
    drop(open);
    // The disk tears the second record; the third one, of the same size, stays whole behind it.
    world.disk.kill();
    let file = crate::disk::Disk::open(
        &world.disk,
        &super::world::layout().commit_log.join(crate::segment::file_name(0)),
        crate::disk::OpenMode::Write,
    )
    .unwrap();
    let second = world.told[&1].physical_offset;
    file.write_at(&[std::io::IoSlice::new(&[0xFF; 8])], second + 84)
        .unwrap();
    file.sync_data().unwrap();
    world.told.clear();
    let mut open = world.open().unwrap();
    assert_eq!(World::visible(&open).len(), 1);
    assert!(
        open.report.damage.is_some() && open.report.cut_bytes > 0,
        "it says what it cut: {:?}",
        open.report
    );
    world.adopt(&open);
    // A new record takes the place of the torn one exactly; then the power fails.
    let batch = world.batch(0, 1, 50, false);
    world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
    world.disk.crash(Survival::Everything);
    let mut open = world.open().unwrap();
    world.check(&mut open);
    assert_eq!(World::visible(&open).len(), 2, "the old third record is gone for good");
}

#[test]
fn promise_4_a_full_disk_refuses_new_messages_and_keeps_what_is_stored() {
    let mut world = World::new(5, FlushMode::Sync);
    world.disk.set_capacity(40 * 1024);
    let mut open = world.open().unwrap();
    for _ in 0..400 {
        let batch = world.batch(0, 1, 300, false);
        // Whichever file finds the disk full: the next one is refused, and the process goes on.
        let _ = world.send(&mut open, batch, Acknowledge::Flushed);
        if sent(&world, Outcome::Refused) > 0 {
            break;
        }
    }
    assert!(sent(&world, Outcome::Stored) > 10);
    assert_eq!(sent(&world, Outcome::Refused), 1, "the disk was full");
    assert!(
        World::visible(&open).len() >= sent(&world, Outcome::Stored),
        "and reads go on"
    );
    world.disk.kill();
    world.disk.set_capacity(1 << 30);
    let mut open = world.open().unwrap();
    world.check(&mut open);
    let batch = world.batch(0, 1, 300, false);
    world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
}

/// Overwrites bytes of the log that lie in one of its files, durably.
pub(super) fn overwrite(world: &World, at: u64, bytes: &[u8]) {
    let layout = super::world::layout();
    let within = at % layout.segment_bytes.unwrap();
    let path = layout.commit_log.join(crate::segment::file_name(at - within));
    let file = world.disk.open(&path, crate::disk::OpenMode::Write).unwrap();
    file.write_at(&[std::io::IoSlice::new(bytes)], within).unwrap();
    file.sync_data().unwrap();
}

/// A store with so many messages of one size, stopped in order.
pub(super) fn closed(seed: u64, messages: u32) -> World {
    let mut world = World::new(seed, FlushMode::Sync);
    let mut open = world.open().unwrap();
    for _ in 0..messages {
        let batch = world.batch(0, 1, 50, false);
        world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
    }
    open.close(world.now_ms).unwrap();
    world.disk.kill();
    world
}

#[test]
fn promise_3_a_record_torn_in_its_properties_is_cut_although_its_body_is_whole() {
    let mut world = World::new(20, FlushMode::Sync);
    let mut open = world.open().unwrap();
    for _ in 0..2 {
        let batch = world.batch(0, 1, 50, false);
        world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
    }
    let end = open.log.view().visible().0;
    drop(open);
    world.disk.kill();
    overwrite(&world, end - 5, &[0; 5]);
    let open = world.open().unwrap();
    assert_eq!(World::visible(&open).len(), 1);
    assert_eq!(
        open.report.damage.as_deref(),
        Some("a record whose topic or properties are torn")
    );
}

#[test]
fn promise_3_a_consume_queue_whose_only_file_has_a_part_of_its_length_is_rebuilt() {
    let mut world = World::new(21, FlushMode::Sync);
    let mut open = world.open().unwrap();
    let batch = world.batch(0, 1, 50, false);
    world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
    drop(open);
    world.disk.kill();
    let path = super::world::layout()
        .root
        .join("consumequeue/T/0")
        .join(crate::segment::file_name(0));
    world
        .disk
        .open(&path, crate::disk::OpenMode::Write)
        .unwrap()
        .set_length(39)
        .unwrap();
    let mut open = world.open().unwrap();
    world.check(&mut open);
    assert_eq!(open.queues.len(), 1);
}

#[test]
fn promise_3_a_clean_start_changes_nothing_behind_the_end() {
    let mut world = closed(22, 3);
    let closed = world.disk.trace().last().map_or(0, |step| step.number);
    let open = world.open().unwrap();
    assert!(open.report.clean && open.report.cut_bytes == 0);
    let mut since = world.disk.trace().into_iter().filter(|step| step.number > closed);
    let zeroed = since.find(|step| step.operation == Operation::Zero);
    assert!(zeroed.is_none(), "{zeroed:?}");
}

#[test]
fn promise_3_a_clean_store_that_was_damaged_since_says_what_is_lost_and_keeps_a_copy() {
    let mut world = closed(23, 6);
    let third = world.told[&2].physical_offset;
    let note = super::world::layout().root.join("cuemq/log");
    // Without our note the log is read, as when Java used the store last.
    world.disk.remove_file(&note).unwrap();
    overwrite(&world, third + 84, &[0xFF; 8]);
    let mut open = world.open().unwrap();
    assert!(open.report.clean && open.report.damage.is_some());
    assert_eq!(
        (World::visible(&open).len(), open.report.lost_records),
        (2, 3),
        "{:?}",
        open.report
    );
    let copy = open.report.copy.clone().unwrap();
    let bytes = world.disk.read_whole(&copy, 1 << 20).unwrap();
    let last = b"key-5";
    assert!(
        bytes.windows(last.len()).any(|window| window == last),
        "the last record is in the copy"
    );
    world.told.clear();
    world.adopt(&open);
    let batch = world.batch(0, 1, 50, false);
    world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
    drop(open);
    world.disk.kill();
    let mut open = world.open().unwrap();
    world.check(&mut open);
    assert_eq!(World::visible(&open).len(), 3);
}

#[test]
fn promise_3_a_log_that_lost_what_was_durable_is_an_error_that_counts() {
    let mut world = closed(24, 6);
    // A hole of zeros, which looks like the rest of a file that was never written.
    let third = world.told[&2].physical_offset;
    let length = world.told[&3].physical_offset - third;
    world
        .disk
        .remove_file(&super::world::layout().root.join("cuemq/log"))
        .unwrap();
    overwrite(&world, third, &vec![0; usize::try_from(length).unwrap()]);
    let open = world.open().unwrap();
    assert_eq!(World::visible(&open).len(), 2);
    assert_eq!(open.report.lost_records, 3, "{:?}", open.report);
    assert!(
        open.report
            .damage
            .as_deref()
            .unwrap()
            .starts_with("zeros, although consume queues know")
    );
}

#[test]
fn promise_3_store_times_do_not_decrease_over_a_clean_stop_and_a_clock_that_is_set_back() {
    let mut world = closed(25, 3);
    world.now_ms -= 60_000;
    let mut open = world.open().unwrap();
    assert_eq!(open.report.records, 0, "nothing was read that could tell the last time");
    let batch = world.batch(1, 1, 50, false);
    world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
    world.check(&mut open);
}

#[test]
fn promise_3_store_times_do_not_decrease_behind_a_record_that_no_queue_knows() {
    let mut world = closed(47, 1);
    let mut open = world.open().unwrap();
    world.now_ms += 120_000;
    let batch = world.prepared(1);
    world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
    open.close(world.now_ms).unwrap();
    world.disk.kill();
    world.now_ms -= 60_000;
    let mut open = world.open().unwrap();
    assert_eq!(open.report.records, 0, "nothing was read that could tell the last time");
    let batch = world.batch(0, 1, 50, false);
    world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
    check_store_times(&open);
}

#[test]
fn promise_5_a_file_of_another_length_is_refused_with_the_setting_to_change() {
    let mut world = closed(26, 3);
    let path = super::world::layout().commit_log.join(crate::segment::file_name(0));
    let file = world.disk.open(&path, crate::disk::OpenMode::Write).unwrap();
    file.set_length(4096).unwrap();
    let error = world.open().err().unwrap().to_string();
    let next_step = "set mappedFileSizeCommitLog=4096, or use another data directory";
    assert!(error.contains(next_step), "{error}");
}

#[test]
fn promise_5_senseless_bytes_in_any_file_are_an_error_or_a_cut_and_never_a_panic() {
    for seed in 0..60 {
        let mut world = closed(27, 12);
        let random = SeededEntropy::new(seed);
        let root = super::world::layout().root;
        let files = [
            "commitlog/00000000000000000000",
            "consumequeue/T/0/00000000000000000000",
            "checkpoint",
            "cuemq/log",
            "index/20231114221320007",
        ];
        let name = files[usize::try_from(seed).unwrap() % files.len()];
        let file = world.disk.open(&root.join(name), crate::disk::OpenMode::Write).unwrap();
        let at = random.below(file.length().unwrap());
        let bytes: Vec<u8> = (0..1 + random.below(64)).map(|_| random.next_u64() as u8).collect();
        file.write_at(&[std::io::IoSlice::new(&bytes)], at).unwrap();
        if seed % 2 == 0 {
            crate::marker::mark_in_use(&world.disk, &root).unwrap();
        }
        let walked = world.open().and_then(|open| {
            let view = open.log.view();
            view.walk(view.minimum(), |_| true)
        });
        if let Err(error) = walked {
            assert!(error.to_string().contains("/store/"), "{error}");
        }
    }
}

#[test]
fn promise_6_our_note_has_magic_version_and_checksum_and_a_newer_one_is_refused_by_name() {
    let mut world = closed(28, 3);
    let path = super::world::layout().root.join("cuemq/log");
    let bytes = world.disk.read_whole(&path, 4096).unwrap();
    assert_eq!(
        (&bytes[..4], &bytes[4..8], &bytes[8..10]),
        (&b"CUEM"[..], &b"LOG "[..], &[0, 1][..])
    );
    let newer = crate::snapshot::Format {
        kind: *b"LOG ",
        version: 2,
    };
    crate::snapshot::write(&world.disk, &path, newer, &1).unwrap();
    let error = world.open().err().unwrap();
    assert!(
        matches!(error, StoreError::NewerVersion { found: 2, known: 1, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("/store/cuemq/log") && error.to_string().contains("run a newer cuemq"));
}

#[test]
fn promise_6_all_that_is_ours_alone_lies_below_its_own_folder() {
    let world = closed(29, 3);
    let root = super::world::layout().root;
    let names: Vec<_> = world
        .disk
        .list(&root)
        .unwrap()
        .into_iter()
        .map(|entry| entry.name)
        .collect();
    assert_eq!(names, ["checkpoint", "commitlog", "consumequeue", "cuemq", "index"]);
}

#[test]
fn a_clean_stop_leaves_nothing_to_read_again() {
    let mut world = World::new(6, FlushMode::Sync);
    let mut open = world.open().unwrap();
    for _ in 0..30 {
        let batch = world.batch(1, 1, 100, false);
        world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
    }
    open.close(world.now_ms).unwrap();
    world.disk.kill();
    let mut open = world.open().unwrap();
    assert!(open.report.clean);
    assert_eq!(open.report.records, 0);
    world.check(&mut open);
}

#[test]
fn a_batch_message_lies_in_one_file() {
    let mut world = World::new(7, FlushMode::Sync);
    let mut open = world.open().unwrap();
    for _ in 0..12 {
        let batch = world.batch(0, 3, 120, true);
        world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
    }
    let seen = World::visible(&open);
    assert_eq!(seen.len(), 36);
    for group in seen.chunks(3) {
        let files: Vec<u64> = group.iter().map(|(_, told)| told.physical_offset / 2048).collect();
        assert!(files.iter().all(|file| *file == files[0]), "{files:?}");
    }
}

#[test]
fn a_batch_that_needs_more_than_the_next_file_does_not_stall_the_log() {
    for filled in 0..16 {
        let mut world = World::new(9, FlushMode::Sync);
        let mut open = world.open().unwrap();
        for _ in 0..filled {
            let batch = world.batch(0, 1, 60, false);
            world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
        }
        // Some small ones that may reach into the next file, and one that then fits only into the file behind it.
        let small = world.batch(0, 4, 60, false);
        let large = world.batch(0, 1, 1800, false);
        let batch = World::behind_one_another(small, *large);
        world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
        assert_eq!(sent(&world, Outcome::Stored), filled + 5, "{filled} messages before it");
        world.check(&mut open);
    }
}

#[test]
fn a_lost_consume_queue_is_rebuilt_from_the_whole_log() {
    let mut world = World::new(8, FlushMode::Sync);
    let mut open = world.open().unwrap();
    for number in 0..40 {
        let batch = world.batch(number % 3, 1, 80, false);
        world.send(&mut open, batch, Acknowledge::Flushed).unwrap();
    }
    open.close(world.now_ms).unwrap();
    world.disk.kill();
    world.lose_queue(1);
    let mut open = world.open().unwrap();
    world.check(&mut open);
}
