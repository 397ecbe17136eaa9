//! The sends of one connection that the log has no room for: batches that its mailbox did not take, and behind them whole
//! frames, in the order in which they came. Requests of other kinds pass them by.
//!
//! A connection holds so many of them and is not read any more then, so that its client feels TCP's back-pressure. When
//! nothing moved for [`PATIENCE`], they are answered with SYSTEM_BUSY and its cause, and so are the next ones, until there
//! is room again: clients of 4.x throw that code to the application, so it comes late.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use cuemq_net::code::ResponseCode;
use cuemq_net::header::HeaderScratch;
use tokio::time::{Sleep, sleep};

use super::Connection;
use super::request::{Request, reply_to};
use super::window::SHARED;
use crate::commit_log::AppendBatch;
use crate::io::budget::Budget;
use crate::io::peer_table::HeldFrame;

/// Bytes of frames that one connection may hold back.
const PARKED_MAX: usize = 1 << 20;
/// How long TCP's back-pressure lasts before a sender is told that the broker is busy: a quarter of a client's 3 s.
const PATIENCE: Duration = Duration::from_millis(750);
/// How often a connection that waits looks whether other threads have made room: that wakes nobody here.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// What a sender is told when the commit log's actor has ended.
pub(super) const GONE: &str = "service not available now: the commit log has failed for good, and nothing is accepted \
                               until the broker is restarted; see its log";

/// Sends that wait, and since when.
#[derive(Default)]
pub(super) struct ParkedSends {
    /// What the log's mailbox had no room for. It is counted as being in the log already.
    batches: VecDeque<AppendBatch>,
    frames: VecDeque<HeldFrame>,
    /// Bytes of `frames`.
    bytes: usize,
    /// Since when nothing has moved.
    since: Option<Duration>,
    /// Patience has ended: sends that find no room are refused.
    busy: bool,
    look_again: Option<Pin<Box<Sleep>>>,
}

impl ParkedSends {
    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty() && self.frames.is_empty()
    }

    pub(super) fn has_batches(&self) -> bool {
        !self.batches.is_empty()
    }

    pub(super) fn is_busy(&self) -> bool {
        self.busy
    }

    /// Whether the connection is not read while this lasts.
    pub(super) fn is_full(&self, waiting: &Budget) -> bool {
        self.bytes >= PARKED_MAX || !self.is_empty() && waiting.is_spent()
    }

    pub(super) fn keep(&mut self, append: AppendBatch) {
        self.batches.push_back(append);
    }

    fn next_frame(&mut self) -> Option<HeldFrame> {
        let held = self.frames.pop_front()?;
        self.bytes -= held.bytes().len();
        Some(held)
    }

    fn moved(&mut self) {
        (self.since, self.busy) = (None, false);
    }
}

/// The remark of a SYSTEM_BUSY, which begins as Java's does.
pub(super) fn overload(cause: &str) -> String {
    format!("[OVERLOAD]system busy, start flow control for a while: {cause}")
}

impl Connection {
    /// Whether the log may be given more of this connection.
    pub(super) fn has_room(&mut self) -> bool {
        let (own, log) = (self.peer.in_flight.get(), &self.io.budgets.log);
        if own > SHARED {
            self.window.look_round(own, log.used(), self.io.clock.monotonic());
        }
        own <= self.window.bytes() && !log.is_spent()
    }

    /// Holds a send back, or refuses it where patience or memory has ended.
    #[cold]
    pub(super) fn park(&mut self, request: Request<'_, '_>) {
        if self.parked.busy || self.io.budgets.waiting.is_spent() {
            return self.refuse_request(&request, ResponseCode::SYSTEM_BUSY, &self.cause());
        }
        let held = self.hold(&request);
        self.parked.bytes += held.bytes().len();
        self.parked.frames.push_back(held);
    }

    /// Hands on what waits, as far as there is room now.
    pub(super) fn hand_on(&mut self) {
        if self.parked.is_empty() {
            return;
        }
        let batches = std::mem::take(&mut self.parked.batches);
        let before = batches.len();
        for append in batches {
            self.append(append);
        }
        if self.parked.batches.len() < before {
            self.parked.moved();
        }
        while !self.parked.has_batches() && self.has_room() {
            let Some(held) = self.parked.next_frame() else { break };
            self.again(&held, true);
            self.parked.moved();
        }
        self.submit(true);
    }

    /// Sees to it that the task runs again when there may be room. True when patience has ended: then there is more to do.
    pub(super) fn wait_for_room(&mut self, cx: &mut Context<'_>) -> bool {
        let waits = !self.parked.is_empty() || self.arriving_waits();
        if !waits && (!self.parked.busy || self.has_room() && !self.io.budgets.waiting.is_spent()) {
            (self.parked.since, self.parked.look_again, self.parked.busy) = (None, None, false);
            return false;
        }
        let now = self.io.clock.monotonic();
        self.window.observe(self.peer.answered.get(), now);
        let since = *self.parked.since.get_or_insert(now);
        let ended = waits && now.saturating_sub(since) > PATIENCE;
        if ended {
            self.refuse_parked();
            self.parked.busy = true;
        }
        self.io.hold_back(&self.peer);
        let pause = self
            .parked
            .look_again
            .get_or_insert_with(|| Box::pin(sleep(LOOK_AGAIN)));
        while pause.as_mut().poll(cx).is_ready() {
            pause.set(sleep(LOOK_AGAIN));
        }
        ended
    }

    fn refuse_parked(&mut self) {
        let cause = self.cause();
        for append in std::mem::take(&mut self.parked.batches) {
            self.refuse_batch(append, ResponseCode::SYSTEM_BUSY, &cause);
        }
        let mut scratch = HeaderScratch::new();
        while let Some(held) = self.parked.next_frame() {
            if let Some((view, frame)) = held.read(&mut scratch) {
                let busy = (ResponseCode::SYSTEM_BUSY, &*cause);
                self.refuse(&reply_to(&view, frame.codec), held.read_at, busy);
            }
        }
    }

    /// Why sends wait, measured.
    pub(super) fn cause(&self) -> String {
        let own = self.peer.in_flight.get();
        overload(&if self.parked.has_batches() {
            "the commit log's mailbox is full".to_owned()
        } else if own > self.window.bytes() {
            format!("{own} bytes of this connection's sends are under way")
        } else if self.io.budgets.log.is_spent() {
            format!("{} bytes of sends are under way", self.io.budgets.log.used())
        } else {
            format!("{} bytes of sends wait", self.io.budgets.waiting.used())
        })
    }
}
