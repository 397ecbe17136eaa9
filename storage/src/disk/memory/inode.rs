//! One simulated file: what the page cache shows, what the disk holds, and the changes in between.
//!
//! Every change goes to `cached` at once and waits in `pending`, in order. A sync applies the pending changes to
//! `durable`. A *failed* sync drops the waiting bytes, as Linux does when it marks their pages clean: reads go on showing
//! them, no later sync will write them, and a crash (or the eviction of the page) brings back what the disk holds.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::blocks::{BlockSet, Room};
use super::contents::Contents;
use crate::disk::Blocks;

/// No simulated file is longer, in bytes.
const LENGTH_LIMIT: u64 = 1 << 36;

/// A file, by whatever names and handles.
#[derive(Debug)]
pub(super) struct Inode {
    /// Files are numbered as they are made.
    pub(super) id: u64,
    data: Mutex<FileData>,
}

/// The three states of a file's bytes.
#[derive(Debug)]
pub(super) struct FileData {
    pub(super) cached: Contents,
    pub(super) durable: Contents,
    pub(super) pending: Vec<Pending>,
    pub(super) modified_ms: u64,
    blocks: BlockSet,
    durable_blocks: Vec<u64>,
}

/// A change that the disk does not hold yet.
#[derive(Debug)]
pub(super) struct Pending {
    /// Its place among all changes of the disk.
    pub(super) sequence: u64,
    pub(super) change: Change,
}

/// One change of a file.
#[derive(Debug)]
pub(super) enum Change {
    Write { position: u64, bytes: Box<[u8]> },
    Zero(Range<u64>),
    Length(u64),
    Reserve(Range<u64>),
}

impl Inode {
    pub(super) fn new(id: u64, room: Arc<Room>, modified_ms: u64) -> Arc<Self> {
        let data = FileData {
            cached: Contents::default(),
            durable: Contents::default(),
            pending: Vec::new(),
            modified_ms,
            blocks: BlockSet::new(room),
            durable_blocks: Vec::new(),
        };
        Arc::new(Self {
            id,
            data: Mutex::new(data),
        })
    }

    /// Its data. The disk's own lock is always taken before this one.
    pub(super) fn data(&self) -> MutexGuard<'_, FileData> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FileData {
    /// Writes as much as there is room for, then says `StorageFull`.
    pub(super) fn write(&mut self, sequence: u64, position: u64, bytes: &[u8]) -> io::Result<()> {
        let end = checked_end(position, bytes.len() as u64)?;
        let room = usize::try_from(self.blocks.take(position..end)).unwrap_or(usize::MAX);
        let fitting = bytes.get(..room).unwrap_or(bytes);
        if !fitting.is_empty() {
            let end = position + fitting.len() as u64;
            let grows = end > self.cached.length();
            self.cached.write(position, fitting)?;
            if grows {
                // The disk may learn the length before or after the bytes.
                self.wait(sequence, Change::Length(end));
            }
            self.wait(
                sequence,
                Change::Write {
                    position,
                    bytes: fitting.into(),
                },
            );
        }
        if fitting.len() < bytes.len() {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            Ok(())
        }
    }

    pub(super) fn zero(&mut self, sequence: u64, position: u64, length: u64, blocks: Blocks) -> io::Result<()> {
        let range = position..checked_end(position, length)?.min(self.cached.length());
        match blocks {
            Blocks::Kept => self.take(range.clone())?,
            Blocks::Released => self.blocks.release(range.clone()),
        }
        self.cached.zero(range.clone());
        self.wait(sequence, Change::Zero(range));
        Ok(())
    }

    pub(super) fn set_length(&mut self, sequence: u64, length: u64) -> io::Result<()> {
        checked_end(0, length)?;
        self.cached.set_length(length)?;
        self.blocks.release(length..u64::MAX);
        self.wait(sequence, Change::Length(length));
        Ok(())
    }

    /// Takes the blocks of a range, all or none being of use to the caller.
    pub(super) fn reserve(&mut self, sequence: u64, position: u64, length: u64) -> io::Result<()> {
        let range = position..checked_end(position, length)?;
        self.take(range.clone())?;
        self.wait(sequence, Change::Reserve(range));
        Ok(())
    }

