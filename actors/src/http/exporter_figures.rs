//! The metrics of rocketmq-exporter that its dashboards show (`RMQMetricsCollector` in Java), with their labels. Those per
//! second are means of the last 30 to 60 s.

use std::collections::BTreeMap;
use std::fmt::Result;
use std::sync::Arc;
use std::time::Duration;

use cuemq_net::body::MessageModel;

use super::families::{Families, Labels};
use super::lag::{Lag, ends};
use super::rates::{Rate, Rates};
use super::sources::BrokerSources;
use crate::traffic::{Pair, Passed};

fn labels<'a>(broker: &'a BrokerSources, further: impl IntoIterator<Item = (&'static str, String)>) -> Labels<'a> {
    let identity = &broker.identity;
    let mut all: Labels<'a> = vec![
        ("cluster", identity.cluster_name.as_str().into()),
        ("broker", identity.broker_name.as_str().into()),
    ];
    all.extend(further.into_iter().map(|(name, value)| (name, value.into())));
    all
}

/// How much passes in a second: in all, into each topic, out of it to each group.
pub(super) fn rates(
    to: &mut Families<'_>,
    broker: &BrokerSources,
    rates: &Rates,
    (topics, pairs): (&BTreeMap<Arc<str>, Passed>, &BTreeMap<Pair, Passed>),
    now: Duration,
) -> Result {
    let known = |topic: &str| broker.topics.contains(topic);
    let topics: Vec<(&Arc<str>, Rate)> = topics
        .iter()
        .filter(|(topic, _)| known(topic))
        .map(|(topic, passed)| (topic, rates.of_topic(topic, *passed, now)))
        .collect();
    let pairs: Vec<(&Pair, Rate)> = pairs
        .iter()
        .filter(|(pair, _)| known(&pair.topic))
        .map(|(pair, passed)| (pair, rates.of_pair(pair, *passed, now)))
        .collect();
    let whole = |rate: f64| {
        [(
            labels(broker, [("brokerIP", broker.identity.store_host.to_string())]),
            rate,
        )]
    };
    let in_all = topics.iter().map(|(_, rate)| rate.messages).sum();
    let out_all = pairs.iter().map(|(_, rate)| rate.messages).sum();
    to.gauges("rocketmq_broker_tps", "Messages stored in a second", whole(in_all))?;
    to.gauges("rocketmq_broker_qps", "Messages pulled in a second", whole(out_all))?;
    let of_topic = |topic: &Arc<str>| labels(broker, [("topic", topic.to_string())]);
    to.gauges(
        "rocketmq_producer_tps",
        "Messages stored in a second, by topic",
        topics.iter().map(|(topic, rate)| (of_topic(topic), rate.messages)),
    )?;
    to.gauges(
        "rocketmq_producer_message_size",
        "Bytes of records stored in a second, by topic",
        topics.iter().map(|(topic, rate)| (of_topic(topic), rate.bytes)),
    )?;
    let of_pair = |pair: &Pair| of_pair(broker, &pair.topic, &pair.group);
    to.gauges(
        "rocketmq_consumer_tps",
        "Messages pulled in a second, by topic and group",
        pairs.iter().map(|(pair, rate)| (of_pair(pair), rate.messages)),
    )?;
    to.gauges(
        "rocketmq_consumer_message_size",
        "Bytes of records pulled in a second, by topic and group",
        pairs.iter().map(|(pair, rate)| (of_pair(pair), rate.bytes)),
    )
}

fn of_pair<'a>(broker: &'a BrokerSources, topic: &str, group: &str) -> Labels<'a> {
    labels(broker, [("topic", topic.to_owned()), ("group", group.to_owned())])
}

/// The ends of topics: the sum over the queues of each.
pub(super) fn ends_of_topics(to: &mut Families<'_>, broker: &BrokerSources) -> Result {
    let mut topics: BTreeMap<Arc<str>, u64> = BTreeMap::new();
    broker.queues.for_each(|topic, _, queue| {
        if broker.topics.contains(topic) {
            *topics.entry(Arc::clone(topic)).or_default() += ends(queue).1;
        }
    });
    to.gauges(
        "rocketmq_producer_offset",
        "The sum of the ends of a topic's queues",
        topics
            .into_iter()
            .map(|(topic, end)| (labels(broker, [("topic", topic.to_string())]), end)),
    )
}

/// How far groups have come.
pub(super) fn groups(to: &mut Families<'_>, broker: &BrokerSources, lags: &[Lag]) -> Result {
    let of_lag = |lag: &Lag| of_pair(broker, &lag.topic, &lag.group);
    to.gauges(
        "rocketmq_consumer_offset",
        "The sum of a group's committed offsets on a topic",
        lags.iter().map(|lag| (of_lag(lag), lag.committed)),
    )?;
    to.gauges(
        "rocketmq_message_accumulation",
        "Messages of a topic that a group has not committed",
        lags.iter().map(|lag| (of_lag(lag), lag.messages)),
    )?;
    to.gauges(
        "rocketmq_group_get_latency_by_storetime",
        "Age in milliseconds of the oldest message of a topic that a group has not committed",
        lags.iter().filter_map(|lag| Some((of_lag(lag), lag.latency_ms?))),
    )?;
    let online = |group: &str| {
        let found = broker.membership.with_consumer_group(group, |group| {
            let broadcasts = group.message_model == MessageModel::Broadcasting;
            (group.members().len(), if broadcasts { "0" } else { "1" })
        });
        found.unwrap_or((0, "1"))
    };
    to.gauges(
        "rocketmq_group_diff",
        "Messages of a topic that a group has not committed, with how many of its members are online",
        lags.iter().map(|lag| {
            let (members, model) = online(&lag.group);
            let all: Labels<'_> = vec![
                ("group", lag.group.to_string().into()),
                ("topic", lag.topic.to_string().into()),
                ("countOfOnlineConsumers", members.to_string().into()),
                ("msgModel", model.into()),
            ];
            (all, lag.messages)
        }),
    )
}
