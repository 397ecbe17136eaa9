//! The calls of one connection that wait for their answer, by opaque (Java's `responseTable`).
//!
//! A call leaves the table when its answer comes, when its [`Ticket`] is dropped (time out, cancelled), or with all
//! others when the connection ends.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::FixedState;
use tokio::sync::oneshot;

use super::call::CallError;
use crate::command::Command;

/// The calls that wait.
#[derive(Debug)]
pub(super) struct Pending {
    limit: usize,
    table: Mutex<Table>,
    /// How many frames have come from the peer.
    heard: AtomicU64,
    is_closed: AtomicBool,
}

#[derive(Debug)]
struct Table {
    /// `None` once the connection has ended.
    waiting: Option<HashMap<i32, oneshot::Sender<Command>, FixedState>>,
    next_opaque: i32,
}

impl Pending {
    /// Makes a table for at most `limit` calls at a time.
    pub(super) fn new(limit: usize) -> Arc<Self> {
        let table = Table {
            waiting: Some(HashMap::default()),
            next_opaque: 0,
        };
        Arc::new(Self {
            limit,
            table: Mutex::new(table),
            heard: AtomicU64::new(0),
            is_closed: AtomicBool::new(false),
        })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // each change is one step, so a panic elsewhere leaves nothing half done
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a call under an opaque of its own.
    pub(super) fn enter(self: &Arc<Self>) -> Result<Ticket, CallError> {
        let (sender, answer) = oneshot::channel();
        let mut table = self.table();
        let Table { waiting, next_opaque } = &mut *table;
        let waiting = waiting.as_mut().ok_or(CallError::Closed)?;
        if waiting.len() >= self.limit {
            return Err(CallError::TooManyPending { limit: self.limit });
        }
        while waiting.contains_key(next_opaque) {
            *next_opaque = next_opaque.wrapping_add(1);
        }
        let opaque = *next_opaque;
        *next_opaque = opaque.wrapping_add(1);
        waiting.insert(opaque, sender);
        Ok(Ticket {
            pending: Arc::clone(self),
            opaque,
            answer,
        })
    }

    /// An opaque for a request that waits for nothing.
    pub(super) fn opaque(&self) -> i32 {
        let mut table = self.table();
        let opaque = table.next_opaque;
        table.next_opaque = opaque.wrapping_add(1);
        opaque
    }

    /// Hands an answer to its call; false if none waits for it.
    pub(super) fn answer(&self, answer: Command) -> bool {
        let sender = self
            .table()
            .waiting
            .as_mut()
            .and_then(|waiting| waiting.remove(&answer.opaque));
        sender.is_some_and(|sender| sender.send(answer).is_ok())
    }

    /// Fails all calls, and those to come.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.table().waiting = None;
    }

    /// Whether calls to come fail.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// Notes that a frame has come.
    pub(super) fn hear(&self) {
        self.heard.fetch_add(1, Ordering::Relaxed);
    }

    /// How many frames have come.
    pub(super) fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    /// How many calls wait.
    pub(super) fn len(&self) -> usize {
        self.table().waiting.as_ref().map_or(0, HashMap::len)
    }
}

/// A call's place in the table.
#[derive(Debug)]
pub(super) struct Ticket {
    pending: Arc<Pending>,
    pub(super) opaque: i32,
    answer: oneshot::Receiver<Command>,
}

impl Ticket {
    /// Waits for the answer.
    pub(super) async fn answer(&mut self) -> Result<Command, CallError> {
        (&mut self.answer).await.map_err(|_| CallError::Lost)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(waiting) = &mut self.pending.table().waiting {
            waiting.remove(&self.opaque);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::RequestCode;

    fn answer(opaque: i32) -> Command {
        let mut command = Command::request(RequestCode(0));
        (command.opaque, command.flag) = (opaque, crate::header::FLAG_RESPONSE);
        command
    }

    #[test]
    fn a_call_leaves_when_its_ticket_is_dropped() {
        let pending = Pending::new(2);
        let (first, second) = (pending.enter().unwrap(), pending.enter().unwrap());
        assert!(matches!(pending.enter(), Err(CallError::TooManyPending { limit: 2 })));
        let late = first.opaque;
        drop(first);
        assert!(!pending.answer(answer(late)));
        assert!(pending.answer(answer(second.opaque)));
        assert_eq!(pending.len(), 0);
    }

    #[test]
    fn an_opaque_in_use_is_passed_over() {
        let pending = Pending::new(9);
        let first = pending.enter().unwrap();
        pending.table().next_opaque = first.opaque;
        assert_ne!(pending.enter().unwrap().opaque, first.opaque);
        pending.table().next_opaque = i32::MAX;
        assert_eq!(pending.enter().unwrap().opaque, i32::MAX);
        assert_eq!(pending.opaque(), i32::MIN);
    }

    #[tokio::test]
    async fn the_end_fails_all_calls_and_those_to_come() {
        let pending = Pending::new(9);
        let mut call = pending.enter().unwrap();
        pending.close();
        assert!(matches!(call.answer().await, Err(CallError::Lost)));
        assert!(matches!(pending.enter(), Err(CallError::Closed)));
    }
}
