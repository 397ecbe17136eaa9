//! What happened in a simulation, in order, as its clients saw it; and a hash of all of it, to compare two runs by.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cuemq_storage::hash::Hasher;

use super::body::{Content, Message, Queue};
use super::clock::SimClock;
use super::fault::{End, Fault};

/// Something that a client did or saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Messages go on their way to a queue, in one request.
    Sending {
        /// The queue.
        queue: Queue,
        /// The messages.
        messages: Vec<Message>,
    },
    /// The broker answered with code 0.
    Acknowledged {
        /// The queue.
        queue: Queue,
        /// The messages.
        messages: Vec<Message>,
        /// Where the broker says that the first of them is.
        queue_offset: u64,
        /// Whether the sender waited for the flush: without, the answer promises nothing for a crash.
        flushed: bool,
    },
    /// The broker said that it does not take the messages.
    Refused {
        /// The messages.
        messages: Vec<Message>,
        /// The answer's code.
        code: i32,
    },
    /// Nobody knows what became of the messages.
    Unknown {
        /// The messages.
        messages: Vec<Message>,
        /// Why.
        why: String,
    },
    /// A consumer begins at a position of a queue, where its group goes on.
    Takes {
        /// The consumer.
        consumer: u16,
        /// The queue.
        queue: Queue,
        /// The position.
        queue_offset: u64,
    },
    /// A consumer got a message.
    Read {
        /// The consumer.
        consumer: u16,
        /// How many events there were when it asked.
        asked: usize,
        /// The queue.
        queue: Queue,
        /// The position in it.
        queue_offset: u64,
        /// What it got.
        content: Content,
    },
    /// A consumer that goes on where it had read up to was told that there is no such place.
    Moved {
        /// The consumer.
        consumer: u16,
        /// The queue.
        queue: Queue,
        /// Where it wanted to go on.
        queue_offset: u64,
        /// Where it was told to go on.
        next: u64,
    },
    /// The broker has taken how far a consumer has come.
    Committed {
        /// The consumer.
        consumer: u16,
        /// How many events there were when it said so.
        asked: usize,
        /// The queue.
        queue: Queue,
        /// The next position to consume.
        consumer_offset: u64,
    },
    /// The broker said where a consumer's group goes on, and then where the queue ends.
    Found {
        /// The consumer.
        consumer: u16,
        /// The queue.
        queue: Queue,
        /// Where the group goes on.
        consumer_offset: u64,
        /// The queue's end.
        queue_end: u64,
    },
    /// A member of the group that shares its queues is about to say that it is there, on a new connection.
    Joining(u16),
    /// The broker has taken that.
    Joined(u16),
    /// A member was told that its group has changed.
    Notified(u16),
    /// A member is about to leave, with a word or by ending its connection.
    Leaving(u16),
    /// A member has no connection any more.
    Parted(u16),
    /// A fault strikes.
    Struck(Fault),
    /// What it did is repaired.
    Repaired,
    /// A life of the broker ends.
    LifeEnds(End),
    /// Something to read by people: a start, a stop.
    Note(String),
}

/// An event and when it happened, in milliseconds since the simulation began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When.
    pub at_ms: u64,
    /// What.
    pub event: Event,
}

/// A message at the end of the simulation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its position in the queue.
    pub queue_offset: u64,
    /// Its position in the commit log.
    pub physical_offset: u64,
    /// When the broker stored it, in milliseconds since 1970.
    pub store_timestamp_ms: i64,
    /// What it is.
    pub content: Content,
}

/// All messages at the end of the simulation.
pub type FinalLog = BTreeMap<Queue, Vec<Stored>>;

/// The events so far.
pub(super) struct History {
    clock: Arc<SimClock>,
    prints: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    moments: Vec<Moment>,
    hash: u64,
}

impl History {
    /// An empty history; `prints` shows each event as it happens.
    #[must_use]
    pub(super) fn new(clock: Arc<SimClock>, prints: bool) -> Self {
        Self {
            clock,
            prints,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // a panic elsewhere leaves nothing half done
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an event.
    pub(super) fn add(&self, event: Event) {
        let at_ms = self.clock.elapsed_ms();
        let line = format!("{at_ms:>6} {event:?}");
        if self.prints {
            println!("{line}");
        }
        let mut state = self.state();
        state.hash = Hasher::default().hash_one((state.hash, line));
        state.moments.push(Moment { at_ms, event });
    }

    /// Adds a note.
    pub(super) fn note(&self, text: impl fmt::Display) {
        self.add(Event::Note(text.to_string()));
    }

    /// How many events there were: what is asked for now, is asked before all that happen later.
    #[must_use]
    pub(super) fn count(&self) -> usize {
        self.state().moments.len()
    }

    /// The hash of all events with their times.
    #[must_use]
    pub(super) fn hash(&self) -> u64 {
        self.state().hash
    }

    /// All events, which are taken out.
    #[must_use]
    pub(super) fn take(&self) -> Vec<Moment> {
        std::mem::take(&mut self.state().moments)
    }
}
