//! The rules of the simulated disk, one by one; the random histories are in [`super::model`].

use super::*;
use crate::clock::ManualClock;
use crate::disk::{Blocks, probe};
use std::io::{ErrorKind, IoSlice};
use std::path::PathBuf;

fn disk() -> MemoryDisk {
    let disk = MemoryDisk::new(7);
    disk.create_directory(Path::new("/store")).unwrap();
    disk
}

fn at(name: &str) -> PathBuf {
    Path::new("/store").join(name)
}

fn open(disk: &MemoryDisk, name: &str, mode: OpenMode) -> Arc<dyn DiskFile> {
    disk.open(&at(name), mode).unwrap()
}

/// A file whose name and first bytes are durable.
fn durable_file(disk: &MemoryDisk, name: &str, bytes: &[u8]) -> Arc<dyn DiskFile> {
    let file = open(disk, name, OpenMode::CreateNew);
    write(&file, 0, bytes);
    file.sync_data().unwrap();
    disk.sync_directory(Path::new("/store")).unwrap();
    file
}

fn write(file: &Arc<dyn DiskFile>, position: u64, bytes: &[u8]) {
    file.write_at(&[IoSlice::new(bytes)], position).unwrap();
}

fn content(disk: &MemoryDisk, name: &str) -> Vec<u8> {
    disk.read_whole(&at(name), 1 << 20).unwrap()
}

#[test]
fn what_was_not_synced_is_lost_and_what_was_is_kept() {
    let disk = disk();
    let file = durable_file(&disk, "log", b"durable");
    write(&file, 0, b"changed, and longer");
    assert_eq!(content(&disk, "log"), b"changed, and longer");
    assert_eq!(disk.durable(&at("log")).unwrap(), b"durable");
    disk.crash(Survival::Nothing);
    assert_eq!(content(&disk, "log"), b"durable");
}

#[test]
fn a_file_whose_directory_was_not_synced_is_gone_synced_or_not() {
    let disk = disk();
    let file = open(&disk, "new", OpenMode::CreateNew);
    write(&file, 0, b"bytes");
    file.sync_data().unwrap();
    disk.crash(Survival::Nothing);
    assert!(!disk.exists(&at("new")).unwrap());
    assert_eq!(disk.durable(&at("new")), None);
}

#[test]
fn a_file_that_is_named_alone_lies_in_the_working_directory() {
    let (disk, name, here) = (disk(), Path::new("alone"), Path::new("."));
    for is_synced in [false, true] {
        let file = disk.open(name, OpenMode::Create).unwrap();
        write(&file, 0, b"bytes");
        file.sync_data().unwrap();
        assert!(disk.list(here).unwrap().iter().any(|entry| entry.name == "alone"));
        if is_synced {
            disk.sync_directory(here).unwrap();
        }
        disk.crash(Survival::Nothing);
        assert_eq!(disk.exists(name).unwrap(), is_synced);
    }
}

#[test]
fn a_rename_without_a_sync_of_the_bytes_may_leave_an_empty_file() {
    let disk = disk();
    durable_file(&disk, "table", b"old");
    let temporary = open(&disk, "table.tmp", OpenMode::CreateNew);
    write(&temporary, 0, b"new");
    disk.rename(&at("table.tmp"), &at("table")).unwrap();
    assert_eq!(content(&disk, "table"), b"new");
    disk.sync_directory(Path::new("/store")).unwrap();
    disk.crash(Survival::Nothing);
    assert_eq!(content(&disk, "table"), b"");
    assert!(!disk.exists(&at("table.tmp")).unwrap());
}

#[test]
fn a_removal_is_undone_unless_the_directory_was_synced() {
    let disk = disk();
    durable_file(&disk, "old", b"still here");
    disk.remove_file(&at("old")).unwrap();
    assert!(!disk.exists(&at("old")).unwrap());
    disk.crash(Survival::Nothing);
    assert_eq!(content(&disk, "old"), b"still here");
    disk.remove_file(&at("old")).unwrap();
    disk.sync_directory(Path::new("/store")).unwrap();
    disk.crash(Survival::Nothing);
    assert_eq!(disk.list(Path::new("/store")).unwrap(), []);
}

