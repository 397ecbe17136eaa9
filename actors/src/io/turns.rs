//! Who goes first on an I/O thread.
//!
//! Its tasks have their turns in the order in which they became ready. Two thousand connections that come within a moment and
//! ask would let a send wait for all of them, at each of its steps. So a connection goes at once whose client sends messages,
//! has shown that it takes its answers, or stayed for a second and left none; of all others a few have their turn, then
//! everybody else who is ready, then a few.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use super::peer_table::Peer;
use super::state::IoState;

/// So many of the others have a turn before everybody else has one: what they ask for takes as long as some ten sends each.
const AT_ONCE: usize = 4;

/// Where a connection is in the line of those who do not go first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// It wants none.
    #[default]
    Outside,
    /// It waits for one.
    Waiting,
    /// It is called for one.
    Called,
}

/// Those of a thread who do not go first.
#[derive(Debug, Default)]
pub struct Turns {
    waiting: RefCell<VecDeque<Rc<Peer>>>,
    /// How many had a turn since everybody else had one.
    had: Cell<usize>,
    /// A task gives turns.
    gives: Cell<bool>,
}

impl Turns {
    /// Whether it is the turn of a connection that does not go first. It is woken when it is, otherwise.
    fn admits(&self, peer: &Rc<Peer>) -> bool {
        match peer.place.get() {
            Place::Called => {
                peer.place.set(Place::Outside);
                true
            }
            Place::Waiting => false,
            Place::Outside if self.had.get() < AT_ONCE => {
                self.had.set(self.had.get() + 1);
                true
            }
            Place::Outside => {
                peer.place.set(Place::Waiting);
                self.waiting.borrow_mut().push_back(Rc::clone(peer));
                false
            }
        }
    }

    /// Gives the next ones their turn; whether there is something to come back for.
    fn give(&self) -> bool {
        let mut waiting = self.waiting.borrow_mut();
        let mut given = 0;
        while given < AT_ONCE
            && let Some(peer) = waiting.pop_front()
        {
            // One that has ended meanwhile waits no longer.
            if peer.place.get() == Place::Waiting {
                peer.place.set(Place::Called);
                peer.wake();
                given += 1;
            }
        }
        self.had.set(given);
        given > 0
    }
}

/// Whether a connection that does not go first has its turn now. It is woken when it is, otherwise.
pub(super) fn admits(io: &Rc<IoState>, peer: &Rc<Peer>) -> bool {
    let admitted = io.turns.admits(peer);
    if !io.turns.gives.replace(true) {
        let io = Rc::clone(io);
        drop(actix_rt::spawn(async move {
            // It comes back when everybody else who is ready has had a turn, and the sockets were looked at.
            tokio::task::yield_now().await;
            while io.turns.give() {
                tokio::task::yield_now().await;
            }
            io.turns.gives.set(false);
        }));
    }
    admitted
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::io::peer_table::PeerTable;

    fn peers(number: usize) -> Vec<Rc<Peer>> {
        let mut table = PeerTable::new(0, Arc::default());
        let remote = (Ipv4Addr::LOCALHOST, 5).into();
        (0..number).map(|_| table.insert(remote, Duration::ZERO)).collect()
    }

    #[test]
    fn a_few_have_their_turn_and_the_rest_in_the_order_in_which_they_came() {
        let (turns, peers) = (Turns::default(), peers(2 * AT_ONCE + 1));
        let admitted = |range: std::ops::Range<usize>| {
            let peers = peers.get(range).unwrap();
            peers.iter().filter(|peer| turns.admits(peer)).count()
        };
        assert_eq!(admitted(0..2 * AT_ONCE + 1), AT_ONCE);
        assert_eq!(admitted(AT_ONCE..2 * AT_ONCE + 1), 0, "it is not their turn");
        assert!(turns.give());
        assert_eq!(admitted(2 * AT_ONCE..2 * AT_ONCE + 1), 0, "others came first");
        assert_eq!(admitted(AT_ONCE..2 * AT_ONCE), AT_ONCE);
        assert_eq!(admitted(0..1), 0, "these were the turns");
        assert!(turns.give());
        assert_eq!((admitted(0..1), admitted(2 * AT_ONCE..2 * AT_ONCE + 1)), (1, 1));
        assert!(!turns.give(), "nobody waits");
        assert_eq!(admitted(0..AT_ONCE), AT_ONCE);
    }

    #[test]
    fn one_that_has_ended_takes_nobodys_turn() {
        let (turns, peers) = (Turns::default(), peers(2 * AT_ONCE + 1));
        for peer in &peers {
            turns.admits(peer);
        }
        peers[AT_ONCE].place.set(Place::Outside);
        assert!(turns.give());
        assert!(peers.iter().skip(AT_ONCE + 1).all(|peer| turns.admits(peer)));
    }
}
