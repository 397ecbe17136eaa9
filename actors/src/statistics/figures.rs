//! The figures that tools ask for by name and key (code 315): those of each topic, of each group on a topic, and of the
//! broker.

use std::collections::BTreeMap;
use std::sync::Arc;

use cuemq_net::body::BrokerStatsData;

use super::series::{Series, Span};
use crate::traffic::{Pair, Passed, Traffic};

/// What stands between topic and group in a key.
const BETWEEN: char = '@';

/// All figures.
pub struct Figures {
    traffic: Traffic,
    /// The key of the broker's own figures.
    cluster: String,
    topics: BTreeMap<Arc<str>, Series>,
    pairs: BTreeMap<Pair, Series>,
    given_back: BTreeMap<Pair, Series>,
    stored: Series,
    delivered: Series,
}

impl Figures {
    /// Of what is counted there, in a broker of this cluster.
    #[must_use]
    pub fn new(traffic: Traffic, cluster: String) -> Self {
        Self {
            traffic,
            cluster,
            topics: BTreeMap::new(),
            pairs: BTreeMap::new(),
            given_back: BTreeMap::new(),
            stored: Series::default(),
            delivered: Series::default(),
        }
    }

    /// Looks at all counters for one span; `is_first` when nobody has looked for it before.
    pub(super) fn look(&mut self, span: Span, at_ms: u64, is_first: bool) {
        follow(&mut self.topics, self.traffic.by_topic(), |series, passed| {
            series.note(span, at_ms, passed, is_first);
        });
        follow(&mut self.pairs, self.traffic.by_pair(), |series, passed| {
            series.note(span, at_ms, passed, is_first);
        });
        follow(&mut self.given_back, self.traffic.given_back(), |series, passed| {
            series.note(span, at_ms, passed, is_first);
        });
        let totals = self.traffic.totals();
        self.stored.note(span, at_ms, totals.stored, is_first);
        self.delivered.note(span, at_ms, totals.delivered, is_first);
    }

    /// A figure by Java's name for it; `None` for one that nobody counts, or not of that key.
    #[must_use]
    pub fn find(&self, name: &str, key: &str) -> Option<BrokerStatsData> {
        match name {
            "TOPIC_PUT_NUMS" => self.topic(key, |passed| passed.messages),
            "TOPIC_PUT_SIZE" => self.topic(key, |passed| passed.bytes),
            "GROUP_GET_NUMS" => self.got(key, |passed| passed.messages),
            "GROUP_GET_SIZE" => self.got(key, |passed| passed.bytes),
            "SNDBCK_PUT_NUMS" => self.given_back(key),
            "BROKER_PUT_NUMS" => self.broker(key, &self.stored),
            "BROKER_GET_NUMS" => self.broker(key, &self.delivered),
            _ => None,
        }
    }

    fn topic(&self, topic: &str, number: impl Fn(Passed) -> u64) -> Option<BrokerStatsData> {
        match self.topics.get(topic) {
            Some(series) => Some(series.data(number)),
            // It is counted, and nobody has looked since.
            None => self.traffic.counts_topic(topic).then(BrokerStatsData::default),
        }
    }

    fn got(&self, key: &str, number: impl Fn(Passed) -> u64) -> Option<BrokerStatsData> {
        let pair = pair_of(key)?;
        match self.pairs.get(&pair) {
            Some(series) => Some(series.data(number)),
            None => self
                .traffic
                .counts_pair(&pair.topic, &pair.group)
                .then(BrokerStatsData::default),
        }
    }

    fn given_back(&self, key: &str) -> Option<BrokerStatsData> {
        let pair = pair_of(key)?;
        match self.given_back.get(&pair) {
            Some(series) => Some(series.data(|passed| passed.messages)),
            None => self
                .traffic
                .counts_given_back(&pair.topic, &pair.group)
                .then(BrokerStatsData::default),
        }
    }

    /// Java counts no times for the broker as a whole.
    fn broker(&self, key: &str, series: &Series) -> Option<BrokerStatsData> {
        let of_messages = |passed: Passed| passed.messages;
        (key == self.cluster).then(|| {
            let mut data = series.data(of_messages);
            for item in [&mut data.stats_minute, &mut data.stats_hour, &mut data.stats_day] {
                item.avgpt = 0.0;
            }
            data
        })
    }
}

