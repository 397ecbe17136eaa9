//! Takes memory back from connections that hold it and do nothing with it, when others need it: clients that take no answers
//! (slow readers) and those that do not end what they have begun (half-open peers).
//!
//! Each of them may hold something, and one alone is left in peace for as long as the sweep in `egress` allows. When all of
//! them together hold what a budget has, those that stand still are closed, the largest first, until a quarter of the budget is
//! free again. Their clients connect anew; nobody else is refused for what they hold.

use std::rc::Rc;
use std::time::Duration;

use super::peer_table::Peer;
use super::state::IoState;

/// How often it is looked at.
pub(super) const LOOK: Duration = Duration::from_millis(100);
/// What the kernel holds for a connection whose client takes nothing: see `net`, which bounds what waits there.
pub(super) const STALLED_BYTES: usize = 192 << 10;
/// A client that stood still for so long is closed where others need its memory.
const PATIENCE: Duration = Duration::from_secs(1);
/// Where they need it at once: others are refused meanwhile, or the budget is exceeded by as much again.
const HURRY: Duration = Duration::from_millis(100);

/// Closes connections of this thread that stand still, as far as budgets are spent.
pub(super) fn relieve(io: &IoState, now: Duration) {
    let budgets = &io.budgets;
    // Read once: other threads give back meanwhile.
    let (held, most) = (budgets.idle.used(), budgets.idle.limit());
    if held >= most {
        let patience = if held > 2 * most { HURRY } else { PATIENCE };
        let excess = held - most / 4 * 3;
        close(io, now, patience, excess, |peer| peer.idle.get());
    }
    if budgets.waiting.is_spent() {
        close(io, now, HURRY, budgets.waiting.limit() / 4, |peer| peer.arriving.get());
    }
    if budgets.controls.is_spent() {
        let held = |peer: &Peer| peer.arriving.get() + peer.stalled.get().map_or(0, |_| peer.control_bytes.get());
        close(io, now, HURRY, budgets.controls.limit() / 4, held);
    }
}

/// Closes those that have stood still for so long, the largest first, until they hold `excess` together.
fn close(io: &IoState, now: Duration, patience: Duration, excess: usize, holds: impl Fn(&Peer) -> usize) {
    let peers = io.peers.borrow();
    let stands_still = |peer: &&Rc<Peer>| {
        let since = peer.still_since();
        peer.closing().is_none() && since.is_some_and(|since| now.saturating_sub(since) > patience)
    };
    let mut still: Vec<(usize, &Rc<Peer>)> = peers
        .iter()
        .filter(stands_still)
        .map(|peer| (holds(peer), peer))
        .filter(|(bytes, _)| *bytes > 0)
        .collect();
    still.sort_unstable_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
    let mut freed = 0;
    for (bytes, peer) in still {
        if freed >= excess {
            break;
        }
        freed += bytes;
        peer.close("it stands still, and others need the memory that it holds");
        io.metrics.connections_dropped.add(1);
        if let Some(left_out) = io.metrics.drops_told.due(now) {
            tracing::warn!(remote = %peer.remote, bytes, left_out, "closing a connection that stands still: others need the memory that it holds");
        }
    }
}
