//! The index through many lives that end at any operation on the disk, against the list of records that were fed to it:
//! every key finds its newest records, and only those.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::*;
use crate::disk::memory::{Survival, ending};
use crate::disk::{Disk, MemoryDisk, RealDisk};
use crate::entropy::{Entropy, SeededEntropy};

const HASHES: u64 = 12;

struct Record {
    physical_offset: PhysicalOffset,
    length: u64,
    keys: Vec<IndexKey>,
}

struct World {
    root: PathBuf,
    entropy: SeededEntropy,
    log: Vec<Record>,
    time_ms: i64,
    confirmed: PhysicalOffset,
}

impl World {
    fn new(seed: u64, root: &Path) -> Self {
        let entropy = SeededEntropy::new(seed);
        let (log, confirmed) = (Vec::new(), PhysicalOffset(0));
        Self {
            root: root.to_owned(),
            entropy,
            log,
            time_ms: 1_000_000_000_000,
            confirmed,
        }
    }

    fn end(&self) -> PhysicalOffset {
        self.log.last().map_or(PhysicalOffset(0xFFFF_F000), |last| {
            last.physical_offset.advanced(last.length)
        })
    }

    fn grow(&mut self, count: u64) {
        for _ in 0..count {
            let physical_offset = self.end();
            self.time_ms += self.entropy.below(3000) as i64;
            let key = |world: &Self| IndexKey {
                hash: world.entropy.below(HASHES) as i32,
                physical_offset,
                store_timestamp_ms: world.time_ms,
            };
            let keys = (0..self.entropy.below(5)).map(|_| key(self)).collect();
            let length = 1 + self
                .entropy
                .below(if self.entropy.below(8) == 0 { 100_000 } else { 200 });
            self.log.push(Record {
                physical_offset,
                length,
                keys,
            });
        }
    }

    /// Feeds all records from `from` on, in batches.
    fn feed(&self, index: &mut Index, from: PhysicalOffset) -> crate::Result<()> {
        let first = self.log.partition_point(|record| record.physical_offset < from);
        let mut rest = self.log.get(first..).unwrap_or_default();
        while !rest.is_empty() {
            let count = 1 + self.entropy.below(rest.len() as u64) as usize;
            let (batch, behind) = rest.split_at(count);
            let keys: Vec<_> = batch.iter().flat_map(|record| record.keys.iter().copied()).collect();
            let upto = behind.first().map_or(self.end(), |next| next.physical_offset);
            index.put_batch(&keys, upto)?;
            rest = behind;
        }
        Ok(())
    }

    fn check(&self, index: &mut Index) -> crate::Result<()> {
        for hash in 0..HASHES as i32 {
            let keys = self
                .log
                .iter()
                .flat_map(|record| &record.keys)
                .filter(|key| key.hash == hash);
            let all: Vec<_> = keys.map(|key| key.physical_offset).collect();
            let newest = all.get(all.len().saturating_sub(MOST_ANSWERS)..).unwrap_or_default();
            let question = Question {
                hash,
                most: usize::MAX,
                begin_ms: 0,
                end_ms: i64::MAX,
            };
            assert_eq!(index.query(question)?.physical_offsets, newest, "key {hash}");
        }
        Ok(())
    }

    fn recover(&mut self, disk: &Arc<dyn Disk>) -> crate::Result<Index> {
        let (mut index, _) = Index::open(disk, &self.root, layout(), Opening::AfterCrash(self.end()))?;
        let below = self
            .log
            .iter()
            .rev()
            .skip_while(|record| record.physical_offset >= self.confirmed);
        let with_keys = below
            .filter(|record| !record.keys.is_empty())
            .map(|record| record.physical_offset)
            .next();
        assert!(
            index.newest() >= with_keys,
            "{:?} is newest, {with_keys:?} was confirmed",
            index.newest()
        );
        let from = self.confirmed.min(index.newest().unwrap_or_default());
        self.feed(&mut index, from)?;
        self.check(&mut index)?;
        Ok(index)
    }

    /// One life of so many steps, unless the disk dies before.
    fn live(&mut self, disk: &Arc<dyn Disk>, steps: u32) -> crate::Result<()> {
        let mut index = self.recover(disk)?;
        for _ in 0..steps {
            match self.entropy.below(6) {
                0 => {
                    index.flush()?;
                    self.confirmed = index.confirmed();
                }
                1 => {
                    // A flush that others overtake.
                    let Some(step) = index.dirty()? else { continue };
                    let from = self.end();
                    self.grow(3);
                    self.feed(&mut index, from)?;
                    if let Some(step) = index.confirm(step.run()?)? {
                        index.confirm(step.run()?)?;
                    }
                    self.confirmed = index.confirmed();
                }
                2 => index.release(),
                _ => {
                    let from = self.end();
                    let count = 1 + self.entropy.below(12);
                    self.grow(count);
                    self.feed(&mut index, from)?;
                    self.check(&mut index)?;
                }
            }
        }
        Ok(())
    }
}

/// Long enough for entries to lie across sectors of 512 bytes.
fn layout() -> Layout {
    Layout::new(7, 60).unwrap()
}

fn survive(seed: u64) {
    let disk = MemoryDisk::new(seed);

    let mut world = World::new(seed, Path::new("/store"));
    for _ in 0..8 {
        disk.crash_at(1 + world.entropy.below(40));
        let process: Arc<dyn Disk> = Arc::new(disk.process());
        let error = world.live(&process, u32::MAX).unwrap_err();
        assert!(ending::is_death(&error), "seed {seed}: {error}");
        ending::lose(&disk, &world.entropy);
        if world.entropy.below(2) == 0 {
            // The log was flushed asynchronously: it has lost records, and others will take their places.
            let lost_from = world.log.len().saturating_sub(world.entropy.below(20) as usize);
            let is_lost = |at: usize, record: &Record| at >= lost_from && record.physical_offset >= world.confirmed;
            let left = world
                .log
                .iter()
                .enumerate()
                .take_while(|(at, record)| !is_lost(*at, record))
                .count();
            world.log.truncate(left);
        }
    }
    let process: Arc<dyn Disk> = Arc::new(disk.process());
    let mut index = world.recover(&process).unwrap();
    index.flush().unwrap();
    drop(index);
    disk.crash(Survival::Nothing);
    let process: Arc<dyn Disk> = Arc::new(disk.process());
    let (mut index, _) = Index::open(&process, Path::new("/store"), layout(), Opening::Clean).unwrap();
    world.check(&mut index).unwrap();
}

#[test]
fn every_key_finds_its_records_after_a_crash_at_any_operation() {
    (0..1000).for_each(survive);
}

#[test]
fn every_key_finds_its_records_on_a_real_disk_after_restarts_without_a_flush() {
    for seed in 0..3 {
        let root = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let mut world = World::new(seed, root.path());
        for _ in 0..3 {
            world.live(&disk, 15).unwrap();
        }
        world.recover(&disk).unwrap();
    }
}
