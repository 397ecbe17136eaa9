//! A run of the index: entries in the order of their keys, written once and then only read.
//!
//! | bytes | what |
//! |---|---|
//! | blocks of 4,096 | up to 170 entries of 24 bytes, zeros up to 4,092, CRC-32 of the entries |
//! | behind them | the first key of each block and the last of all, 16 bytes each, and their CRC-32 |
//!
//! An entry is its key (when it is due, and its place) and the position of its record. Big-endian, so that bytes are in the
//! order of the keys.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use cuemq_storage::disk::{Disk, DiskFile, OpenMode};
use cuemq_storage::position::PhysicalOffset;

use super::entry::{Entry, Key};

const BLOCK_BYTES: usize = 4096;
const ENTRY_BYTES: usize = 24;
const KEY_BYTES: usize = 16;
const CHECKSUM_BYTES: usize = 4;
/// Entries in a block.
pub(super) const BLOCK_ENTRIES: usize = (BLOCK_BYTES - CHECKSUM_BYTES) / ENTRY_BYTES;
/// So many blocks are written at once.
const BLOCKS_AT_ONCE: usize = 64;

/// A block that was read.
type Block = Arc<[Entry]>;

/// A run on disk.
pub(super) struct Run {
    /// Its number among all of the store.
    pub(super) number: u64,
    /// How many entries it has.
    pub(super) count: u64,
    file: Arc<dyn DiskFile>,
    /// The first key of each block.
    firsts: Box<[Key]>,
    last: Key,
    /// The block that was read last: what is looked at next mostly lies in it.
    recent: Mutex<Option<(usize, Block)>>,
}

/// The file of a run.
pub(super) fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:020}"))
}

fn damaged(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.to_owned())
}

fn blocks_of(count: u64) -> Option<usize> {
    usize::try_from(count.div_ceil(BLOCK_ENTRIES as u64)).ok()
}

fn offset_of(block: usize) -> u64 {
    (block as u64).saturating_mul(BLOCK_BYTES as u64)
}

fn key_of(bytes: [u8; KEY_BYTES]) -> Key {
    Key::of_number(u128::from_be_bytes(bytes))
}

/// What stands in front of a checksum that is right.
fn checked(bytes: &[u8]) -> io::Result<&[u8]> {
    match bytes.split_last_chunk::<CHECKSUM_BYTES>() {
        Some((content, sum)) if crc32fast::hash(content) == u32::from_be_bytes(*sum) => Ok(content),
        _ => Err(damaged("the checksum of a part of it is wrong")),
    }
}

fn read_exactly(file: &dyn DiskFile, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    match file.read_at(bytes, offset)? {
        read if read == bytes.len() => Ok(()),
        _ => Err(damaged("it is too short")),
    }
}

impl Run {
    /// Opens a run of so many entries.
    ///
    /// # Errors
    /// `InvalidData` for one that is not as it was written, else what the disk says.
    pub(super) fn open(disk: &dyn Disk, directory: &Path, (number, count): (u64, u64)) -> io::Result<Self> {
        let file = disk.open(&path(directory, number), OpenMode::Read)?;
        let blocks = blocks_of(count).filter(|blocks| *blocks > 0);
        let blocks = blocks.ok_or_else(|| damaged("it has no entries"))?;
        // The file is there: its length bounds what is allocated.
        let from = offset_of(blocks);
        let length = file.length()?.checked_sub(from);
        let length = length.filter(|length| *length == (blocks as u64 + 1) * KEY_BYTES as u64 + CHECKSUM_BYTES as u64);
        let length = length.and_then(|length| usize::try_from(length).ok());
        let mut bytes = vec![0; length.ok_or_else(|| damaged("its length is wrong"))?];
        read_exactly(file.as_ref(), &mut bytes, from)?;
        let (keys, _) = checked(&bytes)?.as_chunks::<KEY_BYTES>();
        let mut firsts: Vec<Key> = keys.iter().map(|key| key_of(*key)).collect();
        let last = firsts.pop().ok_or_else(|| damaged("it has no keys"))?;
        Ok(Self {
            number,
            count,
            file,
            firsts: firsts.into(),
            last,
            recent: Mutex::default(),
        })
    }