#[test]
fn everything_survives_a_kill_but_handles_and_locks() {
    let disk = disk();
    let file = open(&disk, "log", OpenMode::CreateNew);
    let lock = disk.lock(&at("lock")).unwrap();
    let view_of = open(&disk, "log", OpenMode::Read);
    write(&file, 0, b"in the page cache");
    let (view, process) = (view_of.view(6).unwrap(), disk.process());
    assert_eq!(disk.lock(&at("lock")).err().unwrap().kind(), ErrorKind::WouldBlock);
    disk.kill();
    assert_eq!(content(&disk, "log"), b"in the page cache");
    assert_eq!(content(&disk, "lock"), b"lock");
    let next = disk.lock(&at("lock")).unwrap();
    drop(lock);
    assert!(
        disk.lock(&at("lock")).is_err(),
        "the dead process released the lock of the living one"
    );
    drop(next);
    drop(disk.lock(&at("lock")).unwrap());
    assert!(MemoryDisk::is_death(
        &file.write_at(&[IoSlice::new(b"x")], 0).unwrap_err()
    ));
    assert!(MemoryDisk::is_death(&file.length().unwrap_err()));
    assert!(MemoryDisk::is_death(
        &process.open(&at("log"), OpenMode::Read).err().unwrap()
    ));
    assert!(MemoryDisk::is_death(&view.populate(0..6).unwrap_err()));
    assert_eq!(view.slice(0..6), Some(b"in the".as_slice()));
}

#[test]
fn a_failed_sync_is_reported_once_and_never_made_good() {
    let disk = disk();
    let file = durable_file(&disk, "log", b"durable.");
    let fault = disk.inject(Fault::new(Operation::SyncData).on("log").times(1));
    write(&file, 8, b"lost");
    assert_eq!(
        file.sync_data().unwrap_err().raw_os_error(),
        Some(rustix::io::Errno::IO.raw_os_error())
    );
    file.sync_data().unwrap();
    assert_eq!(disk.fired(fault), 1);
    assert_eq!(content(&disk, "log"), b"durable.lost", "the page cache lies");
    assert_eq!(disk.durable(&at("log")).unwrap(), b"durable.\0\0\0\0");
    disk.kill();
    assert_eq!(
        content(&disk, "log"),
        b"durable.lost",
        "a restart alone does not find out"
    );
    let file = open(&disk, "log", OpenMode::Write);
    write(&file, 8, b"lost");
    file.sync_data().unwrap();
    disk.crash(Survival::Nothing);
    assert_eq!(
        content(&disk, "log"),
        b"durable.lost",
        "writing the same bytes again makes them durable"
    );
}

#[test]
fn an_evicted_page_shows_what_the_disk_holds() {
    let disk = disk();
    let file = durable_file(&disk, "log", b"old");
    let fault = disk.inject(Fault::new(Operation::SyncData).partial(1));
    write(&file, 0, b"new");
    file.sync_data().unwrap_err();
    disk.clear(fault);
    write(&file, 3, b" waiting");
    disk.evict();
    assert_eq!(
        content(&disk, "log"),
        b"nld waiting",
        "one byte of the failed sync had reached the disk"
    );
}

#[test]
fn zeros_that_only_the_cache_shows_do_not_hide_the_old_bytes_from_a_zeroing() {
    let disk = disk();
    let file = durable_file(&disk, "log", &[7; 8192]);
    disk.inject(Fault::new(Operation::SyncData).times(1));
    file.zero(4096, 4096, Blocks::Kept).unwrap();
    file.sync_data().unwrap_err();
    disk.kill();
    let file = open(&disk, "log", OpenMode::Write);
    file.zero(4096, 4096, Blocks::Kept).unwrap();
    file.sync_data().unwrap();
    disk.crash(Survival::Nothing);
    assert_eq!(content(&disk, "log"), [[7; 4096], [0; 4096]].concat());
}

#[test]
fn what_is_kept_for_the_administrator_counts_neither_as_used_nor_as_usable() {
    let (total, free, available) = (1000, 500, 250);
    let space = Space { total, free, available };
    assert!((space.used_ratio() - 500.0 / 750.0).abs() < 1e-9);
}

#[test]
fn a_full_disk_takes_what_fits_and_gives_room_back() {
    let disk = disk();
    disk.set_capacity(3 * 4096);
    let file = open(&disk, "log", OpenMode::CreateNew);
    file.allocate(0, 8192).unwrap();
    assert_eq!(
        disk.space(Path::new("/store")).unwrap(),
        Space {
            total: 12_288,
            free: 4096,
            available: 4096
        }
    );
    let error = file.write_at(&[IoSlice::new(&[1; 10_000])], 4000).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert_eq!(content(&disk, "log"), [vec![0; 4000], vec![1; 12_288 - 4000]].concat());
    let other = open(&disk, "other", OpenMode::CreateNew);
    assert_eq!(other.allocate(0, 1).unwrap_err().kind(), ErrorKind::StorageFull);
    write(&file, 0, b"room that is taken can be written");
    file.zero(0, 5000, Blocks::Released).unwrap();
    assert_eq!(disk.space(Path::new("/store")).unwrap().available, 4096);
    disk.remove_file(&at("log")).unwrap();
    disk.sync_directory(Path::new("/store")).unwrap();
    assert_eq!(
        disk.space(Path::new("/store")).unwrap().available,
        4096,
        "the open handle keeps the file"
    );
    drop(file);
    assert_eq!(disk.space(Path::new("/store")).unwrap().available, 12_288);
}

