//! What a consumer tells an operator of itself: the answers to codes 307 and 309. Java's `ConsumerRunningInfo`,
//! `ProcessQueueInfo`, `ConsumeStatus`, `ConsumeMessageDirectlyResult`.

use super::{Body, MessageQueue, SubscriptionData};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a consumer runs (code 307).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumerRunningInfo {
    /// The stacks of its threads, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jstack: Option<String>,
    /// The messages in hand, by queue.
    #[serde(rename = "mqTable")]
    pub queues: BTreeMap<MessageQueue, ProcessQueueInfo>,
    /// Its settings, and the `PROP_…` entries that tools look for.
    pub properties: BTreeMap<String, String>,
    /// Its figures, by topic.
    #[serde(rename = "statusTable")]
    pub statuses: BTreeMap<String, ConsumeStatus>,
    /// What it subscribes to.
    #[serde(rename = "subscriptionSet")]
    pub subscriptions: Vec<SubscriptionData>,
}

/// One queue of a push consumer; all times are in milliseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProcessQueueInfo {
    /// Messages that wait, or that a concurrent listener has.
    pub cached_msg_count: usize,
    /// The highest position of those.
    pub cached_msg_max_offset: i64,
    /// The lowest position of those.
    pub cached_msg_min_offset: i64,
    /// Their bodies, in MiB.
    #[serde(rename = "cachedMsgSizeInMiB")]
    pub cached_msg_size_in_mib: usize,
    /// How far the group has come, by the consumer's own word.
    pub commit_offset: i64,
    /// Whether it has lost the queue.
    #[serde(rename = "droped")]
    pub dropped: bool,
    /// When a listener last got or finished messages.
    pub last_consume_timestamp: i64,
    /// When the broker last confirmed the lock.
    pub last_lock_timestamp: i64,
    /// When messages were last asked for.
    pub last_pull_timestamp: i64,
    /// Whether an orderly consumer holds the lock.
    pub locked: bool,
    /// Messages that an orderly listener has.
    pub transaction_msg_count: usize,
    /// The highest position of those.
    pub transaction_msg_max_offset: i64,
    /// The lowest position of those.
    pub transaction_msg_min_offset: i64,
    /// How often giving the lock back waited for a listener.
    pub try_unlock_times: i64,
}

/// One topic's figures in a consumer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumeStatus {
    /// Messages in the last hour that the listener wants again.
    pub consume_failed_msgs: i64,
    /// Such messages per second.
    #[serde(rename = "consumeFailedTPS")]
    pub consume_failed_tps: f64,
    /// Consumed messages per second.
    #[serde(rename = "consumeOKTPS")]
    pub consume_ok_tps: f64,
    /// Milliseconds in the listener.
    #[serde(rename = "consumeRT")]
    pub consume_rt: f64,
    /// Milliseconds for a pull that brought messages.
    #[serde(rename = "pullRT")]
    pub pull_rt: f64,
    /// Pulled messages per second.
    #[serde(rename = "pullTPS")]
    pub pull_tps: f64,
}

/// How a listener took a message that it was given by hand (code 309).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumeDirectlyResult {
    /// Whether the consumer commits by itself.
    pub auto_commit: bool,
    /// What the listener said.
    pub consume_result: Option<ConsumeResult>,
    /// Whether the listener is an orderly one.
    pub order: bool,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
    /// How long it took, in milliseconds; the name is Java's.
    pub spent_time_mills: i64,
}

/// What a listener said to a message that it was given by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConsumeResult {
    /// It is done.
    #[serde(rename = "CR_SUCCESS")]
    Success,
    /// It wants it again.
    #[serde(rename = "CR_LATER")]
    Later,
    /// It rolled back.
    #[serde(rename = "CR_ROLLBACK")]
    Rollback,
    /// It committed.
    #[serde(rename = "CR_COMMIT")]
    Commit,
    /// It failed.
    #[serde(rename = "CR_THROW_EXCEPTION")]
    ThrowException,
    /// It said nothing.
    #[serde(rename = "CR_RETURN_NULL")]
    ReturnNull,
}

impl Body for ConsumerRunningInfo {}
impl Body for ConsumeDirectlyResult {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Style;

    #[test]
    fn a_queues_figures_have_javas_names() {
        let mut info = ConsumerRunningInfo::default();
        let queue = MessageQueue {
            topic: "T".to_owned(),
            broker_name: "b".to_owned(),
            queue_id: 1,
        };
        let held = ProcessQueueInfo {
            cached_msg_count: 2,
            dropped: true,
            ..ProcessQueueInfo::default()
        };
        info.queues.insert(queue, held);
        info.statuses.insert("T".to_owned(), ConsumeStatus::default());
        let text = String::from_utf8(info.encode(Style::Fastjson)).unwrap();
        assert!(
            text.contains("\"mqTable\":{{\"brokerName\":\"b\",\"queueId\":1,\"topic\":\"T\"}:{\"cachedMsgCount\":2,")
        );
        assert!(text.contains("\"cachedMsgSizeInMiB\":0") && text.contains("\"droped\":true"));
        assert!(text.contains("\"consumeOKTPS\":0.0") && text.contains("\"pullRT\":0.0"));
        assert_eq!(ConsumerRunningInfo::decode(text.as_bytes()).unwrap(), info);
    }

    #[test]
    fn a_listeners_word_is_javas() {
        let result = ConsumeDirectlyResult {
            auto_commit: true,
            consume_result: Some(ConsumeResult::Success),
            spent_time_mills: 3,
            ..ConsumeDirectlyResult::default()
        };
        let text = r#"{"autoCommit":true,"consumeResult":"CR_SUCCESS","order":false,"spentTimeMills":3}"#;
        assert_eq!(String::from_utf8(result.encode(Style::Fastjson)).unwrap(), text);
    }
}
