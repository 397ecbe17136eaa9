//! What the broker asks clients on their own connections (221, 307, 309, 326), and who waits for the answers.
//!
//! Each I/O thread has one table, for its own connections. An answer names its question by a number alone, so the broker
//! counts from [`FIRST_OPAQUE`] on: a client's own requests, which it counts from 0 on, never have such a number at the same
//! time, and a client that mixes up the two directions takes nothing of ours for an answer of its own.
//!
//! A question ends with its answer, its deadline, its connection or whoever waits for it, whichever comes first, and leaves
//! nothing behind.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use cuemq_net::command::Command;
use cuemq_net::frame::HeaderCodec;
use cuemq_net::header::HeaderView;
use tokio::sync::oneshot;

use super::egress::AskClient;
use super::outbox::BUFFERED_MAX;
use super::state::IoState;
use crate::peer::PeerKey;

/// The number of a thread's first question; the others count on from there and begin here again.
pub const FIRST_OPAQUE: i32 = 1 << 30;
/// The most questions of one thread that wait for their answers.
pub const QUESTIONS_MAX: usize = 1024;

/// Why a question has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// Nothing came in time.
    #[error("no answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// The connection is not there, or has ended meanwhile.
    #[error("its connection has ended")]
    Gone,
    /// The client does not take what is there for it already.
    #[error("it takes nothing of what waits for it")]
    Stalled,
    /// Too many questions wait.
    #[error("{QUESTIONS_MAX} other questions wait for their answers: ask again")]
    TooMany,
    /// The question is longer than a frame.
    #[error("the question is longer than a frame may be")]
    TooLong,
    /// The answer came, and too many bytes of others wait for those who asked for them.
    #[error("there is no room for its answer: ask again")]
    NoRoom,
}

type Waiter = oneshot::Sender<Result<Command, Unanswered>>;

/// The questions of one I/O thread.
#[derive(Debug, Default)]
pub struct Questions {
    waiting: RefCell<BTreeMap<(PeerKey, i32), Waiter>>,
    asked: Cell<i32>,
}

/// A question that waits; dropped, it is forgotten.
struct Question<'a> {
    questions: &'a Questions,
    key: (PeerKey, i32),
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        self.questions.waiting.borrow_mut().remove(&self.key);
    }
}

impl Questions {
    /// Whether somebody waits for the answer with this number from this connection.
    #[must_use]
    pub fn waits_for(&self, peer: PeerKey, opaque: i32) -> bool {
        self.waiting.borrow().contains_key(&(peer, opaque))
    }

    /// Ends all questions to a connection: it has ended.
    pub fn gone(&self, peer: PeerKey) {
        let mut waiting = self.waiting.borrow_mut();
        let of_peer = (peer, i32::MIN)..=(peer, i32::MAX);
        let keys: Vec<_> = waiting.range(of_peer).map(|(key, _)| *key).collect();
        for key in keys {
            waiting.remove(&key);
        }
    }

    /// Ends all questions.
    pub fn end(&self) {
        self.waiting.borrow_mut().clear();
    }

    /// Ends a question without the answer that is arriving: there is no room for it.
    pub fn refuse_answer(&self, peer: PeerKey, opaque: i32) {
        self.settle(peer, opaque, Err(Unanswered::NoRoom));
    }

    fn put(&self, peer: PeerKey, waiter: Waiter) -> Result<Question<'_>, Unanswered> {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() >= QUESTIONS_MAX {
            return Err(Unanswered::TooMany);
        }
        let number = self.asked.get();
        self.asked.set(number.wrapping_add(1) & (FIRST_OPAQUE - 1));
        let key = (peer, FIRST_OPAQUE | number);
        waiting.insert(key, waiter);
        Ok(Question { questions: self, key })
    }

    /// Gives an outcome to whoever waits for it; whether somebody did.
    fn settle(&self, peer: PeerKey, opaque: i32, outcome: Result<Command, Unanswered>) -> bool {
        let waiter = self.waiting.borrow_mut().remove(&(peer, opaque));
        waiter.is_some_and(|waiter| waiter.send(outcome).is_ok())
    }
}

/// Asks a client of this thread, and waits for its answer.
///
/// # Errors
/// Why there is none.
pub async fn ask(io: &IoState, ask: AskClient) -> Result<Command, Unanswered> {
    let peer = io.peers.borrow().get(ask.peer).cloned().ok_or(Unanswered::Gone)?;
    if io.stopping.get() {
        return Err(Unanswered::Gone);
    }
    if peer.outbox.borrow().is_full() {
        return Err(Unanswered::Stalled);
    }
    let (waiter, answer) = oneshot::channel();
    let question = io.questions.put(ask.peer, waiter)?;
    let command = Command {
        opaque: question.key.1,
        ..ask.command
    };
    let written = peer.outbox.borrow_mut().append(|out| command.encode(out));
    written.map_err(|_| Unanswered::TooLong)?;
    drop(command);
    peer.wake();
    drop(peer);
    match tokio::time::timeout(ask.patience, answer).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(Unanswered::Gone),
        Err(_) => Err(Unanswered::TimedOut(ask.patience)),
    }
}

/// Takes a client's answer; one that nobody waits for is passed over.
pub fn answered(io: &IoState, peer: PeerKey, view: &HeaderView<'_>, body: &[u8]) {
    let (code, opaque) = (view.code, view.opaque);
    if !io.questions.waits_for(peer, opaque) {
        return tracing::debug!(?peer, code, opaque, "an answer that nobody waits for");
    }
    if body.len() > BUFFERED_MAX && io.budgets.answers.is_spent() {
        return io.questions.refuse_answer(peer, opaque);
    }
    let answer = Command::from_view(HeaderCodec::default(), view, Bytes::copy_from_slice(body));
    io.questions.settle(peer, opaque, Ok(answer));
}
