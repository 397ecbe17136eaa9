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
const LOOK: Duration = Duration::from_millis(100);
/// How soon again where more are to be closed than are at once.
const SOON: Duration = Duration::from_millis(5);
/// So many are closed at once: to close one whose client has taken nothing takes as long as ten sends, and two thousand would
/// let everybody else on their thread wait for a tenth of a second.
const CLOSED_AT_ONCE: usize = 32;
/// What the kernel holds of a connection whose client takes nothing: requests that are not read, and answers; see `net`, which
/// bounds how many of those there are.
const STALLED_BYTES: usize = 320 << 10;
/// The same of one whose client has read nothing yet.
const STALLED_NARROW_BYTES: usize = 144 << 10;
/// A client that stood still for so long is closed where others need its memory.
const PATIENCE: Duration = Duration::from_secs(1);
/// Where they need it at once: others are refused meanwhile, or the budget is exceeded by as much again.
const HURRY: Duration = Duration::from_millis(100);
/// Where it is exceeded by three times as much.
const HASTE: Duration = Duration::from_millis(10);

/// What the kernel holds of a connection, as far as its client is to blame.
pub(super) fn in_kernel(peer: &Peer) -> usize {
    match (peer.stalled.get().or(peer.unread.get()), peer.proven.get()) {
        (None, _) => 0,
        (Some(_), true) => STALLED_BYTES,
        (Some(_), false) => STALLED_NARROW_BYTES,
    }
}

/// Closes connections of this thread that stand still, as far as budgets are spent. Returns when to look again.
pub(super) fn relieve(io: &IoState, now: Duration) -> Duration {
    let mut left = CLOSED_AT_ONCE;
    let budgets = &io.budgets;
    // Read once: other threads give back meanwhile.
    let (held, most) = (budgets.idle.used(), budgets.idle.limit());
    if held >= most {
        let patience = match held / most.max(1) {
            0 | 1 => PATIENCE,
            2 | 3 => HURRY,
            _ => HASTE,
        };
        let excess = held - most / 4 * 3;
        left -= close(io, now, patience, (excess, left), |peer| peer.idle.get());
    }
    if budgets.waiting.is_spent() {
        let excess = budgets.waiting.limit() / 4;
        left -= close(io, now, HURRY, (excess, left), |peer| peer.arriving.get());
    }
    if budgets.controls.is_spent() {
        let held = |peer: &Peer| peer.arriving.get() + peer.stalled.get().map_or(0, |_| peer.control_bytes.get());
        left -= close(io, now, HURRY, (budgets.controls.limit() / 4, left), held);
    }
    if left == 0 || budgets.idle.is_overdrawn() {
        SOON
    } else {
        LOOK
    }
}

/// A connection that stands still, and what it holds.
struct Still<'a> {
    bytes: usize,
    since: Duration,
    peer: &'a Rc<Peer>,
}

impl<'a> Still<'a> {
    fn of(peer: &'a Rc<Peer>, holds: impl Fn(&Peer) -> usize) -> Option<Self> {
        let (bytes, since) = (holds(peer), peer.still_since()?);
        (bytes > 0 && peer.closing().is_none()).then_some(Self { bytes, since, peer })
    }

    /// The least goes first: one whose client never read, then one that holds much, where sizes within four times are alike, then
    /// one that has stood for long. By size alone newcomers would be closed for those who are there and hold a little less.
    fn rank(&self) -> impl Ord + use<> {
        let size = self.bytes.ilog2() / 2;
        (self.peer.proven.get(), std::cmp::Reverse(size), self.since)
    }
}

/// Closes those that have stood still for so long until they hold `excess` together, and `most` of them; returns how many.
fn close(
    io: &IoState,
    now: Duration,
    patience: Duration,
    (excess, most): (usize, usize),
    holds: impl Fn(&Peer) -> usize,
) -> usize {
    let peers = io.peers.borrow();
    let still = peers.iter().filter_map(|peer| Still::of(peer, &holds));
    let mut still: Vec<Still<'_>> = still
        .filter(|still| now.saturating_sub(still.since) > patience)
        .collect();
    still.sort_unstable_by_key(Still::rank);
    let (mut freed, mut closed) = (0, 0);
    for Still { bytes, peer, .. } in still {
        if freed >= excess || closed == most {
            break;
        }
        (freed, closed) = (freed + bytes, closed + 1);
        peer.close("it stands still, and others need the memory that it holds");
        io.metrics.connections_dropped.add(1);
        if let Some(left_out) = io.metrics.drops_told.due(now) {
            tracing::warn!(remote = %peer.remote, bytes, left_out, "closing a connection that stands still: others need the memory that it holds");
        }
    }
    closed
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use super::*;
    use crate::io::peer_table::PeerTable;

    #[test]
    fn who_never_read_goes_first_then_who_holds_much_then_who_has_stood_for_long() {
        let mut table = PeerTable::new(0, Arc::default());
        let mut still = |proven: bool, kib: usize, since: u64| {
            let peer = table.insert((Ipv4Addr::LOCALHOST, 5).into(), Duration::ZERO);
            peer.proven.set(proven);
            peer.idle.set(kib << 10);
            peer.stalled.set(Some(Duration::from_secs(since)));
            peer
        };
        let peers = [
            still(false, 100, 1),
            still(false, 146, 2),
            still(false, 10, 0),
            still(true, 400, 0),
        ];
        let ranks: Vec<_> = peers
            .iter()
            .filter_map(|peer| Still::of(peer, |peer| peer.idle.get()))
            .map(|still| still.rank())
            .collect();
        assert!(ranks.is_sorted(), "these are in the order in which they go");
        assert_eq!(ranks.len(), 4);
        peers[0].idle.set(0);
        peers[1].close("already");
        let left = peers.iter().filter_map(|peer| Still::of(peer, |peer| peer.idle.get()));
        assert_eq!(left.count(), 2, "nobody is closed for nothing, or twice");
    }
}
