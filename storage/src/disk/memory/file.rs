//! Open files and held locks of the simulated disk.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use super::fault::Operation;
use super::inode::{FileData, Inode};
use super::machine::Machine;
use super::trace::Bytes;
use crate::disk::{Blocks, DiskFile, DiskLock};
use crate::read_view::{Gate, ReadView};

/// An open file.
pub(super) struct MemoryFile {
    pub(super) machine: Arc<Machine>,
    pub(super) inode: Arc<Inode>,
    /// As it was opened; a rename does not change it.
    pub(super) path: Arc<Path>,
    /// The life in which it was opened.
    pub(super) life: u64,
    pub(super) writable: bool,
}

/// A held lock.
pub(super) struct MemoryLock {
    pub(super) machine: Arc<Machine>,
    pub(super) path: Arc<Path>,
    pub(super) life: u64,
}

impl MemoryFile {
    /// Carries out one change of the file.
    fn change(
        &self,
        operation: Operation,
        position: u64,
        length: u64,
        change: impl FnOnce(&mut FileData, u64) -> io::Result<()>,
    ) -> io::Result<()> {
        self.check_writable()?;
        let mut state = self.machine.state();
        let sequence = state.admit(self.life, operation, &self.path, position, Bytes::Length(length))?;
        let mut data = self.inode.data();
        data.modified_ms = state.now_ms();
        change(&mut data, sequence)
    }

    fn check_writable(&self) -> io::Result<()> {
        if self.writable {
            Ok(())
        } else {
            Err(rustix::io::Errno::BADF.into())
        }
    }

    /// Lets [`ReadView::populate`] fail as a read does.
    fn gate(&self) -> Gate {
        let (machine, path, life) = (Arc::clone(&self.machine), Arc::clone(&self.path), self.life);
        Arc::new(move |range| {
            let length = Bytes::Length(range.end.saturating_sub(range.start));
            machine
                .state()
                .admit(life, Operation::Read, &path, range.start, length)?;
            Ok(())
        })
    }
}

impl DiskFile for MemoryFile {
    fn length(&self) -> io::Result<u64> {
        self.machine.state().check_alive(self.life)?;
        Ok(self.inode.data().cached.length())
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.change(Operation::SetLength, 0, length, |data, sequence| {
            data.set_length(sequence, length)
        })
    }

    fn allocate(&self, offset: u64, length: u64) -> io::Result<()> {
        self.change(Operation::Allocate, offset, length, |data, sequence| {
            data.allocate(sequence, offset, length)
        })
    }

    fn reserve(&self, offset: u64, length: u64) -> io::Result<()> {
        self.change(Operation::Allocate, offset, length, |data, sequence| {
            data.reserve(sequence, offset, length)
        })
    }

    fn zero(&self, offset: u64, length: u64, blocks: Blocks) -> io::Result<()> {
        self.change(Operation::Zero, offset, length, |data, sequence| {
            data.zero(sequence, offset, length, blocks)
        })
    }

    fn write_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        self.check_writable()?;
        let bytes: Vec<u8> = buffers.iter().flat_map(|buffer| buffer.iter().copied()).collect();
        let mut state = self.machine.state();
        let admitted = state.admit(self.life, Operation::Write, &self.path, offset, Bytes::Content(&bytes));
        let mut data = self.inode.data();
        data.modified_ms = state.now_ms();
        match admitted {
            Ok(sequence) => data.write(sequence, offset, &bytes),
            Err(refusal) => {
                let partial = usize::try_from(refusal.partial).unwrap_or(usize::MAX);
                data.write(state.trace.count(), offset, bytes.get(..partial).unwrap_or(&bytes))?;
                Err(refusal.error)
            }
        }
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.machine.state();
        state.admit(
            self.life,
            Operation::Read,
            &self.path,
            offset,
            Bytes::Length(buffer.len() as u64),
        )?;
        Ok(self.inode.data().cached.read(offset, buffer))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.machine.state();
        let admitted = state.admit(self.life, Operation::SyncData, &self.path, 0, Bytes::Length(0));
        match admitted {
            Ok(_) => self.inode.data().sync(),
            // What was waiting when the process died goes on waiting.
            Err(refusal) if refusal.died => Err(refusal.error),
            Err(refusal) => {
                self.inode.data().fail_sync(refusal.partial)?;
                Err(refusal.error)
            }
        }
    }

    fn view(&self, length: u64) -> io::Result<ReadView> {
        let mut state = self.machine.state();
        state.admit(self.life, Operation::View, &self.path, 0, Bytes::Length(length))?;
        self.inode.data().cached.view(length, self.gate())
    }

    fn modified_ms(&self) -> io::Result<u64> {
        self.machine.state().check_alive(self.life)?;
        Ok(self.inode.data().modified_ms)
    }
}

impl DiskLock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        let mut state = self.machine.state();
        // A crash or kill has released it already, and another process may hold it now.
        if state.life() == self.life {
            state.locks.remove(&*self.path);
        }
    }
}
