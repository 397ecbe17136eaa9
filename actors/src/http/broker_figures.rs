//! The metrics of RocketMQ 5 (`BrokerMetricsConstant`, `DefaultStoreMetricsConstant` in Java), with their labels.

use std::collections::BTreeMap;
use std::fmt::Result;

use cuemq_net::body::ConsumeType;

use super::families::{Families, Labels, classes};
use super::in_hand::InHand;
use super::lag::Lag;
use super::sources::{BrokerSources, Sources};
use crate::rebalance::Member;
use crate::topic::{DEAD_LETTER_PREFIX, RETRY_PREFIX, is_system_name};
use crate::traffic::{Pair, Passed, SIZES};

/// How RocketMQ's own groups begin, in any case of letters.
const SYSTEM_GROUP: &str = "cid_rmq_sys_";

/// The labels that all values have.
fn node(broker: &BrokerSources) -> Labels<'_> {
    let identity = &broker.identity;
    vec![
        ("cluster", identity.cluster_name.as_str().into()),
        ("node_type", "broker".into()),
        ("node_id", identity.broker_name.as_str().into()),
    ]
}

/// Those and some more.
pub(super) fn with<'a>(
    broker: &'a BrokerSources,
    labels: impl IntoIterator<Item = (&'static str, &'a str)>,
) -> Labels<'a> {
    let mut all = node(broker);
    all.extend(labels.into_iter().map(|(name, value)| (name, value.into())));
    all
}

/// A truth as RocketMQ writes it.
pub(super) fn told(truth: bool) -> &'static str {
    if truth { "true" } else { "false" }
}

fn is_system_group(group: &str) -> bool {
    let start = group.get(..SYSTEM_GROUP.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(SYSTEM_GROUP))
}

fn is_retry(topic: &str) -> bool {
    topic.starts_with(RETRY_PREFIX) || topic.starts_with(DEAD_LETTER_PREFIX)
}

/// What came in, by topic.
pub(super) fn incoming<'a>(
    to: &mut Families<'_>,
    broker: &BrokerSources,
    topics: impl Iterator<Item = (&'a str, Passed)> + Clone,
) -> Result {
    let labels = |topic: &'a str| {
        let is_system = told(is_system_name(topic));
        let mut all = node(broker);
        all.push(("topic", topic.into()));
        // What waits is told under the topic that it waits in, and what an application orders itself is stored like any other.
        all.extend([("message_type", "normal".into()), ("is_system", is_system.into())]);
        all
    };
    to.counters(
        "rocketmq_messages_in",
        "Messages that were stored, by topic",
        topics.clone().map(|(topic, passed)| (labels(topic), passed.messages)),
    )?;
    to.counters(
        "rocketmq_throughput_in",
        "Bytes of the records that were stored, by topic",
        topics.map(|(topic, passed)| (labels(topic), passed.bytes)),
    )
}

/// What went out, by topic and group.
pub(super) fn outgoing(to: &mut Families<'_>, broker: &BrokerSources, pairs: &BTreeMap<Pair, Passed>) -> Result {
    let known = || {
        let is_known = |(pair, _): &(&Pair, &Passed)| broker.topics.contains(&pair.topic);
        pairs.iter().filter(is_known)
    };
    let labels = |pair: &Pair| {
        let mut all = node(broker);
        let is_system = is_system_name(&pair.topic) || is_system_group(&pair.group);
        all.extend([
            ("topic", pair.topic.to_string().into()),
            ("consumer_group", pair.group.to_string().into()),
            ("is_retry", told(is_retry(&pair.topic)).into()),
            ("is_system", told(is_system).into()),
        ]);
        all
    };
    to.counters(
        "rocketmq_messages_out",
        "Messages in answers to pulls, by topic and consumer group",
        known().map(|(pair, passed)| (labels(pair), passed.messages)),
    )?;
    to.counters(
        "rocketmq_throughput_out",
        "Bytes of the records in answers to pulls, by topic and consumer group",
        known().map(|(pair, passed)| (labels(pair), passed.bytes)),
    )
}

/// How large messages are.
pub(super) fn sizes(to: &mut Families<'_>, sources: &Sources, broker: &BrokerSources, bytes_in: u64) -> Result {
    let numbers = sources.traffic.by_size();
    to.histogram(
        "rocketmq_message_size",
        "Bytes of a stored message, for each send the mean of its messages",
        &with(broker, [("message_type", "normal")]),
        bytes_in as f64,
        classes(&SIZES, 1.0, &numbers),
    )
}