    /// Reserves, and extends the file over the range.
    pub(super) fn allocate(&mut self, sequence: u64, position: u64, length: u64) -> io::Result<()> {
        self.reserve(sequence, position, length)?;
        let end = position + length;
        if end > self.cached.length() {
            self.cached.set_length(end)?;
            self.wait(sequence, Change::Length(end));
        }
        Ok(())
    }

    /// Makes everything durable.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        for pending in std::mem::take(&mut self.pending) {
            apply(&pending.change, &mut self.durable)?;
        }
        self.durable_blocks = self.blocks.snapshot();
        Ok(())
    }

    /// Fails to make the waiting bytes durable, but for the first `reached`: the rest is forgotten, not retried. Lengths
    /// and reservations are the file system's own and keep waiting.
    pub(super) fn fail_sync(&mut self, reached: u64) -> io::Result<()> {
        let mut left = reached;
        for pending in std::mem::take(&mut self.pending) {
            let size = pending.change.size();
            match &pending.change {
                Change::Length(_) | Change::Reserve(_) => self.pending.push(pending),
                change => {
                    let reached = size.min(left);
                    apply_part(change, 0..reached, &mut self.durable)?;
                    left -= reached;
                }
            }
        }
        Ok(())
    }

    /// Reads everything that is not waiting to be written from the disk again.
    pub(super) fn evict(&mut self) -> io::Result<()> {
        if self.cached.is_viewed() {
            return Ok(());
        }
        self.cached = self.durable.copied()?;
        self.pending
            .iter()
            .try_for_each(|pending| apply(&pending.change, &mut self.cached))
    }

    /// Loses what was cached; of each waiting change the parts that `fate` names reach the disk.
    pub(super) fn crash(&mut self, mut fate: impl FnMut(&Pending) -> Vec<Range<u64>>) -> io::Result<()> {
        self.blocks.assign(std::mem::take(&mut self.durable_blocks));
        for pending in std::mem::take(&mut self.pending) {
            let parts = fate(&pending);
            for part in &parts {
                apply_part(&pending.change, part.clone(), &mut self.durable)?;
            }
            match &pending.change {
                Change::Reserve(range) if !parts.is_empty() => self.blocks.restore(range.clone()),
                Change::Write { position, .. } => {
                    parts
                        .iter()
                        .for_each(|part| self.blocks.restore(position + part.start..position + part.end));
                }
                _ => {}
            }
        }
        self.durable_blocks = self.blocks.snapshot();
        self.cached = self.durable.copied()?;
        Ok(())
    }

    fn take(&mut self, range: Range<u64>) -> io::Result<()> {
        let length = range.end.saturating_sub(range.start);
        if self.blocks.take(range) < length {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            Ok(())
        }
    }

    fn wait(&mut self, sequence: u64, change: Change) {
        self.pending.push(Pending { sequence, change });
    }
}

impl Change {
    /// How many bytes it has; what has none survives whole or not at all.
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Write { bytes, .. } => bytes.len() as u64,
            Self::Zero(range) => range.end.saturating_sub(range.start),
            Self::Length(_) | Self::Reserve(_) => 0,
        }
    }

    /// Where its first byte lies in the file.
    pub(super) fn position(&self) -> u64 {
        match self {
            Self::Write { position, .. } => *position,
            Self::Zero(range) | Self::Reserve(range) => range.start,
            Self::Length(_) => 0,
        }
    }
}

fn apply(change: &Change, to: &mut Contents) -> io::Result<()> {
    apply_part(change, 0..change.size(), to)
}

/// Applies a part of a change, counted from its first byte; all of a change that has no bytes.
fn apply_part(change: &Change, part: Range<u64>, to: &mut Contents) -> io::Result<()> {
    match change {
        Change::Write { position, bytes } => {
            let range = usize::try_from(part.start).ok().zip(usize::try_from(part.end).ok());
            let piece = range.and_then(|(start, end)| bytes.get(start..end)).unwrap_or_default();
            if piece.is_empty() {
                Ok(())
            } else {
                to.write(position + part.start, piece)
            }
        }
        Change::Zero(range) => {
            to.zero(range.start + part.start..range.start + part.end);
            Ok(())
        }
        Change::Length(length) => to.set_length(*length),
        Change::Reserve(_) => Ok(()),
    }
}

fn checked_end(position: u64, length: u64) -> io::Result<u64> {
    let end = position.checked_add(length).filter(|end| *end <= LENGTH_LIMIT);
    end.ok_or_else(|| io::ErrorKind::FileTooLarge.into())
}
