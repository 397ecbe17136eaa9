//! What of the waiting changes a power loss leaves on the simulated disk.

use std::io;
use std::ops::Range;

use super::inode::Pending;
use super::names::Names;
use crate::entropy::{Entropy, SeededEntropy};

/// The unit that a disk writes as a whole.
const SECTOR: u64 = 512;

/// What reaches the disk in a power loss of that which was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survival {
    /// Nothing.
    Nothing,
    /// All of it.
    Everything,
    /// By this seed: each write not at all, whole, up to some byte, or some of its sectors; each length and each name
    /// likewise, in the order made or in another one, but for names that build on each other.
    Random(u64),
    /// The first so many bytes written, over all files in the order written, and the names made until then.
    Prefix(u64),
}

/// Leaves of the disk what survives.
pub(super) fn crash(names: &mut Names, survival: Survival) -> io::Result<()> {
    match survival {
        Survival::Nothing => settle(names, |_, _| false, |_| Vec::new()),
        Survival::Everything => settle(names, |_, _| true, whole),
        Survival::Random(seed) => {
            let entropy = SeededEntropy::new(seed);
            let count = names.pending_count() as u64;
            // In the order made up to some point, as a journal does it, or in any order.
            let journal = entropy.below(2) == 0;
            let kept = entropy.below(count + 1);
            let name = |index: usize, _| {
                if journal {
                    (index as u64) < kept
                } else {
                    entropy.below(count + 1) < kept
                }
            };
            // How many of eight writes survive.
            let chance = entropy.below(9);
            settle(names, name, |pending| {
                if entropy.below(8) < chance {
                    torn(pending, &entropy)
                } else {
                    Vec::new()
                }
            })
        }
        Survival::Prefix(bytes) => {
            let (cut, rest) = cut_after(names, bytes);
            settle(
                names,
                |_, sequence| sequence < cut,
                |pending| match pending.sequence {
                    sequence if sequence < cut => whole(pending),
                    sequence if sequence == cut && rest > 0 => up_to(pending, rest),
                    _ => Vec::new(),
                },
            )
        }
    }
}

fn settle(
    names: &mut Names,
    name_survives: impl FnMut(usize, u64) -> bool,
    mut parts: impl FnMut(&Pending) -> Vec<Range<u64>>,
) -> io::Result<()> {
    let files = names.crash(name_survives);
    files.values().try_for_each(|inode| inode.data().crash(&mut parts))
}

fn whole(pending: &Pending) -> Vec<Range<u64>> {
    up_to(pending, pending.change.size())
}

fn up_to(pending: &Pending, size: u64) -> Vec<Range<u64>> {
    std::iter::once(0..size.min(pending.change.size())).collect()
}

/// All of a change, a beginning of it, or some of its sectors.
fn torn(pending: &Pending, entropy: &SeededEntropy) -> Vec<Range<u64>> {
    let size = pending.change.size();
    match entropy.below(4) {
        _ if size == 0 => whole(pending),
        0 | 1 => whole(pending),
        2 => up_to(pending, entropy.below(size + 1)),
        _ => {
            let (start, end) = (pending.change.position(), pending.change.position() + size);
            let sectors = start / SECTOR..end.div_ceil(SECTOR);
            sectors
                .filter(|_| entropy.below(2) == 0)
                .map(|sector| (sector * SECTOR).max(start) - start..((sector + 1) * SECTOR).min(end) - start)
                .collect()
        }
    }
}

/// The sequence of the change in which the first so many bytes end, and how many of its own are among them.
fn cut_after(names: &Names, bytes: u64) -> (u64, u64) {
    let mut sizes: Vec<(u64, u64)> = Vec::new();
    for inode in names.files().values() {
        sizes.extend(
            inode
                .data()
                .pending
                .iter()
                .map(|pending| (pending.sequence, pending.change.size())),
        );
    }
    sizes.sort_unstable();
    let mut left = bytes;
    for (sequence, size) in sizes {
        if size > left {
            return (sequence, left);
        }
        left -= size;
    }
    (u64::MAX, 0)
}
