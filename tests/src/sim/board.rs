//! What the members of the group know, for the test to see whether they agree and have read everything.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::body::Queue;

/// The board.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// Whom each member that is there takes for its group.
    views: RefCell<BTreeMap<u16, Vec<String>>>,
    /// Where a queue's consumer goes on, and where the queue ended then.
    reached: RefCell<BTreeMap<Queue, (u64, u64)>>,
}

impl Board {
    /// A member knows who is in its group, and has divided the queues accordingly.
    pub(super) fn show(&self, member: u16, view: Vec<String>) {
        self.views.borrow_mut().insert(member, view);
    }

    /// A member is not there.
    pub(super) fn forget(&self, member: u16) {
        self.views.borrow_mut().remove(&member);
    }

    /// A queue's consumer has come to `next` in a queue that ends at `end`.
    pub(super) fn reached(&self, queue: Queue, next: u64, end: u64) {
        self.reached.borrow_mut().insert(queue, (next, end));
    }

    /// Begins to look at what is reached from now on.
    pub(super) fn look_anew(&self) {
        self.reached.borrow_mut().clear();
    }

    /// Whether these members are there and take each other for their group, and every queue was read to its end.
    pub(super) fn is_settled(&self, members: &[String]) -> bool {
        let (views, reached) = (self.views.borrow(), self.reached.borrow());
        let agree = views.len() == members.len() && views.values().all(|view| view == members);
        agree && Queue::all().all(|queue| reached.get(&queue).is_some_and(|(next, end)| next == end))
    }
}
