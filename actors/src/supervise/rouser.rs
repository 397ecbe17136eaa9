//! Tells whether one of an actor's spawned futures was woken, or only its mailbox.
//!
//! An actor is woken for each message, and mostly has timers that are not due. actix polls them all the same; here they are
//! polled when one of them asks for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

/// What the waker of the spawned futures does.
struct Bell {
    rung: AtomicBool,
    task: Waker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

/// The waker of an actor's spawned futures.
pub(super) struct Rouser {
    bell: Arc<Bell>,
    waker: Waker,
}

impl Rouser {
    /// One that wakes this task, and whose futures have not been polled with it yet.
    fn new(task: &Waker) -> Self {
        let bell = Arc::new(Bell {
            rung: AtomicBool::new(true),
            task: task.clone(),
        });
        let waker = Waker::from(Arc::clone(&bell));
        Self { bell, waker }
    }

    /// That of the task which is polled now: the one that is there, unless it wakes another task.
    pub(super) fn of<'a>(rouser: &'a mut Option<Self>, task: &Waker) -> &'a Self {
        if rouser.as_ref().is_some_and(|rouser| !rouser.bell.task.will_wake(task)) {
            *rouser = None;
        }
        rouser.get_or_insert_with(|| Self::new(task))
    }

    /// Whether a future was woken since the last time that this was asked.
    pub(super) fn was_woken(&self) -> bool {
        self.bell.rung.load(Ordering::Acquire) && self.bell.rung.swap(false, Ordering::AcqRel)
    }

    /// What the futures are polled with.
    pub(super) fn waker(&self) -> &Waker {
        &self.waker
    }
}

#[cfg(test)]
mod tests {
    use futures_util::task::noop_waker;

    use super::*;

    #[test]
    fn a_woken_future_is_told_once_and_another_task_polls_them_all_anew() {
        let task = Arc::new(Bell {
            rung: AtomicBool::new(false),
            task: noop_waker(),
        });
        let mut rouser = None;
        let first = Rouser::of(&mut rouser, &Waker::from(Arc::clone(&task)));
        assert!(first.was_woken(), "nobody has polled them yet");
        assert!(!first.was_woken());
        let kept = first.waker().clone();
        kept.wake_by_ref();
        assert!(task.rung.load(Ordering::Acquire), "the task is woken");
        let again = Rouser::of(&mut rouser, &Waker::from(task));
        assert!(again.was_woken() && !again.was_woken());
        let other = Rouser::of(&mut rouser, &noop_waker());
        kept.wake_by_ref();
        assert!(other.was_woken() && !other.was_woken());
    }
}
