//! What brokers ask of a push consumer, for themselves or for an operator (`ClientRemotingProcessor` in Java).
//!
//! | code | asks to |
//! |---|---|
//! | 40 | rebalance, since the group has changed |
//! | 220 | go to other positions |
//! | 221 | say how far it has come |
//! | 307 | say what it runs |
//! | 309 | consume one message now |

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cuemq_net::body::{
    Body, ConsumeDirectlyResult, ConsumeResult, ConsumerData, ConsumerRunningInfo, ConsumerStatus, MessageQueue,
    ResetOffset, ResetOffsetList,
};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::dialect::Style;
use cuemq_net::request::{ClientStatus, ConsumeDirectly, ResetClientOffset};
use futures_util::future::join_all;

use super::state::{AnyListener, Push};
use crate::clock;
use crate::consumer::listener::{Consumed, ConsumedInOrder, Said};
use crate::consumer::pull::millis;
use crate::instance::{Asked, Group, Member};
use crate::network::BoxFuture;
use crate::received::ReceivedMessage;

/// The release that we announce ourselves as, in Java's words.
const ANNOUNCED_VERSION: &str = "V4_9_8";

/// How long listeners have at most to end before positions are changed under them.
const RESET_WAIT: Duration = Duration::from_secs(10);

impl Member for Push {
    fn group(&self) -> Group {
        Group::Consuming(self.options.group.clone())
    }

    fn topics(&self) -> Vec<String> {
        self.subscribed_topics()
    }

    fn consumer(&self) -> Option<ConsumerData> {
        Some(self.data())
    }

    fn route_changed(&self, topic: &str) {
        if self.subscription(topic).is_some() {
            self.rebalance_now.notify_one();
        }
    }

    fn persist(self: Arc<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move { Push::persist(&self).await })
    }

    fn serve(self: Arc<Self>, asked: Asked) -> BoxFuture<'static, Option<Command>> {
        Box::pin(async move {
            let request = &asked.request;
            match RequestCode(request.code) {
                RequestCode::NOTIFY_CONSUMER_IDS_CHANGED => {
                    self.rebalance_now.notify_one();
                    None
                }
                RequestCode::RESET_CONSUMER_CLIENT_OFFSET => {
                    self.reset(request).await;
                    None
                }
                RequestCode::GET_CONSUMER_STATUS_FROM_CLIENT => Some(self.status(request)),
                RequestCode::GET_CONSUMER_RUNNING_INFO => {
                    let body = self.running_info().encode(Style::Fastjson);
                    Some(Command::response_to(request, ResponseCode::SUCCESS).with_body(body))
                }
                RequestCode::CONSUME_MESSAGE_DIRECTLY => Some(self.consume_directly(request).await),
                _ => None,
            }
        })
    }
}

fn bad(request: &Command, error: &dyn std::error::Error) -> Command {
    Command::response_to(request, ResponseCode::SYSTEM_ERROR).with_remark(error.to_string())
}

/// The offsets in the body of code 220, in the form for Java or that for C++.
fn offsets_in(body: &[u8]) -> Option<BTreeMap<MessageQueue, i64>> {
    if let Ok(reset) = ResetOffset::decode(body) {
        return Some(reset.offset_table);
    }
    let list = ResetOffsetList::decode(body).ok()?;
    let queues = list.offset_table.into_iter().map(|entry| {
        let queue = MessageQueue {
            topic: entry.topic,
            broker_name: entry.broker_name,
            queue_id: entry.queue_id,
        };
        (queue, entry.queue_offset)
    });
    Some(queues.collect())
}

impl Push {
    /// Goes to the positions that an operator wants: the queues are given up, wait for their listeners, and are begun anew.
    async fn reset(self: &Arc<Self>, request: &Command) {
        let view = request.view();
        let (Ok(header), Some(offsets)) = (ResetClientOffset::read(&view), offsets_in(&request.body)) else {
            tracing::warn!(group = self.group(), "a request to change positions cannot be read");
            return;
        };
        tracing::info!(
            group = self.group(),
            topic = header.topic,
            queues = offsets.len(),
            "positions are changed"
        );
        let _rebalancing = self.rebalancing.lock().await;
        let mut owned = self.owned_of(header.topic);
        owned.retain(|owned| offsets.contains_key(&*owned.queue));
        for owned in &owned {
            owned.drop_it();
            owned.held().clear();
        }
        let calls = join_all(owned.iter().map(|owned| owned.turn.write()));
        let _turns = tokio::time::timeout(RESET_WAIT, calls).await;
        for owned in &owned {
            if let Some(queue_offset) = offsets.get(&*owned.queue) {
                self.offsets.set(&owned.queue, *queue_offset);
            }
            if let Err(error) = self.offsets.hand_over(&self.client, &owned.queue).await {
                tracing::warn!(queue = ?owned.queue, %error, "a changed position is not saved");
            }
            self.disown(&owned.queue);
        }
        self.rebalance_now.notify_one();
    }

