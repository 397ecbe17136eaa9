//! Holds what was said during a history against what is there at its end.
//!
//! | module | promises |
//! |---|---|
//! | `log` | acknowledged messages are there, once, in their places and in order; queues have no hole |
//! | `reads` | what was read stays; consumers meet every position in turn; a group reads everything |
//! | `offsets` | consumer offsets lie within their queues and go back only where it is documented |
//! | `later` | what is delayed comes, and not before its time; what is committed comes, and nothing else of transactions |
//! | `notices` | who is in a group hears of those who come and go |
//! | `timeline` | what a power loss excuses: nothing that was flushed, and under async flush the newest messages |

pub(super) mod later;
mod log;
mod notices;
mod offsets;
mod reads;
#[cfg(test)]
mod stage;
mod timeline;

use std::fmt;
use std::time::Duration;

use cuemq_storage::log_state::FlushMode;

use super::apps::AppGroup;
use super::body::{Content, Message, Queue};
use super::history::{FinalLog, Moment, Stored};
use super::later::Waiting;

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// An acknowledged message is not where the acknowledgement said.
    Lost {
        /// The queue.
        queue: Queue,
        /// The position that was acknowledged.
        queue_offset: u64,
        /// The message.
        message: Message,
        /// What is there.
        found: Option<Content>,
    },
    /// A message is there more than once.
    Duplicated(Message),
    /// A message that was sent after another one was acknowledged lies before it.
    Reordered {
        /// The queue.
        queue: Queue,
        /// What was acknowledged first.
        earlier: Message,
        /// What was sent then.
        later: Message,
    },
    /// A consumer got something that is not there in the end: it was not durable, or it changed.
    UndurableRead {
        /// The consumer.
        consumer: u16,
        /// The queue.
        queue: Queue,
        /// The position.
        queue_offset: u64,
        /// What it got.
        read: Content,
        /// What is there.
        found: Option<Content>,
    },
    /// A consumer did not get the position that was next.
    Skipped {
        /// The consumer.
        consumer: u16,
        /// The queue.
        queue: Queue,
        /// What was next.
        expected: u64,
        /// What it got, or was told to go on with.
        got: u64,
    },
    /// A message in the end is not what anybody sent.
    Torn {
        /// The queue.
        queue: Queue,
        /// The position.
        queue_offset: u64,
        /// What is there.
        found: Content,
    },
    /// The positions of a queue do not follow each other, or those in the commit log or the times go back.
    Hole {
        /// The queue.
        queue: Queue,
        /// The position that should be there.
        expected: u64,
        /// What is there.
        got: Stored,
    },
    /// A message is there though the broker refused it, or that nobody sent to this queue.
    Uninvited {
        /// The queue.
        queue: Queue,
        /// The message.
        message: Message,
    },
    /// A power loss took an acknowledged message and left one that was sent after that.
    Overtaken {
        /// What was acknowledged first, and is gone.
        lost: Message,
        /// What was sent then, and is there.
        kept: Message,
    },
    /// No member of the group that shares the queues has read a message.
    Unread {
        /// The queue.
        queue: Queue,
        /// The position.
        queue_offset: u64,
        /// What is there.
        message: Message,
    },
    /// A group goes on before what it had committed long ago.
    Rewound {
        /// The consumer.
        consumer: u16,
        /// The queue.
        queue: Queue,
        /// What was committed.
        committed: u64,
        /// Where the broker says that it goes on.
        found: u64,
    },
    /// A group goes on beyond the end of its queue.
    BeyondEnd {
        /// The consumer.
        consumer: u16,
        /// The queue.
        queue: Queue,
        /// Where the broker says that it goes on.
        consumer_offset: u64,
        /// The queue's end.
        queue_end: u64,
    },
    /// A member of a group was not told that another one has come or gone.
    Unnoticed {
        /// The member.
        member: u16,
        /// The other one.
        by: u16,
    },
    /// A message that is due, or whose transaction is committed, has not come.
    NeverCame(Waiting),
    /// A message has come whose transaction is not committed.
    NotCommitted(Waiting),
    /// A delayed message has come before its time.
    Early {
        /// The message.
        waiting: Waiting,
        /// By so many milliseconds.
        by_ms: u64,
    },
    /// A group of applications has not consumed a message.
    Unconsumed {
        /// The group.
        group: AppGroup,
        /// The message.
        message: Message,
    },
    /// Two orderly listeners had a queue at a time.
    Overlapping {
        /// The queue.
        queue: Queue,
        /// The hosts of the applications.
        hosts: (u16, u16),
        /// For so many milliseconds.
        by_ms: u64,
    },
    /// Tasks ran on after everything was shut down.
    TasksLeft {
        /// The host.
        host: String,
        /// How many.
        tasks: usize,
    },
    /// Something did not come about that should after a fault was repaired.
    Silent(String),
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self:?}")
    }
}

/// What a broker promises.
#[derive(Clone, Copy, Debug)]
pub struct Promised {
    /// When it acknowledges.
    pub flush: FlushMode,
    /// How old a message becomes at least; `None` where none is ever deleted.
    pub age: Option<Duration>,
}

impl Promised {
    /// Whether a message that was acknowledged then may be deleted, with all that lie before it.
    fn may_delete(self, acknowledged_ms: u64, moments: &[Moment]) -> bool {
        let end_ms = moments.last().map_or(0, |moment| moment.at_ms);
        self.age.is_some_and(|age| {
            u128::from(end_ms.saturating_sub(acknowledged_ms)) + u128::from(SLACK_MS) >= age.as_millis()
        })
    }
}

/// How much later than it was stored a message is acknowledged, while the disk is well.
const SLACK_MS: u64 = 100;

/// All promises that a history breaks.
#[must_use]
pub fn check(promised: Promised, moments: &[Moment], last: &FinalLog) -> Vec<Violation> {
    let (flush, mut violations) = (promised.flush, Vec::new());
    log::check(promised, moments, last, &mut violations);
    reads::check(promised, moments, last, &mut violations);
    reads::check_group(moments, last, &mut violations);
    offsets::check(flush, moments, &mut violations);
    notices::check(moments, &mut violations);
    violations
}

/// The promises about messages that a history breaks, whoever consumes them.
pub(super) fn check_messages(promised: Promised, moments: &[Moment], last: &FinalLog) -> Vec<Violation> {
    let mut violations = Vec::new();
    log::check(promised, moments, last, &mut violations);
    violations
}

/// What is at a position of a queue in the end.
fn at(last: &FinalLog, queue: Queue, queue_offset: u64) -> Option<&Content> {
    let index = usize::try_from(queue_offset.checked_sub(beginning(last, queue))?).ok()?;
    Some(&last.get(&queue)?.get(index)?.content)
}

/// Where a queue begins in the end: 0, unless messages were deleted; behind all that it had, when none is left.
fn beginning(last: &FinalLog, queue: Queue) -> u64 {
    let first = last.get(&queue).and_then(|messages| messages.first());
    first.map_or(u64::MAX, |first| first.queue_offset)
}
