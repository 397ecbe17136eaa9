//! `/metrics`: reads all figures once and writes them.

use std::fmt;
use std::sync::{Arc, PoisonError};

use cuemq_storage::position::PhysicalOffset;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::registry::Registry;

use super::families::Families;
use super::lag::Reads;
use super::sources::{BrokerSources, Sources};
use super::{broker_figures, exporter_figures, in_hand, lag, own_figures, request_figures};

/// What a scrape is answered with.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All figures as text.
pub(super) fn text_of(sources: &Arc<Sources>) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape(Arc::clone(sources))));
    let mut text = String::new();
    text::encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Scrape(Arc<Sources>);

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (sources, mut to) = (&self.0, Families(encoder));
        own_figures::system(&mut to, sources)?;
        own_figures::connections(&mut to, sources)?;
        own_figures::name_server(&mut to, sources)?;
        match sources.broker.get() {
            Some(broker) => of_broker(&mut to, sources, broker),
            None => Ok(()),
        }
    }
}

fn of_broker(to: &mut Families<'_>, sources: &Sources, broker: &BrokerSources) -> fmt::Result {
    let (now, now_ms) = (sources.clock.monotonic(), sources.clock.now_ms());
    let (topics, pairs) = (sources.traffic.by_topic(), sources.traffic.by_pair());
    let bytes_in = topics.values().map(|passed| passed.bytes).sum();
    let known = topics.iter().filter(|(topic, _)| broker.topics.contains(topic));
    broker_figures::incoming(to, broker, known.map(|(topic, passed)| (&**topic, *passed)))?;
    broker_figures::outgoing(to, broker, &pairs)?;
    broker_figures::sizes(to, sources, broker, bytes_in)?;
    broker_figures::connections(to, broker)?;
    broker_figures::tables(to, broker)?;
    let behind = behind(broker);
    broker_figures::storage(to, broker, behind.0.max(behind.1), now_ms)?;
    own_figures::broker(to, sources, broker, behind)?;
    request_figures::latency(to, broker, &sources.traffic.rpcs())?;
    request_figures::watermarks(to, broker, &sources.traffic)?;
    let mut reads = Reads::new(now_ms);
    let lags = lag::measure(broker, &mut reads);
    broker_figures::lag(to, broker, &lags)?;
    let in_hand = in_hand::measure(broker, &sources.traffic, &mut reads);
    broker_figures::in_hand(to, broker, &in_hand)?;
    exporter_figures::groups(to, broker, &lags)?;
    exporter_figures::ends_of_topics(to, broker)?;
    let rates = sources.rates.lock().unwrap_or_else(PoisonError::into_inner);
    exporter_figures::rates(to, broker, &rates, (&topics, &pairs), now)
}

/// How many bytes of the log the consume queues and the index are behind.
fn behind(broker: &BrokerSources) -> (u64, u64) {
    let visible = broker.log.visible();
    let until = |from: Option<PhysicalOffset>| from.map_or(0, |from| visible.0.saturating_sub(from.0));
    let mut queues = 0;
    broker
        .queues
        .for_each(|_, _, queue| queues = until(queue.behind().from()).max(queues));
    (queues, until(broker.index_backlog.behind.from()))
}