    fn block(&self, block: usize) -> io::Result<Block> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((number, entries)) = &*recent
            && *number == block
        {
            return Ok(Arc::clone(entries));
        }
        let mut bytes = [0; BLOCK_BYTES];
        read_exactly(self.file.as_ref(), &mut bytes, offset_of(block))?;
        let (entries, _) = checked(&bytes)?.as_chunks::<ENTRY_BYTES>();
        let left = self.count - block as u64 * BLOCK_ENTRIES as u64;
        let entries = entries.iter().take(usize::try_from(left).unwrap_or(usize::MAX));
        let entries: Block = entries.map(entry_of).collect();
        *recent = Some((block, Arc::clone(&entries)));
        Ok(entries)
    }

    /// From the first entry on whose key is not in front of `from`.
    ///
    /// # Errors
    /// As [`Run::open`].
    pub(super) fn from(self: &Arc<Self>, from: Key) -> io::Result<Cursor> {
        let mut cursor = Cursor {
            run: Arc::clone(self),
            block: self.firsts.partition_point(|first| *first <= from).saturating_sub(1),
            entries: Arc::default(),
            place: 0,
        };
        if from <= self.last {
            cursor.entries = self.block(cursor.block)?;
            cursor.place = cursor.entries.partition_point(|entry| entry.key < from);
            cursor.turn()?;
        } else {
            cursor.block = self.firsts.len();
        }
        Ok(cursor)
    }

    /// Whether it has this key.
    ///
    /// # Errors
    /// As [`Run::open`].
    pub(super) fn contains(&self, key: Key) -> io::Result<bool> {
        let block = self.firsts.partition_point(|first| *first <= key);
        if block == 0 || key > self.last {
            return Ok(false);
        }
        let entries = self.block(block - 1)?;
        Ok(entries.binary_search_by_key(&key, |entry| entry.key).is_ok())
    }
}

fn entry_of(bytes: &[u8; ENTRY_BYTES]) -> Entry {
    let mut key = [0; KEY_BYTES];
    let mut at = [0; ENTRY_BYTES - KEY_BYTES];
    let (front, back) = bytes.split_at(KEY_BYTES);
    key.copy_from_slice(front);
    at.copy_from_slice(back);
    Entry {
        key: key_of(key),
        at: PhysicalOffset(u64::from_be_bytes(at)),
    }
}

/// A place in a run.
pub(super) struct Cursor {
    run: Arc<Run>,
    block: usize,
    entries: Block,
    place: usize,
}

impl Cursor {
    /// The entry here; `None` at the end.
    pub(super) fn entry(&self) -> Option<Entry> {
        self.entries.get(self.place).copied()
    }

    /// Goes on to the next one.
    ///
    /// # Errors
    /// As [`Run::open`].
    pub(super) fn advance(&mut self) -> io::Result<()> {
        self.place += 1;
        self.turn()
    }

    /// Goes on to the next block where this one is at its end.
    fn turn(&mut self) -> io::Result<()> {
        if self.place >= self.entries.len() && self.block < self.run.firsts.len() {
            self.block += 1;
            self.place = 0;
            self.entries = match self.run.firsts.get(self.block) {
                Some(_) => self.run.block(self.block)?,
                None => Arc::default(),
            };
        }
        Ok(())
    }
}

/// Writes a run.
pub(super) struct RunWriter {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    number: u64,
    count: u64,
    /// Whole blocks, and the entries of the one that is begun.
    bytes: Vec<u8>,
    begun: usize,
    written: u64,
    firsts: Vec<u8>,
    last: Option<Key>,
}

impl RunWriter {
    /// Begins one.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn begin(disk: &dyn Disk, directory: &Path, number: u64) -> io::Result<Self> {
        let path = path(directory, number);
        let file = disk.open(&path, OpenMode::Create)?;
        // One that a crash has left is written over.
        file.set_length(0)?;
        Ok(Self {
            path,
            file,
            number,
            count: 0,
            bytes: Vec::with_capacity(BLOCKS_AT_ONCE * BLOCK_BYTES),
            begun: 0,
            written: 0,
            firsts: Vec::new(),
            last: None,
        })
    }

    /// Adds an entry behind the last one; one with the same key is the same.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn add(&mut self, entry: Entry) -> io::Result<()> {
        if self.last.is_some_and(|last| last >= entry.key) {
            return Ok(());
        }
        let key = entry.key.number().to_be_bytes();
        if self.begun == 0 {
            self.firsts.extend_from_slice(&key);
        }
        self.bytes.extend_from_slice(&key);
        self.bytes.extend_from_slice(&entry.at.0.to_be_bytes());
        self.last = Some(entry.key);
        self.count += 1;
        self.begun += 1;
        if self.begun == BLOCK_ENTRIES {
            self.end_block();
        }
        if self.bytes.len() >= BLOCKS_AT_ONCE * BLOCK_BYTES {
            self.write()?;
        }
        Ok(())
    }

    fn end_block(&mut self) {
        let begun = self.begun * ENTRY_BYTES;
        let start = self.bytes.len() - begun;
        self.bytes.resize(start + BLOCK_BYTES - CHECKSUM_BYTES, 0);
        let sum = crc32fast::hash(self.bytes.get(start..).unwrap_or_default());
        self.bytes.extend_from_slice(&sum.to_be_bytes());
        self.begun = 0;
    }

    fn write(&mut self) -> io::Result<()> {
        self.file.write_at(&[IoSlice::new(&self.bytes)], self.written)?;
        self.written += self.bytes.len() as u64;
        self.bytes.clear();
        Ok(())
    }

    /// Makes it durable but for its name; gives its number and the number of its entries, or `None` for one without any, which
    /// is removed.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn end(mut self, disk: &dyn Disk) -> io::Result<Option<(u64, u64)>> {
        let Some(last) = self.last else {
            disk.remove_file(&self.path)?;
            return Ok(None);
        };
        if self.begun > 0 {
            self.end_block();
        }
        self.firsts.extend_from_slice(&last.number().to_be_bytes());
        let sum = crc32fast::hash(&self.firsts);
        self.bytes.append(&mut self.firsts);
        self.bytes.extend_from_slice(&sum.to_be_bytes());
        self.write()?;
        self.file.sync_data()?;
        Ok(Some((self.number, self.count)))
    }
}