fn pair_of(key: &str) -> Option<Pair> {
    let (topic, group) = key.split_once(BETWEEN)?;
    Some(Pair {
        topic: Arc::from(topic),
        group: Arc::from(group),
    })
}

/// Notes what the counters show; those that are gone are forgotten.
fn follow<K: Ord>(
    known: &mut BTreeMap<K, Series>,
    shown: BTreeMap<K, Passed>,
    mut note: impl FnMut(&mut Series, Passed),
) {
    known.retain(|key, _| shown.contains_key(key));
    for (key, passed) in shown {
        note(known.entry(key).or_default(), passed);
    }
}

#[cfg(test)]
mod tests {
    use super::super::series::{HOUR, MINUTE};
    use super::*;

    fn pulled(traffic: &Traffic, topic: &str, group: &str, messages: u64) {
        let thread = traffic.of_thread(0);
        let flow = thread.to_group(&Arc::from(topic), group, |_, _| true).unwrap();
        thread.delivered(Some(&flow), messages, 10 * messages);
    }

    #[test]
    fn a_group_is_found_by_topic_and_group_with_messages_and_bytes() {
        let traffic = Traffic::new(1);
        let mut figures = Figures::new(traffic.clone(), "Cluster".to_owned());
        figures.look(MINUTE, 0, true);
        pulled(&traffic, "T", "g", 30);
        pulled(&traffic, "T", "h", 5);
        figures.look(MINUTE, 10_000, false);
        let sum = |name, key| figures.find(name, key).map(|data| data.stats_minute.sum);
        assert_eq!(sum("GROUP_GET_NUMS", "T@g"), Some(30));
        assert_eq!(sum("GROUP_GET_SIZE", "T@h"), Some(50));
        assert_eq!(sum("BROKER_GET_NUMS", "Cluster"), Some(35));
        assert_eq!(sum("BROKER_PUT_NUMS", "Cluster"), Some(0));
        for (name, key) in [
            ("GROUP_GET_NUMS", "T@other"),
            ("GROUP_GET_NUMS", "T"),
            ("TOPIC_PUT_NUMS", "T"),
            ("BROKER_GET_NUMS", "Other"),
            ("SNDBCK_PUT_NUMS", "T@g"),
            ("SNDBCK_PUT_NUMS", "T"),
        ] {
            assert_eq!(sum(name, key), None, "{name} {key}");
        }
    }

    #[test]
    fn what_a_group_gives_back_is_found_by_the_topic_that_it_was_of() {
        let traffic = Traffic::new(1);
        let mut figures = Figures::new(traffic.clone(), "Cluster".to_owned());
        figures.look(MINUTE, 0, true);
        for _ in 0..3 {
            traffic.of_thread(0).gave_back(&Arc::from("T"), "g", 100, |_, _| true);
        }
        let sum = |figures: &Figures| figures.find("SNDBCK_PUT_NUMS", "T@g").map(|data| data.stats_minute.sum);
        assert_eq!(sum(&figures), Some(0), "nobody has looked since");
        figures.look(MINUTE, 10_000, false);
        assert_eq!(sum(&figures), Some(3));
        assert_eq!(figures.find("GROUP_GET_NUMS", "T@g"), None);
    }

    #[test]
    fn what_is_counted_since_the_last_look_has_a_figure_already() {
        let traffic = Traffic::new(1);
        let figures = Figures::new(traffic.clone(), "Cluster".to_owned());
        pulled(&traffic, "T", "g", 30);
        assert_eq!(figures.find("GROUP_GET_NUMS", "T@g"), Some(BrokerStatsData::default()));
    }

    #[test]
    fn an_average_is_what_one_pull_brought_and_the_broker_has_none() {
        let traffic = Traffic::new(1);
        let mut figures = Figures::new(traffic.clone(), "Cluster".to_owned());
        figures.look(HOUR, 0, true);
        pulled(&traffic, "T", "g", 30);
        pulled(&traffic, "T", "g", 10);
        figures.look(HOUR, 600_000, false);
        let average = |name, key| figures.find(name, key).unwrap().stats_hour.avgpt;
        assert_eq!(average("GROUP_GET_NUMS", "T@g"), 20.0);
        assert_eq!(average("BROKER_GET_NUMS", "Cluster"), 0.0);
    }
}
