//! Which queues are ours, kept up to date for consumers that pull by themselves: every 20 s, and whenever the group or a
//! route changes (`RebalanceService` with `RebalancePullImpl` in Java).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cuemq_net::body::MessageModel;
use tokio::sync::{Notify, watch};

use super::rebalance::{Assignment, Sharing};
use crate::allocation::AllocateMessageQueueStrategy;
use crate::instance::Client;
use crate::namespace::Namespace;

/// How soon a topic whose queues are not known yet is looked for again, at first.
const UNKNOWN_WAIT: Duration = Duration::from_secs(1);

/// The assignments of a consumer's topics.
pub(crate) struct Balance {
    pub(crate) client: Client,
    pub(crate) namespace: Namespace,
    pub(crate) group: String,
    pub(crate) message_model: MessageModel,
    pub(crate) strategy: Arc<dyn AllocateMessageQueueStrategy>,
    pub(crate) interval: Duration,
    now: Notify,
    topics: Mutex<BTreeMap<String, Option<Assignment>>>,
    /// Counts the changes, for those that wait for one.
    changes: watch::Sender<u64>,
}

/// A topic's assignment that has just changed.
pub(crate) struct Changed {
    pub(crate) topic: String,
    pub(crate) before: Assignment,
    pub(crate) now: Assignment,
}

/// When the next round is: after the interval, or sooner where a topic is not known yet.
pub(crate) struct Pace {
    wait: Duration,
    soon: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            wait: Duration::ZERO,
            soon: UNKNOWN_WAIT,
        }
    }
}

impl Pace {
    /// Has the next round come soon.
    pub(crate) fn hurry(&mut self) {
        self.wait = self.wait.min(UNKNOWN_WAIT);
    }
}

impl Balance {
    pub(crate) fn new(
        client: Client,
        namespace: Namespace,
        group: String,
        message_model: MessageModel,
        strategy: Arc<dyn AllocateMessageQueueStrategy>,
        interval: Duration,
    ) -> Self {
        Self {
            client,
            namespace,
            group,
            message_model,
            strategy,
            interval,
            now: Notify::new(),
            topics: Mutex::default(),
            changes: watch::Sender::new(0),
        }
    }

    fn topics(&self) -> MutexGuard<'_, BTreeMap<String, Option<Assignment>>> {
        // each change is one step, so a panic elsewhere leaves nothing half done
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shares out one more topic.
    pub(crate) fn add(&self, topic: &str) {
        self.topics().entry(topic.to_owned()).or_default();
        self.hurry();
    }

    /// Shares out a topic no more.
    pub(crate) fn remove(&self, topic: &str) {
        self.topics().remove(topic);
    }

    /// Whether a topic is one of those.
    pub(crate) fn has(&self, topic: &str) -> bool {
        self.topics().contains_key(topic)
    }

    /// Rebalances at once.
    pub(crate) fn hurry(&self) {
        self.now.notify_one();
    }

    /// A topic's assignment; `None` where it is not known yet.
    pub(crate) fn assignment(&self, topic: &str) -> Option<Assignment> {
        self.topics().get(topic).cloned().flatten()
    }

    /// Tells of changes.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Waits until it is time, rebalances, and tells what changed.
    pub(crate) async fn round(&self, pace: &mut Pace) -> Vec<Changed> {
        tokio::select! {
            biased;
            () = self.now.notified() => {}
            () = tokio::time::sleep(pace.wait) => {}
        }
        let topics: Vec<String> = self.topics().keys().cloned().collect();
        let mut all = true;
        let mut changed = Vec::new();
        for topic in topics {
            match self.sharing().of(&topic).await {
                Ok(now) => changed.extend(self.take(topic, now)),
                Err(error) => {
                    tracing::debug!(topic, group = self.group, %error, "a topic's queues stay as they are");
                    all = false;
                }
            }
        }
        *pace = if all {
            Pace {
                wait: self.interval,
                ..Pace::default()
            }
        } else {
            Pace {
                wait: pace.soon.min(self.interval),
                soon: pace.soon.saturating_mul(2),
            }
        };
        if !changed.is_empty() {
            self.changes.send_modify(|changes| *changes += 1);
        }
        changed
    }

    fn sharing(&self) -> Sharing<'_> {
        Sharing {
            client: &self.client,
            group: &self.group,
            message_model: self.message_model,
            strategy: &*self.strategy,
        }
    }

    fn take(&self, topic: String, now: Assignment) -> Option<Changed> {
        let mut topics = self.topics();
        // it may have been left meanwhile
        let known = topics.get_mut(&topic)?;
        if known.as_ref() == Some(&now) {
            return None;
        }
        let before = known.replace(now.clone()).unwrap_or_default();
        drop(topics);
        Some(Changed { topic, before, now })
    }
}
