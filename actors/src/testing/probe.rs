//! A recipient that records what it gets, in the place of an actor's neighbour.

use std::any::type_name;
use std::marker::PhantomData;
use std::time::Duration;

use actix::{Actor, Addr, Context, Handler, Message, MessageResult, Recipient};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// How long a probe waits for a message before it calls the test failed.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Records the messages of one type, answers them, and lets a test wait for the next one.
pub struct Probe<M: Message + Send + 'static>
where
    M::Result: Send,
{
    recorder: Addr<Recorder<M>>,
    recorded: UnboundedReceiver<M>,
}

impl<M: Message + Send + 'static> Probe<M>
where
    M::Result: Send,
{
    /// A probe on the current `LocalSet` that answers with the default: `()` for an event.
    #[must_use]
    pub fn new() -> Self
    where
        M::Result: Default,
    {
        Self::answering(|_| M::Result::default())
    }

    /// A probe on the current `LocalSet` that answers each message by a function of it.
    #[must_use]
    pub fn answering(answer: impl FnMut(&M) -> M::Result + 'static) -> Self {
        let (sender, recorded) = unbounded_channel();
        Self {
            recorder: Recorder {
                answer: Box::new(answer),
                sender,
            }
            .start(),
            recorded,
        }
    }

    /// What the actor under test is given as its neighbour.
    #[must_use]
    pub fn recipient(&self) -> Recipient<M> {
        self.recorder.clone().recipient()
    }

    /// The next message.
    ///
    /// # Panics
    /// When none comes within [`PATIENCE`].
    pub async fn next(&mut self) -> M {
        match tokio::time::timeout(PATIENCE, self.recorded.recv()).await {
            Ok(Some(message)) => message,
            _ => panic!("no {} within {} s", type_name::<M>(), PATIENCE.as_secs()),
        }
    }

    /// The messages that were sent to the probe up to now and not yet asked for.
    ///
    /// It is a round trip through the probe's mailbox, so nothing that is under way to it is missed. Where the actor under
    /// test may still be at work, wait for its answer to a later message first.
    ///
    /// # Panics
    /// When the probe itself failed, which is when its answer panicked.
    pub async fn drain(&mut self) -> Vec<M> {
        assert!(
            self.recorder.send(Settle(PhantomData)).await.is_ok(),
            "the probe for {} failed",
            type_name::<M>()
        );
        std::iter::from_fn(|| self.recorded.try_recv().ok()).collect()
    }

    /// Asserts that nothing was sent to the probe but what was asked for.
    ///
    /// # Panics
    /// When there was more.
    pub async fn expect_none(&mut self) {
        let more = self.drain().await.len();
        assert_eq!(more, 0, "unexpected messages of type {}", type_name::<M>());
    }
}

impl<M: Message + Send + 'static> Default for Probe<M>
where
    M::Result: Default + Send,
{
    fn default() -> Self {
        Self::new()
    }
}

/// All that was sent before is recorded when this is answered.
#[derive(Message)]
#[rtype(result = "()")]
struct Settle<M>(PhantomData<fn() -> M>);

type Answer<M> = Box<dyn FnMut(&M) -> <M as Message>::Result>;

struct Recorder<M: Message> {
    answer: Answer<M>,
    sender: UnboundedSender<M>,
}

impl<M: Message + 'static> Actor for Recorder<M> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(1 << 16);
    }
}

impl<M: Message + 'static> Handler<M> for Recorder<M> {
    type Result = MessageResult<M>;

    fn handle(&mut self, message: M, _: &mut Self::Context) -> Self::Result {
        let answer = (self.answer)(&message);
        // The test may have let go of its probe: then nobody wants to know.
        let _ = self.sender.send(message);
        MessageResult(answer)
    }
}

impl<M: Message + 'static> Handler<Settle<M>> for Recorder<M> {
    type Result = ();

    fn handle(&mut self, _: Settle<M>, _: &mut Self::Context) {}
}
