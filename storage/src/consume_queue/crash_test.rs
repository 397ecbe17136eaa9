//! A consume queue through many lives that end at any operation on the disk, against a list of what was fed to it. Some
//! lives keep tags codes in an extension, and some do not.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::*;
use crate::disk::memory::{Survival, ending};
use crate::disk::{Disk, MemoryDisk, RealDisk};
use crate::entropy::{Entropy, SeededEntropy};
use crate::position::{PhysicalOffset, QueueOffset};

/// Long enough for sectors of 512 bytes to end in the midst of a unit's physical offset (byte 1024) and behind it (2048).
const FILE_BYTES: u64 = 120 * UNIT_BYTES;
/// Likewise for units of an extension.
const EXTENSION_FILE_BYTES: u64 = 1500;
/// Where the log begins, so that physical offsets soon have more than four bytes.
const LOG_BEGIN: u64 = 0xFFFF_8000;

struct World {
    root: PathBuf,
    entropy: SeededEntropy,
    /// What the log has for this queue.
    log: Vec<Unit>,
    /// Where the log's oldest record begins.
    log_min: PhysicalOffset,
    /// Up to where the queue has confirmed.
    confirmed: PhysicalOffset,
    /// In how many of eight lives there is an extension.
    extended: u64,
    cut_by_one: u32,
}

impl World {
    fn new(seed: u64, root: &Path, extended: u64) -> Self {
        Self {
            root: root.to_owned(),
            entropy: SeededEntropy::new(seed),
            log: Vec::new(),
            log_min: PhysicalOffset(0),
            confirmed: PhysicalOffset(0),
            extended,
            cut_by_one: 0,
        }
    }

    fn place(&self) -> QueuePlace<'_> {
        QueuePlace {
            root: &self.root,
            topic: "topic",
            queue_id: 0,
        }
    }

    fn grow(&mut self, count: u64) {
        for _ in 0..count {
            let end = self.log.last().map_or(LOG_BEGIN, |last| last.end().0);
            // Jumps over several bytes' worth of positions make torn physical offsets look plausible.
            let jump = if self.entropy.below(8) == 0 { 70_000 } else { 3 };
            let unit = Unit {
                physical_offset: PhysicalOffset(end + self.entropy.below(jump)),
                size: 1 + self.entropy.below(300) as u32,
                tags_code: i64::from(self.entropy.next_u64() as i32),
            };
            self.log.push(unit);
        }
    }

    fn below(&self, limit: PhysicalOffset) -> u64 {
        self.log.partition_point(|unit| unit.physical_offset < limit) as u64
    }

    /// Opens the queue after a crash, feeds it, and checks all that can be read.
    fn recover(&mut self, disk: &Arc<dyn Disk>) -> crate::Result<ConsumeQueue> {
        // As the start of a store does it: one that was killed has perhaps not come to it.
        let directory = self.place().directory()?;
        for above in directory
            .ancestors()
            .skip(1)
            .filter(|above| disk.exists(above).unwrap_or(false))
        {
            crate::disk::sync_directory(disk.as_ref(), above)?;
        }
        let opening = Opening::AfterCrash(self.confirmed);
        let (mut queue, _) = ConsumeQueue::open(disk, self.place(), FILE_BYTES, opening)?;
        if self.entropy.below(8) < self.extended {
            queue.open_extension(EXTENSION_FILE_BYTES, opening)?;
        }
        let kept = self.below(self.confirmed);
        let torn = queue.end().0.saturating_sub(kept);
        assert!(
            queue.end().0 >= kept && torn <= 1,
            "{} of {kept} units are left",
            queue.end()
        );
        self.cut_by_one += torn as u32;
        self.feed(&mut queue, kept)?;
        queue.correct_min(self.log_min)?;
        self.check(&queue)?;
        Ok(queue)
    }

    fn feed(&self, queue: &mut ConsumeQueue, from: u64) -> crate::Result<()> {
        let mut stored = StoreTimes::default();
        stored.note(PhysicalOffset(0), 1);
        match queue.append(QueueOffset(from), &self.log[from as usize..], Some(&stored)) {
            Ok(_) => Ok(()),
            Err(AppendError::Store(error)) => Err(error),
            Err(misplaced) => panic!("{misplaced}"),
        }
    }

    fn check(&self, queue: &ConsumeQueue) -> crate::Result<()> {
        let view = queue.view();
        assert_eq!(view.max_offset(), QueueOffset(self.log.len() as u64));
        assert_eq!(view.min_offset(), QueueOffset(self.below(self.log_min)));
        let mut tags = view.tags();
        for at in view.min_offset().0..view.max_offset().0 {
            let unit = view.unit(QueueOffset(at))?;
            let with_tags = unit.and_then(|unit| {
                let tags_code = tags.code(unit)?;
                Some(Unit { tags_code, ..unit })
            });
            assert_eq!(with_tags, Some(self.log[at as usize]), "unit {at}: {unit:?}");
        }
        Ok(())
    }

    /// One life of so many steps, unless the disk dies before.
    fn live(&mut self, disk: &Arc<dyn Disk>, steps: u32) -> crate::Result<()> {
        let mut queue = self.recover(disk)?;
        for _ in 0..steps {
            match self.entropy.below(8) {
                0 => {
                    queue.sync()?;
                    self.confirmed = queue.synced().1;
                }
                1 => {
                    let behind = self.entropy.below(self.below(self.confirmed) + 1);
                    if let Some(unit) = self.log.get(behind as usize) {
                        self.log_min = self.log_min.max(unit.physical_offset.min(self.confirmed));
                    }
                    queue.delete_before(self.log_min)?;
                }
                2 => queue.release()?,
                3 => queue.write_newest()?,
                _ => {
                    let from = queue.end().0;
                    let count = 1 + self.entropy.below(30);
                    self.grow(count);
                    self.feed(&mut queue, from.saturating_sub(self.entropy.below(3)))?;
                    self.check(&queue)?;
                }
            }
        }
        Ok(())
    }
}