#[test]
fn synced_room_survives_a_crash_and_the_rest_does_not() {
    let disk = disk();
    let file = durable_file(&disk, "log", b"");
    file.allocate(0, 8192).unwrap();
    file.sync_data().unwrap();
    file.reserve(8192, 4096).unwrap();
    let taken = || {
        disk.space(Path::new("/store"))
            .map(|space| space.total - space.available)
            .unwrap()
    };
    assert_eq!(taken(), 12_288);
    disk.crash(Survival::Nothing);
    assert_eq!((taken(), content(&disk, "log").len()), (8192, 8192));
}

#[test]
fn faults_match_an_operation_on_a_path_after_some_successes() {
    let disk = disk();
    let (log, queue) = (
        open(&disk, "log", OpenMode::Create),
        open(&disk, "queue", OpenMode::Create),
    );
    let fault = disk.inject(
        Fault::new(Operation::Write)
            .on("log")
            .after(1)
            .times(2)
            .kind(ErrorKind::TimedOut)
            .partial(2),
    );
    write(&log, 0, b"first");
    write(&queue, 0, b"not matched");
    for _ in 0..2 {
        let error = log.write_at(&[IoSlice::new(b"XYZ")], 0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }
    assert_eq!(content(&disk, "log"), b"XYrst");
    write(&log, 0, b"after");
    assert_eq!(disk.fired(fault), 2);
    disk.inject(Fault::new(Operation::Read));
    assert!(disk.read_whole(&at("log"), 9).is_err());
    assert!(
        log.view(3).unwrap().populate(0..3).is_err(),
        "a cold read fails as a read does"
    );
    disk.clear_faults();
    assert_eq!(content(&disk, "log"), b"after");
}

#[test]
fn a_life_can_end_at_any_change() {
    for nth in 1.. {
        let disk = disk();
        disk.crash_at(nth);
        let run = || -> io::Result<()> {
            let file = disk.open(&at("log"), OpenMode::CreateNew)?;
            file.write_at(&[IoSlice::new(b"bytes")], 0)?;
            file.sync_data()?;
            disk.sync_directory(Path::new("/store"))
        };
        let outcome = run();
        assert!(outcome.as_ref().err().is_none_or(MemoryDisk::is_death));
        assert_eq!(
            disk.exists(&at("log")).is_ok(),
            outcome.is_ok(),
            "dead, it answers nothing"
        );
        disk.crash(Survival::Nothing);
        assert_eq!(disk.exists(&at("log")).unwrap(), outcome.is_ok());
        if outcome.is_ok() {
            assert_eq!(nth, 5);
            break;
        }
    }
}

#[test]
fn a_prefix_of_the_bytes_survives_over_all_files() {
    let disk = disk();
    let one = durable_file(&disk, "one", b"");
    let two = durable_file(&disk, "two", b"");
    write(&one, 0, b"abc");
    write(&two, 0, b"defg");
    open(&disk, "three", OpenMode::CreateNew);
    write(&one, 3, b"hij");
    disk.crash(Survival::Prefix(5));
    assert_eq!(content(&disk, "one"), b"abc");
    assert_eq!(
        content(&disk, "two"),
        b"de\0\0",
        "the length was known, two of the bytes were not"
    );
    assert!(!disk.exists(&at("three")).unwrap());
}

#[test]
fn random_crashes_lose_tear_and_keep() {
    let (mut lost, mut kept, mut cut, mut holes) = (0, 0, 0, 0);
    for seed in 0..200 {
        let disk = disk();
        let file = durable_file(&disk, "log", &[0; 4096]);
        write(&file, 100, &[1; 3000]);
        disk.crash(Survival::Random(seed));
        let bytes = content(&disk, "log");
        assert_eq!(bytes.len(), 4096);
        let written = &bytes[100..3100];
        let ones = written.iter().filter(|byte| **byte == 1).count();
        assert_eq!(
            bytes.iter().filter(|byte| **byte != 0).count(),
            ones,
            "only what was written changes"
        );
        match ones {
            0 => lost += 1,
            3000 => kept += 1,
            _ if written[..ones].iter().all(|byte| *byte == 1) => cut += 1,
            _ => {
                holes += 1;
                let edges = (1..bytes.len()).filter(|at| bytes[at - 1] != bytes[*at]);
                assert!(
                    { edges }.all(|at| at % 512 == 0 || at == 100 || at == 3100),
                    "torn within a sector"
                );
            }
        }
    }
    assert!(
        [lost, kept, cut, holes].iter().all(|count| *count >= 10),
        "{lost} {kept} {cut} {holes}"
    );
}

#[test]
fn a_view_shows_later_writes_and_is_never_shortened() {
    let disk = disk();
    probe(&disk, Path::new("/store")).unwrap();
    let file = open(&disk, "log", OpenMode::CreateNew);
    file.set_length(6_000_000).unwrap();
    assert_eq!(file.view(6_000_001).unwrap_err().kind(), ErrorKind::InvalidInput);
    let view = file.view(6_000_000).unwrap();
    write(&file, 5_999_995, b"shown");
    assert_eq!(view.slice(5_999_995..6_000_000), Some(b"shown".as_slice()));
    assert_eq!(file.set_length(10).unwrap_err().kind(), ErrorKind::ResourceBusy);
    disk.crash(Survival::Nothing);
    assert_eq!(
        view.slice(5_999_995..6_000_000),
        Some(b"shown".as_slice()),
        "detached, it changes no more"
    );
    drop(view);
    assert!(!disk.exists(&at("log")).unwrap());
}

#[test]
fn directories_hold_what_is_in_them() {
    let disk = disk();
    disk.create_directory(&at("queue/0")).unwrap();
    let file = open(&disk, "queue/0/b", OpenMode::CreateNew);
    write(&file, 0, b"12345");
    open(&disk, "queue/0/a", OpenMode::CreateNew);
    let names = |name| {
        disk.list(&at(name))
            .unwrap()
            .into_iter()
            .map(|entry| entry.name)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (names("queue"), names("queue/0"), names("absent")),
        (vec!["0".into()], vec!["a".into(), "b".into()], vec![])
    );
    assert_eq!(disk.list(&at("queue/0")).unwrap()[1].length, 5);
    assert_eq!(
        disk.remove_directory(&at("queue/0")).unwrap_err().kind(),
        ErrorKind::DirectoryNotEmpty
    );
    assert_eq!(
        disk.open(&at("absent/file"), OpenMode::Create).err().unwrap().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        disk.open(&at("queue"), OpenMode::Read).err().unwrap().kind(),
        ErrorKind::IsADirectory
    );
    assert_eq!(
        disk.create_directory(&at("queue/0/a/x")).unwrap_err().kind(),
        ErrorKind::NotADirectory
    );
    for name in ["queue/0/a", "queue/0/b"] {
        disk.remove_file(&at(name)).unwrap();
    }
    disk.remove_directory(&at("queue/0")).unwrap();
    disk.crash(Survival::Everything);
    assert!(names("queue").is_empty());
}

#[test]
fn a_rename_between_directories_is_durable_with_its_target() {
    let disk = disk();
    disk.create_directory(&at("a")).unwrap();
    disk.create_directory(&at("b")).unwrap();
    open(&disk, "a/file", OpenMode::CreateNew);
    disk.rename(&at("a/file"), &at("b/file")).unwrap();
    disk.sync_directory(&at("b")).unwrap();
    disk.sync_directory(&at("a")).unwrap();
    disk.crash(Survival::Nothing);
    assert_eq!(
        (disk.exists(&at("a/file")).unwrap(), disk.exists(&at("b/file")).unwrap()),
        (false, true)
    );
}

#[test]
fn a_read_handle_does_not_write() {
    let disk = disk();
    durable_file(&disk, "log", b"bytes");
    let file = open(&disk, "log", OpenMode::Read);
    assert!(file.write_at(&[IoSlice::new(b"x")], 0).is_err());
    assert!(file.set_length(0).is_err());
    assert_eq!(
        disk.open(&at("log"), OpenMode::CreateNew).err().unwrap().kind(),
        ErrorKind::AlreadyExists
    );
}

#[test]
fn two_runs_that_do_the_same_have_the_same_trace() {
    let run = |bytes: &[u8]| {
        let disk = disk();
        write(&open(&disk, "log", OpenMode::Create), 3, bytes);
        (
            disk.trace_hash(),
            disk.trace().iter().map(Step::to_string).collect::<Vec<_>>(),
        )
    };
    assert_eq!(run(b"same"), run(b"same"));
    assert_ne!(run(b"same").0, run(b"else").0);
    assert_eq!(
        run(b"same").1,
        [
            "1 CreateDirectory /store",
            "2 Create /store/log",
            "3 Write /store/log 3 + 4"
        ]
    );
}

#[test]
fn modification_times_come_from_the_clock() {
    let clock = Arc::new(ManualClock::new(1_000));
    let disk = disk().with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let file = open(&disk, "log", OpenMode::Create);
    clock.advance(std::time::Duration::from_secs(2));
    write(&file, 0, b"x");
    assert_eq!(
        (
            file.modified_ms().unwrap(),
            disk.list(Path::new("/store")).unwrap()[0].modified_ms
        ),
        (3_000, 3_000)
    );
}
