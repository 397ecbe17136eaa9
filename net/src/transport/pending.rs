//! The calls of one connection that wait for their answer, by opaque (Java's `responseTable`).
//!
//! A call leaves the table when its answer comes, when its [`Ticket`] is dropped (time out, cancelled), or with all
//! others when the connection ends.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use foldhash::fast::FixedState;

use super::answer::Answer;
use super::call::CallError;

/// The calls that wait.
#[derive(Debug)]
pub(super) struct Pending {
    limit: usize,
    table: Mutex<Table>,
    /// How many answers have come from the peer.
    heard: AtomicU64,
    /// Whether it was the peer that ended the connection.
    is_peers_end: AtomicBool,
}

#[derive(Debug)]
struct Table {
    places: HashMap<i32, Place, FixedState>,
    /// How many of the places wait.
    waiting: usize,
    has_ended: bool,
    next_opaque: i32,
}

/// A call in the table. Its memory is the table's, which keeps it for the next one.
#[derive(Debug)]
enum Place {
    /// No answer yet, and who is to be woken by it.
    Waiting(Option<Waker>),
    /// Its answer, until the call takes it.
    Answered(Answer),
}

impl Pending {
    /// Makes a table for at most `limit` calls at a time.
    pub(super) fn new(limit: usize) -> Arc<Self> {
        let table = Table {
            places: HashMap::default(),
            waiting: 0,
            has_ended: false,
            next_opaque: 0,
        };
        Arc::new(Self {
            limit,
            table: Mutex::new(table),
            heard: AtomicU64::new(0),
            is_peers_end: AtomicBool::new(false),
        })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // each change is one step, so a panic elsewhere leaves nothing half done
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a call under an opaque of its own.
    pub(super) fn enter(&self) -> Result<Ticket<'_>, CallError> {
        let mut table = self.table();
        if table.has_ended {
            return Err(CallError::Closed);
        }
        if table.waiting >= self.limit {
            return Err(CallError::TooManyPending { limit: self.limit });
        }
        while table.places.contains_key(&table.next_opaque) {
            table.next_opaque = table.next_opaque.wrapping_add(1);
        }
        let opaque = table.next_opaque;
        table.next_opaque = opaque.wrapping_add(1);
        table.waiting += 1;
        table.places.insert(opaque, Place::Waiting(None));
        Ok(Ticket { pending: self, opaque })
    }

    /// An opaque for a request that waits for nothing.
    pub(super) fn opaque(&self) -> i32 {
        let mut table = self.table();
        let opaque = table.next_opaque;
        table.next_opaque = opaque.wrapping_add(1);
        opaque
    }

    /// Hands an answer to its call; false if none waits for it.
    pub(super) fn answer(&self, opaque: i32, answer: Answer) -> bool {
        let mut table = self.table();
        let Some(place @ Place::Waiting(_)) = table.places.get_mut(&opaque) else {
            return false;
        };
        let before = std::mem::replace(place, Place::Answered(answer));
        table.waiting -= 1;
        drop(table);
        if let Place::Waiting(Some(waker)) = before {
            waker.wake();
        }
        true
    }

    /// Fails all calls that have no answer yet, and those to come.
    pub(super) fn close(&self) {
        let mut wakers = Vec::new();
        let mut table = self.table();
        table.has_ended = true;
        for place in table.places.values_mut() {
            if let Place::Waiting(waker) = place {
                wakers.extend(waker.take());
            }
        }
        drop(table);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Whether calls to come fail.
    pub(super) fn is_closed(&self) -> bool {
        self.table().has_ended
    }

    /// Notes that an answer has come.
    pub(super) fn hear(&self) {
        self.heard.fetch_add(1, Ordering::Relaxed);
    }

    /// How many answers have come.
    pub(super) fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    /// Notes that the peer ended the connection, before the calls are told that it has ended.
    pub(super) fn note_peers_end(&self) {
        self.is_peers_end.store(true, Ordering::Release);
    }

    /// Whether it was the peer that ended the connection.
    pub(super) fn is_peers_end(&self) -> bool {
        self.is_peers_end.load(Ordering::Acquire)
    }

    /// How many calls wait.
    pub(super) fn len(&self) -> usize {
        let table = self.table();
        if table.has_ended { 0 } else { table.waiting }
    }
}

/// A call's place in the table.
#[derive(Debug)]
pub(super) struct Ticket<'a> {
    pending: &'a Pending,
    pub(super) opaque: i32,
}

impl Ticket<'_> {
    /// Waits for the answer.
    pub(super) async fn answer(&mut self) -> Result<Answer, CallError> {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&self, context: &Context<'_>) -> Poll<Result<Answer, CallError>> {
        let mut table = self.pending.table();
        let has_ended = table.has_ended;
        match table.places.get_mut(&self.opaque) {
            Some(Place::Waiting(waker)) if !has_ended => {
                match waker {
                    Some(waker) => waker.clone_from(context.waker()),
                    None => *waker = Some(context.waker().clone()),
                }
                return Poll::Pending;
            }
            Some(Place::Answered(_)) => {}
            Some(Place::Waiting(_)) | None => return Poll::Ready(Err(CallError::Lost)),
        }
        match table.places.remove(&self.opaque) {
            Some(Place::Answered(answer)) => Poll::Ready(Ok(answer)),
            _ => Poll::Ready(Err(CallError::Lost)),
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut table = self.pending.table();
        if let Some(Place::Waiting(_)) = table.places.remove(&self.opaque) {
            table.waiting -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::HeaderView;
    use bytes::{Bytes, BytesMut};

    fn answer() -> Answer {
        Answer::new(Bytes::new(), 0..0, &HeaderView::default(), &mut BytesMut::new())
    }

    #[test]
    fn a_call_leaves_when_its_ticket_is_dropped() {
        let pending = Pending::new(2);
        let (first, second) = (pending.enter().unwrap(), pending.enter().unwrap());
        assert!(matches!(pending.enter(), Err(CallError::TooManyPending { limit: 2 })));
        let late = first.opaque;
        drop(first);
        assert!(!pending.answer(late, answer()));
        assert!(pending.answer(second.opaque, answer()));
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
        let mut answered = pending.enter().unwrap();
        assert!(pending.answer(answered.opaque, answer()));
        pending.close();
        assert!(matches!(call.answer().await, Err(CallError::Lost)));
        assert!(answered.answer().await.is_ok(), "what came before the end counts");
        assert!(matches!(pending.enter(), Err(CallError::Closed)));
    }
}
