//! What an application does with messages, as an async function or a type (`MessageListenerConcurrently` and
//! `MessageListenerOrderly` in Java).
//!
//! A listener that panics, or whose future gives an error, wants its messages again. Its future is never dropped before
//! its end but by a shutdown that has lost patience; then its messages come again.

use std::fmt::Display;
use std::time::Duration;

use crate::network::BoxFuture;
use crate::panics::caught;
use crate::received::ReceivedMessage;

/// What a concurrent listener says (`ConsumeConcurrentlyStatus` in Java, with `ackIndex` and `delayLevelWhenNextConsume` of
/// its context).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consumed {
    /// All messages are done.
    Success,
    /// So many from the front are done; the others come again, each the later the more often it came.
    Partly(usize),
    /// All come again, each the later the more often it came.
    Later,
    /// All come again after the time of this delay level, from 1 on; a level below 0 sends them to the dead letters at once.
    LaterAt(i32),
}

/// What an orderly listener says (`ConsumeOrderlyStatus` in Java).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsumedInOrder {
    /// The messages are done.
    Success,
    /// The queue waits, then the same messages come again: after this time, or after the consumer's
    /// `suspend_current_queue_time`; it is taken as 10 ms at least and 30 s at most.
    Suspend(Option<Duration>),
    /// Where the consumer does not commit by itself: the messages are done, and all successes before them.
    Commit,
    /// Where the consumer does not commit by itself: these and all since the last commit come again.
    Rollback,
}

impl<E: Display> From<Result<(), E>> for Consumed {
    fn from(result: Result<(), E>) -> Self {
        match result {
            Ok(()) => Self::Success,
            Err(error) => {
                tracing::warn!(%error, "a listener failed; its messages come again");
                Self::Later
            }
        }
    }
}

impl<E: Display> From<Result<(), E>> for ConsumedInOrder {
    fn from(result: Result<(), E>) -> Self {
        match result {
            Ok(()) => Self::Success,
            Err(error) => {
                tracing::warn!(%error, "an orderly listener failed; its queue waits");
                Self::Suspend(None)
            }
        }
    }
}

/// Consumes messages in any order, many batches at a time. An `async` closure that gives [`Consumed`] or a `Result` is one.
pub trait MessageListenerConcurrently: Send + Sync + 'static {
    /// Consumes messages of one queue: as many as `consume_message_batch_max_size` at most, and at least one.
    fn consume(&self, messages: Vec<ReceivedMessage>) -> impl Future<Output = Consumed> + Send;
}

/// Consumes the messages of each queue one batch after the other, in the queue's order. An `async` closure that gives
/// [`ConsumedInOrder`] or a `Result` is one.
pub trait MessageListenerOrderly: Send + Sync + 'static {
    /// Consumes messages of one queue: as many as `consume_message_batch_max_size` at most, and at least one.
    fn consume(&self, messages: Vec<ReceivedMessage>) -> impl Future<Output = ConsumedInOrder> + Send;
}

impl<F, R> MessageListenerConcurrently for F
where
    F: Fn(Vec<ReceivedMessage>) -> R + Send + Sync + 'static,
    R: Future<Output: Into<Consumed>> + Send,
{
    async fn consume(&self, messages: Vec<ReceivedMessage>) -> Consumed {
        self(messages).await.into()
    }
}

impl<F, R> MessageListenerOrderly for F
where
    F: Fn(Vec<ReceivedMessage>) -> R + Send + Sync + 'static,
    R: Future<Output: Into<ConsumedInOrder>> + Send,
{
    async fn consume(&self, messages: Vec<ReceivedMessage>) -> ConsumedInOrder {
        self(messages).await.into()
    }
}

/// What became of a call of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said<S> {
    /// It ended, with this.
    Status(S),
    /// It panicked.
    Panicked,
    /// The consumer ends before the application got the messages: they stay as if they had never been in hand.
    NotGiven,
}

/// A listener of any kind whose type is forgotten.
pub(crate) trait Listener<S>: Send + Sync + 'static {
    fn call(&self, messages: Vec<ReceivedMessage>) -> BoxFuture<'_, Said<S>>;
}

/// A concurrent listener.
pub(crate) struct Concurrently<L>(pub(crate) L);

/// An orderly listener.
pub(crate) struct Orderly<L>(pub(crate) L);

impl<L: MessageListenerConcurrently> Listener<Consumed> for Concurrently<L> {
    fn call(&self, messages: Vec<ReceivedMessage>) -> BoxFuture<'_, Said<Consumed>> {
        Box::pin(async move {
            caught(move || self.0.consume(messages))
                .await
                .map_or(Said::Panicked, Said::Status)
        })
    }
}

impl<L: MessageListenerOrderly> Listener<ConsumedInOrder> for Orderly<L> {
    fn call(&self, messages: Vec<ReceivedMessage>) -> BoxFuture<'_, Said<ConsumedInOrder>> {
        Box::pin(async move {
            caught(move || self.0.consume(messages))
                .await
                .map_or(Said::Panicked, Said::Status)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn concurrent(listener: impl MessageListenerConcurrently) -> Box<dyn Listener<Consumed>> {
        Box::new(Concurrently(listener))
    }

    #[tokio::test]
    async fn a_closure_says_what_it_did_or_how_it_failed() {
        let says = concurrent(async |messages: Vec<ReceivedMessage>| Consumed::Partly(messages.len()));
        assert_eq!(says.call(Vec::new()).await, Said::Status(Consumed::Partly(0)));
        let fails = concurrent(async |_: Vec<ReceivedMessage>| Err::<(), _>("no room"));
        assert_eq!(fails.call(Vec::new()).await, Said::Status(Consumed::Later));
        let orderly: Box<dyn Listener<_>> = Box::new(Orderly(async |_: Vec<ReceivedMessage>| Ok::<(), String>(())));
        assert_eq!(orderly.call(Vec::new()).await, Said::Status(ConsumedInOrder::Success));
    }

    #[tokio::test]
    async fn a_panic_ends_in_the_listener() {
        let at_once = concurrent(|_: Vec<ReceivedMessage>| -> std::future::Ready<Consumed> { panic!("at once") });
        assert_eq!(at_once.call(Vec::new()).await, Said::Panicked);
        let later = concurrent(async |_: Vec<ReceivedMessage>| -> Consumed {
            tokio::task::yield_now().await;
            panic!("later")
        });
        assert_eq!(later.call(Vec::new()).await, Said::Panicked);
    }
}
