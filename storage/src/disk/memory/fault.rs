//! What a simulated disk is asked to do, and to fail at.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// A kind of request to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Opening a file that exists.
    Open,
    /// Opening a file that is made by it.
    Create,
    /// Reading, and making the pages of a view present.
    Read,
    /// Writing.
    Write,
    /// Cutting or extending.
    SetLength,
    /// Reserving blocks, with or without extending the file.
    Allocate,
    /// Zeroing a range.
    Zero,
    /// fdatasync.
    SyncData,
    /// Mapping.
    View,
    /// Reading a directory.
    List,
    /// Making directories.
    CreateDirectory,
    /// Renaming (by the new name).
    Rename,
    /// Removing a file or directory.
    Remove,
    /// Syncing a directory.
    SyncDirectory,
    /// [`Disk::sync_file_system`](crate::disk::Disk::sync_file_system).
    SyncFileSystem,
    /// Taking a lock.
    Lock,
}

impl Operation {
    /// Whether it changes the disk or what is durable: what [`super::MemoryDisk::crash_at`] counts.
    #[must_use]
    pub fn is_change(self) -> bool {
        !matches!(self, Self::Open | Self::Read | Self::View | Self::List)
    }

    pub(super) fn has_range(self) -> bool {
        matches!(
            self,
            Self::Read | Self::Write | Self::SetLength | Self::Allocate | Self::Zero | Self::View
        )
    }
}

/// A failure to come: by default every such operation on every path fails with EIO and does nothing.
#[derive(Clone, Debug)]
pub struct Fault {
    operation: Operation,
    path_part: String,
    skip: u64,
    times: u64,
    kind: Option<io::ErrorKind>,
    partial: u64,
}

/// Names an injected fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FaultId(u64);

/// What a fault does to an operation.
#[derive(Debug)]
pub(super) struct Failure {
    /// How many bytes of a write reach the page cache, or of a sync the disk, all the same.
    pub(super) partial: u64,
    pub(super) error: io::Error,
}

#[derive(Debug, Default)]
pub(super) struct Faults {
    next: u64,
    active: BTreeMap<FaultId, Fault>,
    fired: BTreeMap<FaultId, u64>,
}

impl Fault {
    /// Every `operation` fails.
    #[must_use]
    pub fn new(operation: Operation) -> Self {
        Self {
            operation,
            path_part: String::new(),
            skip: 0,
            times: u64::MAX,
            kind: None,
            partial: 0,
        }
    }

    /// Only on paths that contain `part`.
    #[must_use]
    pub fn on(self, part: &str) -> Self {
        Self {
            path_part: part.to_owned(),
            ..self
        }
    }

    /// The first `operations` that match succeed still.
    #[must_use]
    pub fn after(self, operations: u64) -> Self {
        Self {
            skip: operations,
            ..self
        }
    }

    /// Only `times` of them fail, then the fault is over.
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Self { times, ..self }
    }

    /// With an error of this kind instead of EIO.
    #[must_use]
    pub fn kind(self, kind: io::ErrorKind) -> Self {
        Self {
            kind: Some(kind),
            ..self
        }
    }

    /// The first `bytes` of a write reach the page cache, those of a sync the disk, before it fails.
    #[must_use]
    pub fn partial(self, bytes: u64) -> Self {
        Self { partial: bytes, ..self }
    }

    fn matches(&self, operation: Operation, path: &Path) -> bool {
        self.operation == operation && path.to_string_lossy().contains(&self.path_part)
    }
}

impl Faults {
    pub(super) fn inject(&mut self, fault: Fault) -> FaultId {
        self.next += 1;
        let id = FaultId(self.next);
        self.active.insert(id, fault);
        id
    }

    pub(super) fn clear(&mut self, id: FaultId) {
        self.active.remove(&id);
    }

    pub(super) fn clear_all(&mut self) {
        self.active.clear();
    }

    pub(super) fn fired(&self, id: FaultId) -> u64 {
        self.fired.get(&id).copied().unwrap_or(0)
    }

    /// The failure of this operation, if the oldest fault that matches it says so.
    pub(super) fn check(&mut self, operation: Operation, path: &Path) -> Option<Failure> {
        let (id, fault) = self
            .active
            .iter_mut()
            .find(|(_, fault)| fault.times > 0 && fault.matches(operation, path))?;
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        fault.times -= 1;
        *self.fired.entry(*id).or_default() += 1;
        let error = fault.kind.map_or_else(|| rustix::io::Errno::IO.into(), io::Error::from);
        Some(Failure {
            partial: fault.partial,
            error,
        })
    }
}
