//! Asks producers how their transactions ended, round by round.
//!
//! Every second the notes of ends that are new are taken in. A round looks at each half message that is not done. One whose
//! producer is asked is written again at the end of the half topic, together with a note that the one before is done, and
//! the question leaves when both are safe. How far it has come is kept as the offsets of a consumer group, as in Java.

use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Recipient, WrapFuture};

use super::round::{Round, RoundParts};
use super::{END_TOPIC, GIVEN_UP_TOPIC};
use crate::set_aside::HALF_TOPIC;
use crate::supervise::Context;
use crate::topic::actor::CreateOwnTopic;
use crate::topic::with_queues;

/// The actor.
pub struct TransactionChecker {
    /// Gone while a round is under way.
    round: Option<Round>,
    interval: Duration,
    /// Whether producers are to be asked with the next step.
    is_due: bool,
    topics: Recipient<CreateOwnTopic>,
    /// Whether they were made, with the first half message.
    has_topics: bool,
}

/// How often notes of ends are taken in.
const NOTES_INTERVAL: Duration = Duration::from_secs(1);

impl TransactionChecker {
    /// Goes on where the offsets of its group say.
    #[must_use]
    pub fn new(parts: RoundParts, interval: Duration, topics: Recipient<CreateOwnTopic>) -> Self {
        Self {
            round: Some(Round::new(parts)),
            interval,
            is_due: false,
            topics,
            has_topics: false,
        }
    }

    /// Takes in what has ended, and asks about what has not if that is due. While one step is under way no other begins.
    fn go(&mut self, ctx: &mut Context<Self>) {
        let Some(mut round) = self.round.take() else { return };
        let asks = std::mem::take(&mut self.is_due);
        let makes_topics = !self.has_topics && round.has_halves();
        self.has_topics |= makes_topics;
        let topics = self.topics.clone();
        let checked = async move {
            if makes_topics {
                make_topics(&topics).await;
            }
            if let Err(error) = round.go(asks).await {
                tracing::warn!(%error, "open transactions cannot be looked at; tried again in the next round");
            }
            round
        };
        ctx.spawn(
            checked
                .into_actor(self)
                .map(|round, checker, _| checker.round = Some(round)),
        );
    }
}

/// Makes the topics by whose routes tools find the messages of transactions. That one is not made now says nothing of those.
async fn make_topics(topics: &Recipient<CreateOwnTopic>) {
    for topic in [HALF_TOPIC, END_TOPIC, GIVEN_UP_TOPIC] {
        let (topic, config) = (topic.to_owned(), with_queues(1));
        if let Ok(Err(error)) = topics.send(CreateOwnTopic { topic, config }).await {
            tracing::warn!(%error, "a topic of transactions is not made");
        }
    }
}

impl Actor for TransactionChecker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Retention waits to hear what has ended; producers that have not come back yet are not asked.
        self.go(ctx);
        ctx.run_interval(NOTES_INTERVAL.min(self.interval), |checker, ctx| checker.go(ctx));
        ctx.run_interval(self.interval, |checker, ctx| {
            checker.is_due = true;
            checker.go(ctx);
        });
    }
}
