//! The locks by which a queue has one orderly consumer at a time (codes 41 and 42; `lockAll`, `unlockAll` in Java's
//! `RebalanceImpl`). A broker forgets a lock after 60 s; it is renewed every 20 s, and counts as lost here after 30 s.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use cuemq_net::body::{Body, LockBatch, LockedQueues, MessageQueue};
use cuemq_net::code::RequestCode;
use cuemq_net::command::Command;
use cuemq_net::dialect::Style;

use super::state::Push;
use crate::consumer::owned::OwnedQueue;
use crate::error::{Cause, Error};

/// How often locks are renewed.
const LOCK_INTERVAL: Duration = Duration::from_secs(20);

/// How soon after the start they are renewed first.
const FIRST_LOCK: Duration = Duration::from_secs(1);

/// How long a lock counts that was not renewed.
pub(crate) const LOCK_MAX_LIVE: Duration = Duration::from_secs(30);

/// How long a broker may take to lock.
const TIMEOUT: Duration = Duration::from_secs(1);

impl Push {
    /// Renews the locks as long as the consumer is there.
    pub(crate) async fn keep_locks(self: Arc<Self>) {
        tokio::time::sleep(FIRST_LOCK).await;
        loop {
            self.lock_all().await;
            tokio::time::sleep(LOCK_INTERVAL).await;
        }
    }

    async fn lock_all(&self) {
        for (broker_name, owned) in self.by_broker() {
            let queues: Vec<MessageQueue> = owned.iter().map(|owned| (*owned.queue).clone()).collect();
            let locked = match self.lock(&broker_name, &queues).await {
                Ok(locked) => locked,
                Err(error) => {
                    tracing::warn!(broker_name, %error, "locks are not renewed");
                    continue;
                }
            };
            for owned in owned {
                self.note_lock(&owned, locked.contains(&*owned.queue));
            }
        }
    }

    pub(crate) fn note_lock(&self, owned: &OwnedQueue, is_locked: bool) {
        let mut held = owned.held();
        if held.locked != is_locked {
            tracing::debug!(queue = ?owned.queue, is_locked, "the lock of a queue");
        }
        held.locked = is_locked;
        if is_locked {
            held.last_lock_ms = self.client.now_ms();
        }
        drop(held);
        owned.room.notify_one();
        owned.arrived.notify_one();
    }

    fn by_broker(&self) -> BTreeMap<String, Vec<Arc<OwnedQueue>>> {
        let mut brokers: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for owned in self.owned() {
            brokers.entry(owned.queue.broker_name.clone()).or_default().push(owned);
        }
        brokers
    }

    fn lock_batch(&self, code: RequestCode, queues: &[MessageQueue]) -> Command {
        let batch = LockBatch {
            client_id: self.client.client_id().to_owned(),
            consumer_group: self.group().to_owned(),
            queues: queues.to_vec(),
        };
        Command::request(code).with_body(batch.encode(Style::Standard))
    }

    /// Locks queues of a broker, and says which of them are ours now.
    ///
    /// # Errors
    /// When its master cannot be asked.
    pub(crate) async fn lock(
        &self,
        broker_name: &str,
        queues: &[MessageQueue],
    ) -> Result<BTreeSet<MessageQueue>, Error> {
        let address = self.client.master(broker_name)?;
        let request = self.lock_batch(RequestCode::LOCK_BATCH_MQ, queues);
        let answer = self.client.ask(&address, &request, TIMEOUT).await?;
        let locked = LockedQueues::decode(&answer.body).map_err(|error| Cause::from(error).nowhere().at(&address))?;
        Ok(locked.queues.into_iter().collect())
    }

    /// Gives the lock of a queue back. Nobody waits for it: a lock that is not given back runs out.
    pub(crate) async fn unlock(&self, queues: &[MessageQueue], broker_name: &str) {
        let Ok(address) = self.client.master(broker_name) else {
            return;
        };
        let request = self.lock_batch(RequestCode::UNLOCK_BATCH_MQ, queues).oneway();
        if let Err(error) = self.client.oneway(&address, request, TIMEOUT).await {
            tracing::debug!(broker_name, %error, "locks are not given back; they run out after 60 s");
        }
    }

    pub(crate) async fn unlock_all(&self) {
        for (broker_name, owned) in self.by_broker() {
            let queues: Vec<MessageQueue> = owned.iter().map(|owned| (*owned.queue).clone()).collect();
            self.unlock(&queues, &broker_name).await;
        }
    }
}
