//! The machine that a simulated disk is in: its one lock, its processes' lives, and the point at which each request is
//! recorded, let through, failed, or made the last one.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::blocks::Room;
use super::fault::{Failure, Faults, Operation};
use super::names::Names;
use super::trace::{Bytes, Trace};
use crate::clock::Clock;
use crate::entropy::{Entropy, SeededEntropy};

/// What a process is told whose machine has lost its power, or that was killed.
#[derive(Debug, thiserror::Error)]
#[error("the simulated process has died")]
pub(super) struct Died;

/// A machine with one disk.
pub(super) struct Machine {
    state: Mutex<State>,
}

/// All that the lock of a machine covers.
pub(super) struct State {
    pub(super) names: Names,
    pub(super) locks: BTreeSet<PathBuf>,
    pub(super) faults: Faults,
    pub(super) trace: Trace,
    pub(super) room: Arc<Room>,
    /// Whether the file system can be synced as a whole.
    pub(super) syncs_whole: bool,
    clock: Option<Arc<dyn Clock>>,
    entropy: SeededEntropy,
    /// Counts crashes and kills; what was opened in an earlier life is dead.
    life: u64,
    /// Whether the life ended at a request, as [`State::die_at`] said.
    died: bool,
    dies_at: Option<u64>,
    changes: u64,
    last_inode: u64,
}

/// Why a request is not carried out, and how much of it happens all the same.
pub(super) struct Refusal {
    /// How many bytes are written (by a write) or reach the disk (by a sync).
    pub(super) partial: u64,
    /// Whether the process dies: then it is not the disk that failed.
    pub(super) died: bool,
    pub(super) error: io::Error,
}

impl Machine {
    pub(super) fn new(seed: u64, capacity: u64) -> Arc<Self> {
        let state = State {
            names: Names::default(),
            locks: BTreeSet::new(),
            faults: Faults::default(),
            trace: Trace::default(),
            room: Room::new(capacity),
            syncs_whole: seed.is_multiple_of(2),
            clock: None,
            entropy: SeededEntropy::new(seed),
            life: 0,
            died: false,
            dies_at: None,
            changes: 0,
            last_inode: 0,
        };
        Arc::new(Self {
            state: Mutex::new(state),
        })
    }

    /// The state. A panic of a holder does not spoil it for the others: that is one of the things tests try.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(super) fn life(&self) -> u64 {
        self.life
    }

    pub(super) fn set_clock(&mut self, clock: Arc<dyn Clock>) {
        self.clock = Some(clock);
    }

    /// The clock's time, or without a clock the number of the current step.
    pub(super) fn now_ms(&self) -> u64 {
        self.clock.as_ref().map_or(self.trace.count(), |clock| clock.now_ms())
    }

    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// Lets the life end at the `nth` change from now on.
    pub(super) fn die_at(&mut self, nth: u64) {
        self.dies_at = Some(self.changes.saturating_add(nth));
    }

    /// Begins another life; the locks and handles of this one are gone.
    pub(super) fn begin_life(&mut self) {
        self.life += 1;
        self.died = false;
        self.dies_at = None;
        self.locks.clear();
    }

    pub(super) fn next_inode(&mut self) -> u64 {
        self.last_inode += 1;
        self.last_inode
    }

    /// Fails when the life of the asker is over.
    pub(super) fn check_alive(&self, life: u64) -> io::Result<()> {
        if life == self.life && !self.died {
            Ok(())
        } else {
            Err(io::Error::other(Died))
        }
    }

    /// Records a request and says whether it may be carried out; its place among all is then its sequence.
    pub(super) fn admit(
        &mut self,
        life: u64,
        operation: Operation,
        path: &Arc<Path>,
        position: u64,
        bytes: Bytes<'_>,
    ) -> Result<u64, Refusal> {
        self.check_alive(life).map_err(|error| Refusal {
            partial: 0,
            died: true,
            error,
        })?;
        self.trace.record(operation, path, position, bytes);
        if operation.is_change() {
            self.changes += 1;
            if self.dies_at == Some(self.changes) {
                self.died = true;
                // A kill in the middle of a write leaves a part of it in the page cache.
                let partial = self.entropy.below(bytes.length() + 1);
                return Err(Refusal {
                    partial,
                    died: true,
                    error: io::Error::other(Died),
                });
            }
        }
        match self.faults.check(operation, path) {
            Some(Failure { partial, error }) => Err(Refusal {
                partial,
                died: false,
                error,
            }),
            None => Ok(self.trace.count()),
        }
    }
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        refusal.error
    }
}
