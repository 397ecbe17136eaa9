//! [`MemoryDisk`]: a file system in memory for tests, which remembers what is durable and what only the page cache shows.
//!
//! It is as bad as POSIX allows. What was written and not synced may be lost, torn or reordered by [`MemoryDisk::crash`];
//! a name is durable only when its directory was synced; a sync that failed once is never made good by a later one
//! (facts of Linux: the pages are clean, reads still show them); the room can run out in the middle of a write. What it
//! does follows from its seed and from what is asked of it, so a run can be repeated.
//!
//! A *life* is the time between two crashes or kills. Handles, locks and [`MemoryDisk::process`] disks of an earlier life
//! get an error; views of an earlier life stay readable and change no more.

mod blocks;
mod contents;
#[cfg(test)]
pub(crate) mod ending;
mod fault;
mod file;
mod inode;
mod machine;
mod names;
mod survival;
mod trace;

use std::io;
use std::path::Path;
use std::sync::Arc;

pub use fault::{Fault, FaultId, Operation};
pub use survival::Survival;
pub use trace::Step;

use super::{Disk, DiskFile, DiskLock, Entry, OpenMode, Space, parent_of};
use crate::clock::Clock;
use file::{MemoryFile, MemoryLock};
use inode::Inode;
use machine::{Died, Machine, State};
use names::Node;
use trace::Bytes;

/// The room on a disk unless [`MemoryDisk::set_capacity`] says otherwise, in bytes.
const CAPACITY: u64 = 1 << 40;

/// A simulated disk; clones are the same disk.
#[derive(Clone)]
pub struct MemoryDisk {
    machine: Arc<Machine>,
    /// The life that this value ends with; none for the test's own.
    life: Option<u64>,
}

impl MemoryDisk {
    /// An empty disk. The seed decides what a kill leaves of the write that it hits, and whether the file system can be
    /// synced as a whole: an even one's can.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            machine: Machine::new(seed, CAPACITY),
            life: None,
        }
    }

    /// Takes modification times from `clock`; without one they count the requests.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        self.machine.state().set_clock(clock);
        self
    }

    /// Sets the size of the disk; writes and reservations that do not fit fail with `StorageFull`.
    pub fn set_capacity(&self, bytes: u64) {
        self.machine.state().room.set_capacity(bytes);
    }

    /// The disk as the processes of this life have it: it fails after the next crash or kill, so that whatever goes on
    /// running by mistake cannot touch the files of the next life.
    #[must_use]
    pub fn process(&self) -> Self {
        let life = self.machine.state().life();
        Self {
            machine: Arc::clone(&self.machine),
            life: Some(life),
        }
    }

    /// Loses the power: only what is durable, and of the rest what `survival` says, is left. Begins another life.
    ///
    /// # Panics
    /// When the test machine has no memory left.
    pub fn crash(&self, survival: Survival) {
        let mut state = self.machine.state();
        state.begin_life();
        survival::crash(&mut state.names, survival).expect("memory for what the simulated disk holds");
    }

    /// Kills all processes: the page cache stays as it is, handles and locks are gone. Begins another life.
    pub fn kill(&self) {
        self.machine.state().begin_life();
    }

    /// Reads every file that is not mapped from the disk again, but for what waits to be written: after a failed sync
    /// this brings the old bytes back, as the kernel may do at any time.
    ///
    /// # Panics
    /// When the test machine has no memory left.
    pub fn evict(&self) {
        let state = self.machine.state();
        let evicted = state.names.files().values().try_for_each(|inode| inode.data().evict());
        evicted.expect("memory for what the simulated disk holds");
    }

    /// Lets the life end at the `nth` change from now (the first is 1): that one and all that follows fails, until
    /// [`MemoryDisk::crash`] or [`MemoryDisk::kill`]. Of a write, a part is then in the page cache.
    pub fn crash_at(&self, nth: u64) {
        self.machine.state().die_at(nth);
    }

    /// How many changes were asked for so far, to know how many [`MemoryDisk::crash_at`] can be tried with.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.machine.state().changes()
    }

    /// Whether an error says that the process is dead, and not that the disk failed.
    #[must_use]
    pub fn is_death(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Died>())
    }

    /// Makes operations fail from now on, in later lives too.
    pub fn inject(&self, fault: Fault) -> FaultId {
        self.machine.state().faults.inject(fault)
    }

    /// Ends a fault.
    pub fn clear(&self, fault: FaultId) {
        self.machine.state().faults.clear(fault);
    }

    /// Ends all faults.
    pub fn clear_faults(&self) {
        self.machine.state().faults.clear_all();
    }

    /// How many operations a fault has failed.
    #[must_use]
    pub fn fired(&self, fault: FaultId) -> u64 {
        self.machine.state().faults.fired(fault)
    }

    /// What a file would hold after a crash that leaves nothing but the durable; `None` when it would not be there.
    #[must_use]
    pub fn durable(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.machine.state();
        let data = state.names.durable_file(path)?.data();
        let mut bytes = vec![0; usize::try_from(data.durable.length()).ok()?];
        data.durable.read(0, &mut bytes);
        Some(bytes)
    }

    /// The latest requests, oldest first; to print when a test fails.
    #[must_use]
    pub fn trace(&self) -> Vec<Step> {
        self.machine.state().trace.latest()
    }

    /// A hash of all requests with their bytes: equal for two runs that did the same.
    #[must_use]
    pub fn trace_hash(&self) -> u64 {
        self.machine.state().trace.hash()
    }

    fn life(&self, state: &State) -> u64 {
        self.life.unwrap_or_else(|| state.life())
    }

    /// Asks for something that has no position; its sequence.
    fn ask(&self, state: &mut State, operation: Operation, path: &Path) -> io::Result<u64> {
        let life = self.life(state);
        Ok(state.admit(life, operation, &Arc::from(path), 0, Bytes::Length(0))?)
    }
}

