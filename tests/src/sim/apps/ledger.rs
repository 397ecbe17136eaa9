//! What the clients of a simulated history did that are not in the history itself: sends that may be tried again, and the
//! calls of listeners. Hooks and listeners write it, so it can be shared between threads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cuemq_client::ReceivedMessage;
use cuemq_client::producer::{SendMessageHook, Sending};

use crate::sim::body::{Content, Message};
use crate::sim::clock::SimClock;
use crate::sim::history::History;

/// A group of consumers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AppGroup {
    /// Its listeners are concurrent.
    Concurrent,
    /// Its listeners are orderly.
    Orderly,
}

impl AppGroup {
    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Concurrent => "concurrent",
            Self::Orderly => "orderly",
        }
    }
}

/// How a call of a listener ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It was done with the messages.
    Done,
    /// It wants them again.
    Again,
    /// It was cut off where it waited.
    Cut,
}

/// A call of a listener.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) group: AppGroup,
    /// The host of the listener.
    pub(super) host: u16,
    pub(super) topic: String,
    pub(super) queue_id: i32,
    /// The positions in the queue, each with what was there.
    pub(super) messages: Vec<(u64, Content)>,
    pub(super) began_ms: u64,
    pub(super) ended: Option<(u64, Ended)>,
}

/// What its sender was told of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Nothing yet, or that nobody knows.
    Unknown,
    /// Where it is.
    Stored {
        /// The queue.
        queue_id: i32,
        /// The position.
        queue_offset: i64,
    },
    /// That it was not stored.
    NotStored,
}

/// A message whose send may be tried again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loose {
    /// How often it left.
    pub(super) tries: usize,
    pub(super) told: Told,
}

/// The ledger.
pub(super) struct Ledger {
    history: Arc<History>,
    clock: Arc<SimClock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    calls: Vec<Call>,
    loose: BTreeMap<Message, Loose>,
    consumed: BTreeMap<AppGroup, BTreeSet<Message>>,
}

/// A call of a listener that runs: cut off where it is dropped before it ends.
pub(super) struct Running<'a> {
    ledger: &'a Ledger,
    number: usize,
    is_over: bool,
}

impl Running<'_> {
    /// The listener has said something.
    pub(super) fn end(mut self, ended: Ended) {
        self.is_over = true;
        self.ledger.end(self.number, ended);
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.ledger.end(self.number, Ended::Cut);
        }
    }
}

impl Ledger {
    pub(super) fn new(history: &Arc<History>, clock: &Arc<SimClock>) -> Self {
        Self {
            history: Arc::clone(history),
            clock: Arc::clone(clock),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // a panic elsewhere leaves nothing half done
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A listener gets messages of one queue.
    pub(super) fn call(&self, group: AppGroup, host: u16, messages: &[ReceivedMessage]) -> Running<'_> {
        let queue = messages.first().map(ReceivedMessage::queue);
        let content = |message: &ReceivedMessage| {
            let queue_offset = message.queue_offset().cast_unsigned();
            (queue_offset, Content::of(message.body()))
        };
        let call = Call {
            group,
            host,
            topic: queue.map(|queue| queue.topic.clone()).unwrap_or_default(),
            queue_id: queue.map_or(-1, |queue| queue.queue_id),
            messages: messages.iter().map(content).collect(),
            began_ms: self.clock.elapsed_ms(),
            ended: None,
        };
        self.history.note(format_args!(
            "app-{host} {group:?} gets {}/{} {:?}",
            call.topic, call.queue_id, call.messages
        ));
        let mut state = self.state();
        state.calls.push(call);
        Running {
            ledger: self,
            number: state.calls.len() - 1,
            is_over: false,
        }
    }

    fn end(&self, number: usize, ended: Ended) {
        let at_ms = self.clock.elapsed_ms();
        let mut state = self.state();
        let State { calls, consumed, .. } = &mut *state;
        let Some(call) = calls.get_mut(number) else { return };
        call.ended = Some((at_ms, ended));
        if ended == Ended::Done {
            let consumed = consumed.entry(call.group).or_default();
            consumed.extend(call.messages.iter().filter_map(|(_, content)| match content {
                Content::Whole(message) => Some(*message),
                Content::Torn(_) => None,
            }));
        }
    }

    /// What its sender was told of a message.
    pub(super) fn told(&self, message: Message, told: Told) {
        self.history.note(format_args!("{message} {told:?}"));
        self.state().loose_of(message).told = told;
    }

    /// Which of these messages a group has not consumed.
    pub(super) fn missing(&self, group: AppGroup, wanted: &BTreeSet<Message>) -> Vec<Message> {
        let state = self.state();
        match state.consumed.get(&group) {
            Some(consumed) => wanted.difference(consumed).copied().collect(),
            None => wanted.iter().copied().collect(),
        }
    }

    /// The calls of listeners, in the order in which they began.
    pub(super) fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// The messages whose send may be tried again.
    pub(super) fn loose(&self) -> BTreeMap<Message, Loose> {
        self.state().loose.clone()
    }
}

impl State {
    fn loose_of(&mut self, message: Message) -> &mut Loose {
        self.loose.entry(message).or_insert(Loose {
            tries: 0,
            told: Told::Unknown,
        })
    }
}

/// Counts how often messages leave.
pub(super) struct CountTries(pub(super) Arc<Ledger>);

impl SendMessageHook for CountTries {
    fn before(&self, sending: &Sending<'_>) {
        let mut state = self.0.state();
        for message in sending.messages {
            if let Content::Whole(message) = Content::of(message.body()) {
                state.loose_of(message).tries += 1;
            }
        }
    }
}
