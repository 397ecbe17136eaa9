//! What goes to the commit log with a batch of sends and comes back with its outcome.

use std::time::Duration;

use actix::Recipient;
use cuemq_net::code::RequestCode;
use cuemq_net::frame::HeaderCodec;
use cuemq_storage::commit_log::{Answer, RecordBatch};
use cuemq_storage::log_state::Outcome;
use tokio::sync::oneshot;

use super::egress::Lost;
use crate::peer::PeerKey;
use crate::traffic::Bringing;

/// One send request that waits for its answer.
#[derive(Clone, Copy, Debug)]
pub struct SendReply {
    /// The request's number.
    pub opaque: i32,
    /// What was asked.
    pub request: RequestCode,
    /// The encoding of its header, which the answer takes too.
    pub codec: HeaderCodec,
    /// Whether its sender forbids an answer.
    pub oneway: bool,
    /// The queue.
    pub queue_id: i32,
    /// Its first record in the batch.
    pub first: u32,
    /// How many records it has; more than one for a batch message.
    pub records: u32,
}

/// The senders of a batch: all on one connection.
#[derive(Debug)]
pub struct SendContext {
    /// The connection.
    pub peer: PeerKey,
    /// The requests, in the order of their records.
    pub replies: Vec<SendReply>,
    /// By what those of them are recalled whose message waits for its time, by the numbers of the requests.
    pub handles: Vec<(i32, String)>,
    /// What the batch takes of the budgets, in bytes: nothing before it is handed to the log.
    pub bytes: usize,
    /// Where it was when.
    pub times: SendTimes,
    /// What it brings to its topics.
    pub brings: Bringing,
    /// Hears of it when the batch is dropped without an outcome, as by a panic on its way.
    lost: Option<Recipient<Lost>>,
    /// Takes the batch back with its outcome where the broker itself waits for it, and no connection.
    done: Option<Done>,
}

/// The way back to the part of the broker that has something appended; it is dropped when the batch is lost on its way.
pub type Done = oneshot::Sender<Answer<SendContext>>;

/// When a batch was where, by the monotonic clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SendTimes {
    /// Its first request was read.
    pub read: Duration,
    /// The commit log took it.
    pub taken: Duration,
    /// The commit log gave it back, safe or not.
    pub released: Duration,
    /// How long the last flush took that had ended then.
    pub flush: Duration,
}

/// The sends of one connection on their way through the log.
pub type SendBatch = Box<RecordBatch<SendContext>>;

impl SendContext {
    /// The senders of a batch that begins now.
    #[must_use]
    pub fn new(peer: PeerKey, lost: Recipient<Lost>) -> Self {
        Self {
            peer,
            replies: Vec::new(),
            handles: Vec::new(),
            bytes: 0,
            times: SendTimes::default(),
            brings: Bringing::default(),
            lost: Some(lost),
            done: None,
        }
    }

    /// A batch of the broker's own, for which no connection waits.
    #[must_use]
    pub fn of_broker() -> Self {
        Self {
            peer: PeerKey::NOBODY,
            replies: Vec::new(),
            handles: Vec::new(),
            bytes: 0,
            times: SendTimes::default(),
            brings: Bringing::default(),
            lost: None,
            done: None,
        }
    }

    /// Who takes the batch back.
    pub fn return_to(&mut self, done: Done) {
        self.done = Some(done);
    }

    /// Whether the broker itself waits for it, and no connection.
    #[must_use]
    pub fn is_of_broker(&self) -> bool {
        self.done.is_some()
    }

    /// Who takes the batch back, unless it is a connection.
    pub fn take_done(&mut self) -> Option<Done> {
        self.done.take()
    }

    /// Begins anew with the memory of a batch that was answered.
    pub fn reopen(&mut self, peer: PeerKey, lost: Recipient<Lost>) {
        self.replies.clear();
        self.handles.clear();
        self.brings.clear();
        (self.peer, self.bytes, self.lost, self.done) = (peer, 0, Some(lost), None);
    }

    /// The outcome is known and will be told.
    pub fn settle(&mut self) {
        self.lost = None;
    }
}

impl Drop for SendContext {
    #[expect(
        clippy::disallowed_methods,
        reason = "one message for each batch, bounded by the budget of its bytes"
    )]
    fn drop(&mut self) {
        if let Some(lost) = self.lost.take() {
            let replies = std::mem::take(&mut self.replies);
            lost.do_send(Lost {
                peer: self.peer,
                read: self.times.read,
                sends: self.brings.sends,
                replies,
                bytes: self.bytes,
                outcome: Outcome::Unknown,
            });
        }
    }
}