    fn status(&self, request: &Command) -> Command {
        match ClientStatus::read(&request.view()) {
            Ok(header) => {
                let status = ConsumerStatus {
                    message_queue_table: self.offsets.of_topic(header.topic),
                    ..ConsumerStatus::default()
                };
                Command::response_to(request, ResponseCode::SUCCESS).with_body(status.encode(Style::Fastjson))
            }
            Err(error) => bad(request, &error),
        }
    }

    /// What the consumer runs.
    pub(crate) fn running_info(&self) -> ConsumerRunningInfo {
        let now_ms = self.client.now_ms();
        let queues = self.owned().into_iter().map(|owned| {
            let come_to = self.offsets.in_memory(&owned.queue).unwrap_or(-1);
            ((*owned.queue).clone(), owned.held().info(come_to))
        });
        let mut statistics = self.statistics();
        let topics = self.subscribed_topics().into_iter();
        ConsumerRunningInfo {
            jstack: None,
            queues: queues.collect(),
            properties: self.properties(),
            statuses: topics
                .map(|topic| (topic.clone(), statistics.status(&topic, now_ms)))
                .collect(),
            subscriptions: self.subscriptions().iter().map(|data| (**data).clone()).collect(),
        }
    }

    fn properties(&self) -> BTreeMap<String, String> {
        let options = &self.options;
        let concurrency = self.concurrency.wanted().to_string();
        let entries = [
            ("PROP_NAMESERVER_ADDR", self.client.name_servers().join(";")),
            ("PROP_THREADPOOL_CORE_SIZE", concurrency.clone()),
            ("PROP_CONSUMEORDERLY", self.is_orderly().to_string()),
            ("PROP_CONSUME_TYPE", "CONSUME_PASSIVELY".to_owned()),
            ("PROP_CLIENT_VERSION", ANNOUNCED_VERSION.to_owned()),
            ("PROP_CONSUMER_START_TIMESTAMP", self.started_ms.to_string()),
            ("consumerGroup", options.group.clone()),
            (
                "messageModel",
                if options.is_broadcast() {
                    "BROADCASTING"
                } else {
                    "CLUSTERING"
                }
                .to_owned(),
            ),
            ("consumeThreadMin", concurrency.clone()),
            ("consumeThreadMax", concurrency),
            (
                "consumeMessageBatchMaxSize",
                options.consume_message_batch_max_size.to_string(),
            ),
            ("pullBatchSize", options.pull_batch_size.to_string()),
            ("pullInterval", millis(options.pull_interval).to_string()),
            ("pullThresholdForQueue", options.pull_threshold_for_queue.to_string()),
            (
                "pullThresholdSizeForQueue",
                options.pull_threshold_size_for_queue.to_string(),
            ),
            (
                "maxReconsumeTimes",
                options.max_reconsume_times.unwrap_or(-1).to_string(),
            ),
            ("consumeTimeout", (options.consume_timeout.as_secs() / 60).to_string()),
        ];
        entries.map(|(name, value)| (name.to_owned(), value)).into()
    }

    /// Has the listener consume a message that an operator picked, and tells what it said.
    async fn consume_directly(&self, request: &Command) -> Command {
        let view = request.view();
        let header = match ConsumeDirectly::read(&view) {
            Ok(header) => header,
            Err(error) => return bad(request, &error),
        };
        let message = match ReceivedMessage::read_one(&request.body, header.broker_name.unwrap_or_default()) {
            Ok(message) => message.in_namespace(&self.namespace),
            Err(error) => return bad(request, &error),
        };
        let begun = clock::now();
        let consume_result = match &self.listener {
            AnyListener::Concurrent(listener) => match listener.call(vec![message]).await {
                Said::Status(Consumed::Success | Consumed::Partly(1..)) => ConsumeResult::Success,
                Said::Status(_) => ConsumeResult::Later,
                Said::Panicked => ConsumeResult::ThrowException,
                Said::NotGiven => ConsumeResult::ReturnNull,
            },
            AnyListener::Orderly(listener) => match listener.call(vec![message]).await {
                Said::Status(ConsumedInOrder::Success) => ConsumeResult::Success,
                Said::Status(ConsumedInOrder::Commit) => ConsumeResult::Commit,
                Said::Status(ConsumedInOrder::Rollback) => ConsumeResult::Rollback,
                Said::Status(ConsumedInOrder::Suspend(_)) => ConsumeResult::Later,
                Said::Panicked => ConsumeResult::ThrowException,
                Said::NotGiven => ConsumeResult::ReturnNull,
            },
        };
        let result = ConsumeDirectlyResult {
            auto_commit: self.options.auto_commit,
            consume_result: Some(consume_result),
            order: self.is_orderly(),
            remark: None,
            spent_time_mills: millis(clock::now().saturating_duration_since(begun)),
        };
        Command::response_to(request, ResponseCode::SUCCESS).with_body(result.encode(Style::Fastjson))
    }
}
