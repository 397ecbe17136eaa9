//! How a life on a simulated disk ends, for tests of what outlives it: which error says so, and what the disk keeps then.

use super::{MemoryDisk, Survival};
use crate::entropy::{Entropy, SeededEntropy};
use crate::error::StoreError;

/// Whether an error says that the process is dead, and not that the disk failed.
pub(crate) fn is_death(error: &StoreError) -> bool {
    matches!(error, StoreError::Io { source, .. } if MemoryDisk::is_death(source))
}

/// Ends the life by a kill, or by a loss of power that keeps nothing, all, or some of what was not synced; whether it was
/// the power.
pub(crate) fn lose(disk: &MemoryDisk, random: &SeededEntropy) -> bool {
    match random.below(5) {
        0 => {
            disk.kill();
            return false;
        }
        1 => disk.crash(Survival::Nothing),
        2 => disk.crash(Survival::Everything),
        _ => disk.crash(Survival::Random(random.next_u64())),
    }
    true
}
