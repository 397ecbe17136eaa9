//! Applications that consume, in a concurrent group and in an orderly one. One host's come and go.

use std::sync::Arc;
use std::time::Duration;

use cuemq_client::{Client, Consumed, ConsumedInOrder, Error, PushConsumer, ReceivedMessage};
use cuemq_net::body::ConsumeFromWhere;
use cuemq_storage::entropy::{Entropy, SeededEntropy};
use tokio::time::{sleep, timeout};

use super::host::{AppHost, FORGOTTEN, GONE};
use super::ledger::{AppGroup, Ended, Ledger};
use super::producing::LOOSE_TOPIC;
use crate::sim::body::{Queue, TOPICS};
use crate::sim::later;

/// How often queues are shared out anew if nothing changes.
const REBALANCE: Duration = Duration::from_secs(3);

/// The topics that a group consumes.
pub(super) fn topics(group: AppGroup) -> Vec<u8> {
    let ordered = 0..TOPICS;
    match group {
        AppGroup::Orderly => ordered.collect(),
        AppGroup::Concurrent => ordered.chain([LOOSE_TOPIC, later::QUEUE.topic]).collect(),
    }
}

/// One life of a host whose consumers stay.
pub(super) async fn stay(host: AppHost) -> turmoil::Result {
    let life = host.begin();
    let before = AppHost::tasks();
    let visit = Visit::start(&host, life, 0).await?;
    host.until_leave().await;
    visit.end(&host, before).await;
    host.done();
    Ok(())
}

/// One life of a host whose consumers come and go, until senders end; they are away then.
pub(super) async fn come_and_go(host: AppHost) -> turmoil::Result {
    let life = host.begin();
    let before = AppHost::tasks();
    let entropy = host.entropy(life, 7);
    let mut number = 0;
    while !host.order().is_over() {
        number += 1;
        let visit = Visit::start(&host, life, number).await?;
        let stays = Duration::from_millis(100 + entropy.below(4000));
        let _over = timeout(stays, host.until_over()).await;
        if entropy.below(4) == 0 {
            // it goes without a word, as a program that forgot to say it
            drop(visit);
            host.expect_tasks(before, FORGOTTEN).await;
        } else {
            visit.end(&host, before).await;
        }
        sleep(Duration::from_millis(100 + entropy.below(1500))).await;
    }
    host.expect_tasks(before, GONE).await;
    host.done();
    Ok(())
}

/// Two consumers with one client.
struct Visit {
    client: Client,
    concurrent: PushConsumer,
    orderly: PushConsumer,
}

impl Visit {
    async fn start(host: &AppHost, life: u64, number: u64) -> Result<Self, Error> {
        let client = host.options(life, "consumers").start().await?;
        let seed = host.entropy(life, 100 + number).next_u64();
        let mut concurrent = PushConsumer::builder(AppGroup::Concurrent.name())
            .client(&client)
            .rebalance_interval(REBALANCE)
            .consume_concurrency(4)
            .consume_message_batch_max_size(2)
            .consume_from_where(ConsumeFromWhere::FirstOffset);
        for topic in topics(AppGroup::Concurrent) {
            concurrent = concurrent.subscribe(Queue { topic, queue_id: 0 }.topic_name(), "*");
        }
        let listener = Listener::new(host, AppGroup::Concurrent, seed);
        let concurrent = concurrent
            .start(move |messages: Vec<ReceivedMessage>| {
                let listener = Arc::clone(&listener);
                async move { listener.consume(messages).await }
            })
            .await?;
        let mut orderly = PushConsumer::builder(AppGroup::Orderly.name())
            .client(&client)
            .rebalance_interval(REBALANCE)
            .suspend_current_queue_time(Duration::from_millis(50))
            .consume_message_batch_max_size(3)
            .consume_from_where(ConsumeFromWhere::FirstOffset);
        for topic in topics(AppGroup::Orderly) {
            orderly = orderly.subscribe(Queue { topic, queue_id: 0 }.topic_name(), "*");
        }
        let listener = Listener::new(host, AppGroup::Orderly, seed ^ 1);
        let orderly = orderly
            .start_orderly(move |messages: Vec<ReceivedMessage>| {
                let listener = Arc::clone(&listener);
                async move { listener.consume_in_order(messages).await }
            })
            .await?;
        Ok(Self {
            client,
            concurrent,
            orderly,
        })
    }

    /// Shuts all down, as an application does.
    async fn end(self, host: &AppHost, before: usize) {
        // what could not be saved comes again
        let _ = self.concurrent.shutdown().await;
        let _ = self.orderly.shutdown().await;
        self.client.shutdown().await;
        drop(self);
        host.expect_tasks(before, GONE).await;
    }
}

struct Listener {
    ledger: Arc<Ledger>,
    group: AppGroup,
    host: u16,
    entropy: SeededEntropy,
}

impl Listener {
    fn new(host: &AppHost, group: AppGroup, seed: u64) -> Arc<Self> {
        Arc::new(Self {
            ledger: Arc::clone(&host.common.ledger),
            group,
            host: host.number,
            entropy: SeededEntropy::new(seed),
        })
    }

    /// Works on messages for a while; whether they are done.
    async fn work(&self, messages: &[ReceivedMessage]) -> bool {
        let call = self.ledger.call(self.group, self.host, messages);
        sleep(Duration::from_millis(self.entropy.below(25))).await;
        let is_done = self.entropy.below(12) != 0;
        call.end(if is_done { Ended::Done } else { Ended::Again });
        is_done
    }

    async fn consume(&self, messages: Vec<ReceivedMessage>) -> Consumed {
        if self.work(&messages).await {
            Consumed::Success
        } else {
            Consumed::Later
        }
    }

    async fn consume_in_order(&self, messages: Vec<ReceivedMessage>) -> ConsumedInOrder {
        if self.work(&messages).await {
            ConsumedInOrder::Success
        } else {
            ConsumedInOrder::Suspend(None)
        }
    }
}
