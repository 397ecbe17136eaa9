//! What looks on while messages are consumed (`ConsumeMessageHook` in Java): traces, metrics, tests.

use std::time::Duration;

use cuemq_net::body::MessageQueue;

use crate::received::ReceivedMessage;

/// One call of a listener.
#[derive(Debug, Clone, Copy)]
pub struct Consuming<'a> {
    /// The consumer's group.
    pub group: &'a str,
    /// The queue that the messages come from.
    pub queue: &'a MessageQueue,
    /// The messages.
    pub messages: &'a [ReceivedMessage],
}

/// How a call of a listener ended (`ConsumeReturnType` in Java).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsumeReturnType {
    /// It is done with all messages.
    Success,
    /// It took longer than `consume_timeout`, whatever it said then.
    TimeOut,
    /// It panicked.
    Exception,
    /// It wants messages again.
    Failed,
}

/// Looks on. It is called in the listener's task and should be quick.
pub trait ConsumeMessageHook: Send + Sync + 'static {
    /// Called before the listener is.
    fn before(&self, consuming: &Consuming<'_>) {
        let _ = consuming;
    }

    /// Called when the listener has ended, with how and after which time.
    fn after(&self, consuming: &Consuming<'_>, ended: ConsumeReturnType, took: Duration) {
        let _ = (consuming, ended, took);
    }
}