fn survive(seed: u64, extended: u64) -> u32 {
    let disk = MemoryDisk::new(seed);
    disk.create_directory(Path::new("/store")).unwrap();
    let mut world = World::new(seed, Path::new("/store"), extended);
    for _ in 0..8 {
        disk.crash_at(1 + world.entropy.below(30));
        let process: Arc<dyn Disk> = Arc::new(disk.process());
        let error = world.live(&process, u32::MAX).unwrap_err();
        assert!(ending::is_death(&error), "seed {seed}: {error}");
        ending::lose(&disk, &world.entropy);
    }
    let process: Arc<dyn Disk> = Arc::new(disk.process());
    let mut queue = world.recover(&process).unwrap();
    queue.sync().unwrap();
    drop(queue);
    disk.crash(Survival::Nothing);

    let process: Arc<dyn Disk> = Arc::new(disk.process());
    let (mut queue, _) = ConsumeQueue::open(&process, world.place(), FILE_BYTES, Opening::Clean).unwrap();
    queue.correct_min(world.log_min).unwrap();
    world.check(&queue).unwrap();
    world.cut_by_one
}

#[test]
fn a_queue_is_whole_after_a_crash_at_any_operation() {
    let torn: u32 = (0..1500).map(|seed| survive(seed, 0)).sum();
    assert!(
        torn > 0,
        "no unit was ever torn so that it seemed to be confirmed: the test tries too little"
    );
}

#[test]
fn no_unit_leads_to_the_tags_of_another_after_a_crash_at_any_operation() {
    for seed in 0..1500 {
        survive(seed, 6);
    }
}

#[test]
fn a_queue_on_a_real_disk_is_whole_after_restarts_without_a_sync() {
    for (seed, extended) in [(0, 0), (1, 8), (2, 4)] {
        let root = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let mut world = World::new(seed, root.path(), extended);
        for _ in 0..3 {
            world.live(&disk, 15).unwrap();
        }
        world.recover(&disk).unwrap();
    }
}
