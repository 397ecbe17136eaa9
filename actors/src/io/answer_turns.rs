//! The longer answers of one connection: one is made at a time, and the next when its client has taken it, so that many small
//! requests cannot make the broker hold as many long answers.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::outbox::Outbox;

/// Who has the turn, in the order in which they asked.
#[derive(Debug)]
pub struct AnswerTurns {
    turn: Semaphore,
    /// Whoever has the turn waits for the client.
    waits: RefCell<Option<Waker>>,
    /// The connection has ended.
    ended: Cell<bool>,
}

impl Default for AnswerTurns {
    fn default() -> Self {
        Self {
            turn: Semaphore::new(1),
            waits: RefCell::default(),
            ended: Cell::new(false),
        }
    }
}

impl AnswerTurns {
    /// Waits for the turn, and until the client has taken what it was given. `None` when the connection ends before that.
    pub async fn next(&self, outbox: &RefCell<Outbox>) -> Option<SemaphorePermit<'_>> {
        let turn = self.turn.acquire().await.ok()?;
        self.room(outbox).await.then_some(turn)
    }

    /// Waits until the client has taken what it was given; false when the connection ends before that. For whoever has the
    /// turn.
    pub async fn room(&self, outbox: &RefCell<Outbox>) -> bool {
        poll_fn(|cx| {
            if self.ended.get() || !outbox.borrow().is_full() {
                return Poll::Ready(!self.ended.get());
            }
            self.waits.replace(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await
    }

    /// The client has taken something.
    pub fn taken(&self, outbox: &Outbox) {
        if !outbox.is_full() {
            self.wake();
        }
    }

    /// The connection has ended.
    pub fn end(&self) {
        self.ended.set(true);
        self.turn.close();
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.waits.take() {
            waker.wake();
        }
    }
}