#[cfg(test)]
mod tests {
    use cuemq_storage::disk::MemoryDisk;
    use cuemq_storage::position::QueueOffset;
    use cuemq_storage::timer::Due;

    use super::*;

    fn entry(at_ms: u64) -> Entry {
        let due = Due { at_ms, recalls: false };
        Entry {
            key: Key::new(due, QueueOffset(at_ms % 7)),
            at: PhysicalOffset(at_ms * 3),
        }
    }

    /// A run of entries that are due at every third millisecond.
    fn run(disk: &MemoryDisk, count: u64) -> io::Result<Arc<Run>> {
        disk.create_directory(Path::new("/runs")).unwrap();
        let mut writer = RunWriter::begin(disk, Path::new("/runs"), 4).unwrap();
        for number in 0..count {
            writer.add(entry(3 * number)).unwrap();
            writer.add(entry(3 * number)).unwrap();
        }
        let written = writer.end(disk).unwrap().unwrap();
        assert_eq!(written, (4, count));
        Run::open(disk, Path::new("/runs"), written).map(Arc::new)
    }

    #[test]
    fn what_is_written_is_read_from_any_key_on() {
        for count in [1, 2, 169, 170, 171, 340, 341, 170 * 64, 170 * 65 + 1] {
            let run = run(&MemoryDisk::new(1), count).unwrap();
            for from in [0, 1, 3, 509, 510, 511, 3 * (count - 1), 3 * count] {
                let mut cursor = run.from(Key::first_at(from)).unwrap();
                let mut expected = from.div_ceil(3);
                while let Some(found) = cursor.entry() {
                    assert_eq!(found, entry(3 * expected), "{count} from {from}");
                    expected += 1;
                    cursor.advance().unwrap();
                }
                assert!(expected >= count, "{count} from {from} ends at {expected}");
                assert_eq!(run.contains(entry(3 * from).key).unwrap(), from < count);
                assert!(!run.contains(entry(3 * from + 1).key).unwrap());
            }
        }
    }

    #[test]
    fn a_flipped_bit_is_found_and_so_is_a_length_that_is_wrong() {
        let disk = MemoryDisk::new(1);
        run(&disk, 400).unwrap();
        let open = || Run::open(&disk, Path::new("/runs"), (4, 400)).map(Arc::new);
        let file = disk.open(&path(Path::new("/runs"), 4), OpenMode::Create).unwrap();
        let flip = |at: u64| {
            let mut byte = [0];
            file.read_at(&mut byte, at).unwrap();
            file.write_at(&[IoSlice::new(&[byte[0] ^ 1])], at).unwrap();
        };
        flip(4100);
        let mut cursor = open().unwrap().from(Key::first_at(0)).unwrap();
        let ends = std::iter::repeat_with(|| cursor.advance())
            .take(200)
            .find_map(Result::err);
        assert_eq!(ends.unwrap().kind(), io::ErrorKind::InvalidData);
        flip(3 * 4096 + 5);
        assert_eq!(open().err().unwrap().kind(), io::ErrorKind::InvalidData);
        flip(3 * 4096 + 5);
        file.set_length(3 * 4096 + 10).unwrap();
        assert_eq!(open().err().unwrap().kind(), io::ErrorKind::InvalidData);
        let other = Run::open(&disk, Path::new("/runs"), (4, u64::MAX));
        assert_eq!(other.err().unwrap().kind(), io::ErrorKind::InvalidData);
    }
}
