//! What a push consumer is to be like: Java's names (`DefaultMQPushConsumer`) in Rust's case, and Java's defaults and limits.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cuemq_net::body::{ConsumeFromWhere, MessageModel};

use crate::allocation::{AllocateMessageQueueStrategy, Averagely};
use crate::consumer::flow_control::{FlowControl, TopicLimits};
use crate::consumer::hook::ConsumeMessageHook;
use crate::namespace::Namespace;
use crate::subscription::MessageSelector;

/// A group that no application may take: Java's default name.
const DEFAULT_CONSUMER_GROUP: &str = "DEFAULT_CONSUMER";

/// The longest group name, in characters.
const GROUP_CHARACTERS_MAX: usize = 255;

/// How often a message is tried again where neither the consumer nor its group says.
const RECONSUME_TIMES_DEFAULT: i32 = 16;

/// The settings of a push consumer.
#[derive(Clone)]
pub(crate) struct PushConsumerOptions {
    pub(crate) group: String,
    pub(crate) subscriptions: BTreeMap<String, MessageSelector>,
    pub(crate) message_model: MessageModel,
    pub(crate) consume_from_where: ConsumeFromWhere,
    pub(crate) consume_timestamp_ms: Option<i64>,
    pub(crate) consume_concurrency: usize,
    pub(crate) consume_concurrently_max_span: usize,
    pub(crate) pull_threshold_for_queue: usize,
    pub(crate) pull_threshold_size_for_queue: usize,
    pub(crate) pull_threshold_for_topic: Option<usize>,
    pub(crate) pull_threshold_size_for_topic: Option<usize>,
    pub(crate) pull_interval: Duration,
    pub(crate) pull_time_delay_when_exception: Duration,
    pub(crate) consume_message_batch_max_size: usize,
    pub(crate) pull_batch_size: usize,
    pub(crate) post_subscription_when_pull: bool,
    pub(crate) unit_mode: bool,
    pub(crate) max_reconsume_times: Option<i32>,
    pub(crate) suspend_current_queue_time: Duration,
    pub(crate) auto_commit: bool,
    pub(crate) consume_timeout: Duration,
    pub(crate) rebalance_interval: Duration,
    pub(crate) await_termination_when_shutdown: Duration,
    pub(crate) local_offset_store_dir: Option<PathBuf>,
    pub(crate) strategy: Arc<dyn AllocateMessageQueueStrategy>,
    pub(crate) hooks: Vec<Arc<dyn ConsumeMessageHook>>,
}

impl PushConsumerOptions {
    /// Java's defaults, for this group.
    pub(crate) fn new(group: impl Into<String>) -> Self {
        Self {
            group: group.into(),
            subscriptions: BTreeMap::new(),
            message_model: MessageModel::Clustering,
            consume_from_where: ConsumeFromWhere::LastOffset,
            consume_timestamp_ms: None,
            consume_concurrency: 20,
            consume_concurrently_max_span: 2000,
            pull_threshold_for_queue: 1000,
            pull_threshold_size_for_queue: 100,
            pull_threshold_for_topic: None,
            pull_threshold_size_for_topic: None,
            pull_interval: Duration::ZERO,
            pull_time_delay_when_exception: Duration::from_secs(3),
            consume_message_batch_max_size: 1,
            pull_batch_size: 32,
            post_subscription_when_pull: false,
            unit_mode: false,
            max_reconsume_times: None,
            suspend_current_queue_time: Duration::from_secs(1),
            auto_commit: true,
            consume_timeout: Duration::from_secs(15 * 60),
            rebalance_interval: Duration::from_secs(20),
            await_termination_when_shutdown: Duration::from_secs(30),
            local_offset_store_dir: None,
            strategy: Arc::new(Averagely),
            hooks: Vec::new(),
        }
    }

    /// Takes the names of a namespace.
    pub(crate) fn enter(&mut self, namespace: &Namespace) {
        self.group = namespace.wrap(&self.group).into_owned();
        let subscriptions = std::mem::take(&mut self.subscriptions).into_iter();
        self.subscriptions = subscriptions
            .map(|(topic, selector)| (namespace.wrap(&topic).into_owned(), selector))
            .collect();
    }

    pub(crate) fn flow_control(&self, is_orderly: bool) -> FlowControl {
        let span = i64::try_from(self.consume_concurrently_max_span).unwrap_or(i64::MAX);
        FlowControl {
            messages: self.pull_threshold_for_queue,
            size_mib: self.pull_threshold_size_for_queue,
            span: (!is_orderly).then_some(span),
        }
    }

    pub(crate) fn topic_limits(&self) -> TopicLimits {
        TopicLimits {
            messages: self.pull_threshold_for_topic,
            size_mib: self.pull_threshold_size_for_topic,
        }
    }

