//! Sends in the background, so many at a time: whoever wants to send more waits (Java's `send` with a callback, which has
//! no such bound).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use cuemq_net::message::sysflag::TransactionType;
use tokio::sync::oneshot;

use super::Inner;
use super::attempt::Retrying;
use super::result::SendResult;
use crate::error::{Cause, Error};
use crate::message::Message;

/// A message on its way; awaited, it gives the outcome.
#[derive(Debug)]
pub struct PendingSend(oneshot::Receiver<Result<SendResult, Error>>);

impl Future for PendingSend {
    type Output = Result<SendResult, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(Pin::new(&mut self.0).poll(context));
        Poll::Ready(outcome.unwrap_or_else(|_| Err(Cause::Abandoned.nowhere())))
    }
}

/// Sends a message as soon as there is room in the window.
pub(super) async fn send(inner: &Arc<Inner>, message: Message) -> Result<PendingSend, Error> {
    // told at once what is wrong with it
    inner.check_open()?;
    super::rules::check_message(&message, inner.options.max_message_size)?;
    let Ok(room) = Arc::clone(&inner.window).acquire_owned().await else {
        return Err(Cause::ShutDown.nowhere());
    };
    let (told, outcome) = oneshot::channel();
    let sender = Arc::clone(inner);
    inner.client.spawn(async move {
        let messages = [message];
        let sent = async {
            let prepared = super::Prepared::one(&messages, &sender.preparing(), TransactionType::None);
            sender
                .attempts(&prepared, sender.options.send_msg_timeout, Retrying::Async)
                .await
        };
        let outcome = sent.await;
        // nobody may want to know
        drop(told.send(outcome));
        drop(room);
    });
    Ok(PendingSend(outcome))
}