/// Who is connected: members of groups by language and release.
pub(super) fn connections(to: &mut Families<'_>, broker: &BrokerSources) -> Result {
    let client = |member: &Member| (member.client.language.name(), member.client.version);
    let mut producers: BTreeMap<(&'static str, i32), u64> = BTreeMap::new();
    for group in broker.membership.producer_groups() {
        for member in &group.members {
            *producers.entry(client(member)).or_default() += 1;
        }
    }
    let of_client = |(language, version): (&'static str, i32)| {
        let mut all = node(broker);
        all.push(("language", language.to_ascii_lowercase().into()));
        all.push(("version", version.to_string().into()));
        all.push(("protocol_type", "remoting".into()));
        all
    };
    to.gauges(
        "rocketmq_producer_connections",
        "Members of producer groups, by language and release number of the client",
        producers
            .into_iter()
            .map(|(client, number)| (of_client(client), number)),
    )?;
    let mut consumers = BTreeMap::new();
    for group in broker.membership.consumer_groups() {
        for member in group.members() {
            let mode = match group.consume_type {
                ConsumeType::Actively => "pull",
                ConsumeType::Passively => "push",
                ConsumeType::Pop => "pop",
            };
            let key = (group.name.to_string(), mode, client(member));
            *consumers.entry(key).or_insert(0_u64) += 1;
        }
    }
    to.gauges(
        "rocketmq_consumer_connections",
        "Members of consumer groups, by language and release number of the client",
        consumers.into_iter().map(|((group, mode, client), number)| {
            let mut all = of_client(client);
            all.push(("is_system", told(is_system_group(&group)).into()));
            all.push(("consumer_group", group.into()));
            all.push(("consume_mode", mode.into()));
            (all, number)
        }),
    )
}

/// The labels of a group on a topic.
fn of_group<'a>(broker: &'a BrokerSources, group: &str, topic: &str) -> Labels<'a> {
    let mut all = node(broker);
    let is_system = is_system_name(topic) || is_system_group(group);
    all.extend([
        ("consumer_group", group.to_owned().into()),
        ("topic", topic.to_owned().into()),
        ("is_retry", told(is_retry(topic)).into()),
        ("is_system", told(is_system).into()),
    ]);
    all
}

/// What groups that are online have pulled and not committed, and what they have not pulled.
pub(super) fn in_hand(to: &mut Families<'_>, broker: &BrokerSources, in_hand: &[InHand]) -> Result {
    let labels = |of: &InHand| of_group(broker, &of.pair.group, &of.pair.topic);
    to.gauges(
        "rocketmq_consumer_inflight_messages",
        "Messages that a group has pulled since the broker started and not committed",
        in_hand.iter().map(|of| (labels(of), of.pulled)),
    )?;
    to.gauges(
        "rocketmq_consumer_ready_messages",
        "Messages of the queues that a group pulls which it has not pulled yet",
        in_hand.iter().map(|of| (labels(of), of.ready)),
    )?;
    to.gauges(
        "rocketmq_consumer_queueing_latency",
        "Age in milliseconds of the oldest message that a group has not pulled yet",
        in_hand.iter().filter_map(|of| Some((labels(of), of.latency_ms?))),
    )
}

/// How far groups are behind.
pub(super) fn lag(to: &mut Families<'_>, broker: &BrokerSources, lags: &[Lag]) -> Result {
    let labels = |lag: &Lag| of_group(broker, &lag.group, &lag.topic);
    to.gauges(
        "rocketmq_consumer_lag_messages",
        "Messages between a group's committed offsets and the ends of the queues",
        lags.iter().map(|lag| (labels(lag), lag.messages)),
    )?;
    to.gauges(
        "rocketmq_consumer_lag_latency",
        "Age in milliseconds of the oldest message that a group has not committed",
        lags.iter().filter_map(|lag| Some((labels(lag), lag.latency_ms?))),
    )
}

/// The broker and its tables.
pub(super) fn tables(to: &mut Families<'_>, broker: &BrokerSources) -> Result {
    let one = |number: usize| [(node(broker), number)];
    to.gauges(
        "rocketmq_broker_permission",
        "What may be done with the broker: 4 read, 2 write, 6 both",
        [(node(broker), broker.identity.permission().0)],
    )?;
    to.gauges(
        "rocketmq_topic_number",
        "Topics of the broker",
        one(broker.topics.count()),
    )?;
    to.gauges(
        "rocketmq_consumer_group_number",
        "Consumer groups of the broker, online or not",
        one(broker.groups.count()),
    )
}

/// The store; `behind` is how many bytes of the log have not reached a consume queue or the index.
pub(super) fn storage(to: &mut Families<'_>, broker: &BrokerSources, behind: u64, now_ms: u64) -> Result {
    let labels = || with(broker, [("storage_type", "local"), ("storage_medium", "disk")]);
    // What the disk does not tell is left out.
    let space = broker.disk.space(&broker.root).ok();
    to.gauges(
        "rocketmq_storage_size",
        "Bytes that are used of the file system of the store, by the broker and others",
        space.map(|space| (labels(), space.total.saturating_sub(space.available))),
    )?;
    let unflushed = broker.log.visible().0.saturating_sub(broker.log.durable().0);
    to.gauges(
        "rocketmq_storage_flush_behind_bytes",
        "Bytes of the log that readers see and that are not on disk yet",
        [(labels(), unflushed)],
    )?;
    to.gauges(
        "rocketmq_storage_dispatch_behind_bytes",
        "Bytes of the log from the first record on that a consume queue or the index has not taken yet",
        [(labels(), behind)],
    )?;
    let oldest = broker.log.store_time(broker.log.minimum()).ok().flatten();
    let kept_ms = oldest.and_then(|oldest| Some(now_ms.saturating_sub(u64::try_from(oldest).ok()?)));
    to.gauges(
        "rocketmq_storage_message_reserve_time",
        "Age in milliseconds of the oldest message of the log",
        kept_ms.map(|kept_ms| (labels(), kept_ms)),
    )
}