    pub(crate) fn is_broadcast(&self) -> bool {
        self.message_model == MessageModel::Broadcasting
    }

    /// How often a concurrent listener is given a message before it goes to the dead letters.
    pub(crate) fn concurrent_reconsume_times(&self) -> i32 {
        self.max_reconsume_times.unwrap_or(RECONSUME_TIMES_DEFAULT)
    }

    /// Says which setting is out of its range, and what the range is, as Java's `checkConfig`.
    pub(crate) fn check(&self) -> Result<(), String> {
        check_group(&self.group)?;
        if self.group == DEFAULT_CONSUMER_GROUP {
            return Err(format!(
                "the group may not be {DEFAULT_CONSUMER_GROUP}; give it a name of its own"
            ));
        }
        if self.subscriptions.is_empty() {
            return Err("nothing is subscribed to; call subscribe".to_owned());
        }
        let pull_interval_ms = usize::try_from(self.pull_interval.as_millis()).unwrap_or(usize::MAX);
        for (name, value, low, high) in [
            ("consume_concurrency", Some(self.consume_concurrency), 1, 1000),
            (
                "consume_concurrently_max_span",
                Some(self.consume_concurrently_max_span),
                1,
                65_535,
            ),
            (
                "pull_threshold_for_queue",
                Some(self.pull_threshold_for_queue),
                1,
                65_535,
            ),
            ("pull_threshold_for_topic", self.pull_threshold_for_topic, 1, 6_553_500),
            (
                "pull_threshold_size_for_queue",
                Some(self.pull_threshold_size_for_queue),
                1,
                1024,
            ),
            (
                "pull_threshold_size_for_topic",
                self.pull_threshold_size_for_topic,
                1,
                102_400,
            ),
            ("pull_interval in ms", Some(pull_interval_ms), 0, 65_535),
            (
                "consume_message_batch_max_size",
                Some(self.consume_message_batch_max_size),
                1,
                1024,
            ),
            ("pull_batch_size", Some(self.pull_batch_size), 1, 1024),
        ] {
            if let Some(value) = value.filter(|value| !(low..=high).contains(value)) {
                return Err(format!("{name} is {value}; it may be {low} to {high}"));
            }
        }
        Ok(())
    }
}

/// Says what is wrong with a group's name (`Validators.checkGroup`).
pub(crate) fn check_group(group: &str) -> Result<(), String> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || "%|_-".contains(c);
    if group.is_empty() || group.len() > GROUP_CHARACTERS_MAX || !group.chars().all(is_fine) {
        return Err(format!(
            "the group `{group}` may not be called so; use 1 to {GROUP_CHARACTERS_MAX} letters, digits and the signs % | _ -"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscribed(group: &str) -> PushConsumerOptions {
        let mut options = PushConsumerOptions::new(group);
        options.subscriptions.insert("T".to_owned(), MessageSelector::all());
        options
    }

    #[test]
    fn javas_defaults_are_within_javas_limits() {
        assert_eq!(subscribed("g").check(), Ok(()));
        assert_eq!(subscribed("g").concurrent_reconsume_times(), 16);
    }

    #[test]
    fn what_is_out_of_its_range_is_named_with_the_range() {
        type Change = fn(&mut PushConsumerOptions);
        let changes: [(Change, &str); 6] = [
            (
                |options| options.consume_concurrency = 0,
                "consume_concurrency is 0; it may be 1 to 1000",
            ),
            (
                |options| options.pull_batch_size = 1025,
                "pull_batch_size is 1025; it may be 1 to 1024",
            ),
            (
                |options| options.pull_threshold_for_topic = Some(0),
                "pull_threshold_for_topic is 0;",
            ),
            (
                |options| options.pull_interval = Duration::from_secs(66),
                "pull_interval in ms is 66000;",
            ),
            (
                |options| options.group = "DEFAULT_CONSUMER".to_owned(),
                "the group may not be DEFAULT_CONSUMER",
            ),
            (|options| options.subscriptions.clear(), "nothing is subscribed to"),
        ];
        for (change, said) in changes {
            let mut options = subscribed("g");
            change(&mut options);
            let refused = options.check().unwrap_err();
            assert!(refused.starts_with(said), "{refused}");
        }
    }

    #[test]
    fn groups_are_letters_digits_and_four_signs() {
        for fine in ["g", "%RETRY%g", "a_b-c|d", &"x".repeat(255)] {
            assert_eq!(check_group(fine), Ok(()));
        }
        for bad in ["", " ", "a b", "ü", "a.b", &"x".repeat(256)] {
            assert!(check_group(bad).is_err(), "{bad}");
        }
    }
}
