//! Messages as a stream, each to be acknowledged, instead of a listener: what Rust applications expect, and Java has not.
//!
//! Behind it stands a concurrent listener that waits, for each message, until the application says what became of it. So as
//! many messages are with the application at a time as there are calls of a listener, `consume_concurrency`, and nothing is
//! lost between the two: what was not taken when the stream ends comes again, and does not count as tried.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;
use tokio::sync::{mpsc, oneshot};

use super::PushConsumer;
use crate::consumer::listener::{Consumed, Listener, Said};
use crate::error::Error;
use crate::network::BoxFuture;
use crate::received::ReceivedMessage;

/// A message on its way to the application. Dropped here, it was not given.
pub(super) struct Waiting {
    message: ReceivedMessage,
    outcome: oneshot::Sender<Consumed>,
}

/// The listener behind a stream.
pub(super) struct ToStream(pub(super) mpsc::Sender<Waiting>);

impl Listener<Consumed> for ToStream {
    fn call(&self, messages: Vec<ReceivedMessage>) -> BoxFuture<'_, Said<Consumed>> {
        Box::pin(async move {
            // a stream's batches hold one message
            let Some(message) = messages.into_iter().next() else {
                return Said::NotGiven;
            };
            let (outcome, said) = oneshot::channel();
            if self.0.send(Waiting { message, outcome }).await.is_err() {
                return Said::NotGiven;
            }
            said.await.map_or(Said::NotGiven, Said::Status)
        })
    }
}

/// A message that the application has, and is to acknowledge. Dropped without a word, as by a panic, it comes again later.
#[derive(Debug)]
#[must_use = "a message that is dropped comes again"]
pub struct Delivery {
    message: ReceivedMessage,
    outcome: Option<oneshot::Sender<Consumed>>,
}

impl Delivery {
    /// The message.
    #[must_use]
    pub fn message(&self) -> &ReceivedMessage {
        &self.message
    }

    /// It is done. This says so to the consumer, which saves it within `persist_consumer_offset_interval`, or at its shutdown.
    pub fn ack(mut self) {
        self.say(Consumed::Success);
    }

    /// It comes again, the later the more often it came, and in the end goes to the dead letters.
    pub fn later(mut self) {
        self.say(Consumed::Later);
    }

    /// It comes again after the time of this delay level, from 1 on; a level below 0 sends it to the dead letters at once.
    pub fn later_at(mut self, delay_level: i32) {
        self.say(Consumed::LaterAt(delay_level));
    }

    fn say(&mut self, consumed: Consumed) {
        if let Some(outcome) = self.outcome.take() {
            // nobody listens once the consumer has lost its patience; the message comes again then
            let _ = outcome.send(consumed);
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.say(Consumed::Later);
    }
}

/// Messages as they come. It ends with [`MessageStream::shutdown`]; dropped, it ends as a dropped [`PushConsumer`].
pub struct MessageStream {
    consumer: PushConsumer,
    waiting: mpsc::Receiver<Waiting>,
}

impl MessageStream {
    pub(super) fn new(consumer: PushConsumer, waiting: mpsc::Receiver<Waiting>) -> Self {
        Self { consumer, waiting }
    }

    /// The next message; waits for one. `None` after the shutdown. Dropped while it waits, no message is taken.
    pub async fn recv(&mut self) -> Option<Delivery> {
        std::future::poll_fn(|context| self.poll(context)).await
    }

    /// The consumer behind it, to suspend it, to subscribe to more, to look at.
    #[must_use]
    pub fn consumer(&self) -> &PushConsumer {
        &self.consumer
    }

    /// Ends it: what was not taken comes again, to this group's other consumers; what the application still has is waited for,
    /// for `await_termination_when_shutdown`. See [`PushConsumer::shutdown`], also for what happens where this is dropped.
    ///
    /// # Errors
    /// When the group's progress could not be saved everywhere: what is not saved comes again.
    pub async fn shutdown(&mut self) -> Result<(), Error> {
        self.waiting.close();
        while self.waiting.try_recv().is_ok() {}
        self.consumer.shutdown().await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Delivery>> {
        let taken = std::task::ready!(self.waiting.poll_recv(context));
        Poll::Ready(taken.map(|Waiting { message, outcome }| Delivery {
            message,
            outcome: Some(outcome),
        }))
    }
}

impl Stream for MessageStream {
    type Item = Delivery;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Delivery>> {
        self.poll(context)
    }
}
