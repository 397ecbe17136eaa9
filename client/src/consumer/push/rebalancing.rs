//! Takes over the queues that are ours now and gives up the others, every 20 s and whenever something changed
//! (`RebalanceService`, `updateProcessQueueTableInRebalance` in Java).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cuemq_net::body::MessageQueue;
use futures_util::future::join_all;

use super::state::Push;
use crate::consumer::owned::OwnedQueue;
use crate::consumer::pull::millis;
use crate::consumer::rebalance::{Assignment, Sharing};

/// How long a queue may go without a pull before it is begun anew.
const PULL_MAX_IDLE_TIME: Duration = Duration::from_secs(120);

/// How long listeners may take to let a queue go.
const TURN_WAIT: Duration = Duration::from_secs(1);

/// How soon a topic whose queues are not known yet is looked for again, at first.
const UNKNOWN_WAIT: Duration = Duration::from_secs(1);

impl Push {
    /// Rebalances as long as the consumer is there.
    pub(crate) async fn keep_balance(self: Arc<Self>) {
        let interval = self.options.rebalance_interval;
        let mut soon = UNKNOWN_WAIT;
        let mut wait = Duration::ZERO;
        loop {
            tokio::select! {
                biased;
                () = self.rebalance_now.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
            if *self.paused.borrow() {
                wait = interval;
                continue;
            }
            if self.rebalance().await {
                (wait, soon) = (interval, UNKNOWN_WAIT);
            } else {
                (wait, soon) = (soon.min(interval), soon.saturating_mul(2));
            }
        }
    }

    /// Rebalances every topic; whether all of them could be.
    pub(crate) async fn rebalance(self: &Arc<Self>) -> bool {
        let _rebalancing = self.rebalancing.lock().await;
        let sharing = Sharing {
            client: &self.client,
            group: self.group(),
            message_model: self.options.message_model,
            strategy: &*self.options.strategy,
        };
        let topics = self.subscribed_topics();
        let mut all = true;
        for topic in &topics {
            match sharing.of(topic).await {
                Ok(assignment) => all &= self.take_over(topic, assignment).await,
                Err(error) => {
                    tracing::debug!(topic, group = self.group(), %error, "a topic's queues stay as they are");
                    all = false;
                }
            }
        }
        let mut goes = self.owned();
        goes.retain(|owned| !topics.contains(&owned.queue.topic));
        self.give_up_all(&goes).await;
        all
    }

    /// Makes the owned queues of a topic those that are ours; whether all could be begun.
    async fn take_over(self: &Arc<Self>, topic: &str, assignment: Assignment) -> bool {
        let now_ms = self.client.now_ms();
        let mut goes = self.owned_of(topic);
        goes.retain(|owned| {
            let is_ours = assignment.ours.contains(&*owned.queue);
            !is_ours || owned.held().is_pull_expired(millis(PULL_MAX_IDLE_TIME), now_ms)
        });
        let has_changed = self.give_up_all(&goes).await;
        let new: BTreeSet<&MessageQueue> = assignment.ours.iter().filter(|queue| !self.owns(queue)).collect();
        let mut taken = Vec::new();
        for queue in &new {
            taken.extend(self.take(queue).await);
        }
        if has_changed || !taken.is_empty() {
            self.changed(topic).await;
        }
        let all = taken.len() == new.len();
        // not before the brokers have heard of the subscription's new version: they refuse pulls by one that they do not know
        for (owned, start) in taken {
            self.begin(&owned, start);
        }
        all
    }

    async fn changed(&self, topic: &str) {
        self.renew(topic);
        let owned = self.owned_of(topic);
        let limits = self.options.flow_control(self.is_orderly());
        let each = limits.shared_out(self.options.topic_limits(), owned.len());
        for owned in &owned {
            owned.limit(each);
        }
        tracing::debug!(
            topic,
            group = self.group(),
            queues = owned.len(),
            "a consumer's queues have changed"
        );
        self.client.heartbeat().await;
    }

    /// Gives queues up, all at a time; whether one is gone.
    async fn give_up_all(&self, goes: &[Arc<OwnedQueue>]) -> bool {
        let gone = join_all(goes.iter().map(|owned| self.give_up(owned))).await;
        gone.contains(&true)
    }

    /// Gives a queue up: nothing of it counts any more, its offset is saved, its lock given back. Whether it is gone.
    ///
    /// Calls of the listener that run have a second to end, so that what they did counts. After that an orderly queue stays
    /// until the next time, since whoever gets it must not begin while somebody works on it; any other goes all the same, and
    /// what its listener has comes again elsewhere.
    pub(crate) async fn give_up(&self, owned: &Arc<OwnedQueue>) -> bool {
        let turn = tokio::time::timeout(TURN_WAIT, owned.turn.write()).await;
        if turn.is_err() {
            tracing::warn!(queue = ?owned.queue, "a queue that goes to another consumer is still with the listener");
            if self.locks_queues() {
                return false;
            }
        }
        owned.drop_it();
        self.save_for_next(owned).await;
        if self.locks_queues() {
            self.unlock(&[(*owned.queue).clone()], &owned.queue.broker_name).await;
        }
        self.disown(&owned.queue);
        true
    }

    async fn save_for_next(&self, owned: &OwnedQueue) {
        if let Err(error) = self.offsets.hand_over(&self.client, &owned.queue).await {
            tracing::warn!(queue = ?owned.queue, %error, "how far a queue came is not saved; messages will come again");
        }
    }

    /// Takes a queue over, and says where it is to be begun; `None` where it cannot be taken yet.
    async fn take(&self, queue: &MessageQueue) -> Option<(Arc<OwnedQueue>, i64)> {
        if self.locks_queues() {
            match self.lock(&queue.broker_name, std::slice::from_ref(queue)).await {
                Ok(locked) if locked.contains(queue) => {}
                Ok(_) => {
                    tracing::debug!(?queue, "a queue is still locked by another consumer");
                    return None;
                }
                Err(error) => {
                    tracing::warn!(?queue, %error, "a queue cannot be locked");
                    return None;
                }
            }
        }
        self.offsets.forget(queue);
        let start = match self.start_offset(queue).await {
            Ok(start) => start,
            Err(error) => {
                tracing::warn!(?queue, %error, "where a queue is to be begun is not known yet");
                return None;
            }
        };
        let limits = self.options.flow_control(self.is_orderly());
        let owned = OwnedQueue::new(queue.clone(), limits, self.client.now_ms());
        if self.locks_queues() {
            self.note_lock(&owned, true);
        }
        self.own(&owned);
        Some((owned, start))
    }

    fn begin(self: &Arc<Self>, owned: &Arc<OwnedQueue>, start: i64) {
        self.tasks.spawn(Arc::clone(self).pull_from(Arc::clone(owned), start));
        if self.is_orderly() {
            self.calls.spawn(Arc::clone(self).consume_in_order(Arc::clone(owned)));
        }
    }
}