impl Disk for MemoryDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.machine.state();
        let makes = matches!(mode, OpenMode::Create | OpenMode::CreateNew);
        let found = state.names.node(path);
        let operation = if makes && found.is_none() {
            Operation::Create
        } else {
            Operation::Open
        };
        let sequence = self.ask(&mut state, operation, path)?;
        let inode = match found {
            Some(Node::File(_)) if mode == OpenMode::CreateNew => return Err(io::ErrorKind::AlreadyExists.into()),
            Some(Node::File(inode)) => inode,
            Some(Node::Directory) => return Err(io::ErrorKind::IsADirectory.into()),
            None if makes => make(&mut state, sequence, path)?,
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        let (life, machine) = (self.life(&state), Arc::clone(&self.machine));
        Ok(Arc::new(MemoryFile {
            machine,
            inode,
            path: Arc::from(path),
            life,
            writable: mode != OpenMode::Read,
        }))
    }

    fn make_directory(&self, path: &Path) -> io::Result<usize> {
        let mut state = self.machine.state();
        let sequence = self.ask(&mut state, Operation::CreateDirectory, path)?;
        state.names.make_directory(sequence, path)
    }

    /// At once, and durable: what a kill in between leaves is for [`Disk::make_directory`] to show.
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        let mut state = self.machine.state();
        let sequence = self.ask(&mut state, Operation::CreateDirectory, path)?;
        let missing = state.names.make_directory(sequence, path)?;
        let mut levels = path.ancestors().take(missing).map(parent_of);
        levels.try_for_each(|parent| state.names.sync_directory(parent))
    }

    fn open_files_limit(&self) -> u64 {
        u64::MAX
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let mut state = self.machine.state();
        self.ask(&mut state, Operation::List, path)?;
        if let Some(Node::File(_)) = state.names.node(path) {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let entry = |(path, node): (&Path, &Node)| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            match node {
                Node::Directory => Entry {
                    name,
                    is_directory: true,
                    length: 0,
                    modified_ms: 0,
                },
                Node::File(inode) => {
                    let data = inode.data();
                    Entry {
                        name,
                        is_directory: false,
                        length: data.cached.length(),
                        modified_ms: data.modified_ms,
                    }
                }
            }
        };
        Ok(state.names.children(path).map(entry).collect())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let state = self.machine.state();
        state.check_alive(self.life(&state))?;
        Ok(state.names.node(path).is_some())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.machine.state();
        let sequence = self.ask(&mut state, Operation::Rename, to)?;
        state.names.rename(sequence, from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.machine.state();
        let sequence = self.ask(&mut state, Operation::Remove, path)?;
        state.names.remove_file(sequence, path)
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        let mut state = self.machine.state();
        let sequence = self.ask(&mut state, Operation::Remove, path)?;
        state.names.remove_directory(sequence, path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let mut state = self.machine.state();
        self.ask(&mut state, Operation::SyncDirectory, path)?;
        state.names.sync_directory(path)
    }

    fn sync_file_system(&self, path: &Path) -> io::Result<bool> {
        let mut state = self.machine.state();
        self.ask(&mut state, Operation::SyncFileSystem, path)?;
        if !state.syncs_whole || state.names.node(path).is_none() {
            return Ok(false);
        }
        state.names.sync_all();
        let files = state.names.files();
        files.values().try_for_each(|file| file.data().sync())?;
        Ok(true)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        let mut state = self.machine.state();
        let sequence = self.ask(&mut state, Operation::Lock, path)?;
        if state.names.node(path).is_none() {
            make(&mut state, sequence, path)?.data().write(sequence, 0, b"lock")?;
        }
        state.names.file(path)?;
        if !state.locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let life = self.life(&state);
        Ok(Box::new(MemoryLock {
            machine: Arc::clone(&self.machine),
            path: Arc::from(path),
            life,
        }))
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let state = self.machine.state();
        state.check_alive(self.life(&state))?;
        state.names.node(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Space {
            total: state.room.capacity(),
            free: state.room.available(),
            available: state.room.available(),
        })
    }
}

/// Makes a file with a name that is free.
fn make(state: &mut State, sequence: u64, path: &Path) -> io::Result<Arc<Inode>> {
    let inode = Inode::new(state.next_inode(), Arc::clone(&state.room), state.now_ms());
    state.names.link(sequence, path, &inode)?;
    Ok(inode)
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
