//! What can be asked of the route table's topics, and what operators change there.

use super::routes::RouteTable;
use cuemq_net::body::{QueueData, TopicList};

/// The permission bit of writing.
const WRITE: u32 = 2;
/// The bit of a topic's flag that says that it belongs to one unit.
const UNIT: u32 = 1;
/// The bit of a topic's flag that says that it has subscribers in units.
const UNIT_SUBSCRIBED: u32 = 2;

impl RouteTable {
    /// Lists all topics.
    pub fn all_topics(&self) -> TopicList {
        TopicList {
            topic_list: self.topics.keys().cloned().collect(),
            ..TopicList::default()
        }
    }

    /// Lists the topics of a cluster's brokers; none if there is no such cluster.
    pub fn topics_of_cluster(&self, cluster: &str) -> TopicList {
        let Some(names) = self.clusters.get(cluster) else {
            return TopicList::default();
        };
        let within = self
            .topics
            .iter()
            .filter(|(_, brokers)| brokers.keys().any(|name| names.contains(name)));
        TopicList {
            topic_list: within.map(|(topic, _)| topic.clone()).collect(),
            ..TopicList::default()
        }
    }

    /// Lists the topics that exist by themselves, one named after each cluster and each broker, with an address of the
    /// first broker.
    pub fn system_topics(&self) -> TopicList {
        let broker = self.brokers.values().next();
        TopicList {
            broker_addr: broker.and_then(|broker| broker.broker_addrs.values().next()).cloned(),
            topic_list: self
                .clusters
                .keys()
                .chain(self.clusters.values().flatten())
                .cloned()
                .collect(),
        }
    }

    /// Lists the topics that belong to one unit.
    pub fn unit_topics(&self) -> TopicList {
        self.topics_flagged(|flag| flag & UNIT != 0)
    }

    /// Lists the topics that have subscribers in units.
    pub fn unit_subscribed_topics(&self) -> TopicList {
        self.topics_flagged(|flag| flag & UNIT_SUBSCRIBED != 0)
    }

    /// Lists the topics that have subscribers in units and belong to none themselves.
    pub fn unit_subscribed_ordinary_topics(&self) -> TopicList {
        self.topics_flagged(|flag| flag & UNIT_SUBSCRIBED != 0 && flag & UNIT == 0)
    }

    /// The first broker's flag decides, as in Java.
    fn topics_flagged(&self, wanted: impl Fn(u32) -> bool) -> TopicList {
        let first = |queues: &QueueData| wanted(queues.topic_sys_flag);
        let flagged = self
            .topics
            .iter()
            .filter(|(_, brokers)| brokers.values().next().is_some_and(first));
        TopicList {
            topic_list: flagged.map(|(topic, _)| topic.clone()).collect(),
            ..TopicList::default()
        }
    }

    /// Forgets a topic, everywhere or on the brokers of one cluster.
    pub fn delete_topic(&mut self, topic: &str, cluster: Option<&str>) {
        let Some(brokers) = self.topics.get_mut(topic) else {
            return;
        };
        match cluster.map(|cluster| self.clusters.get(cluster)) {
            None => brokers.clear(),
            Some(None) => {}
            Some(Some(names)) => brokers.retain(|name, _| !names.contains(name)),
        }
        if brokers.is_empty() {
            self.topics.remove(topic);
        }
    }

    /// Gives or takes the permission to write to all topics of a broker, until the broker registers changed topics;
    /// returns how many topics it has.
    pub fn set_writable(&mut self, broker_name: &str, writable: bool) -> usize {
        let mut changed = 0;
        for queues in self
            .topics
            .values_mut()
            .filter_map(|brokers| brokers.get_mut(broker_name))
        {
            queues.perm = if writable {
                queues.perm | WRITE
            } else {
                queues.perm & !WRITE
            };
            changed += 1;
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::super::broker::BrokerIdentity;
    use super::super::routes::tests::{broker, register, topics};
    use super::*;

    fn names(list: &TopicList) -> Vec<&str> {
        list.topic_list.iter().map(String::as_str).collect()
    }

    fn two_clusters() -> RouteTable {
        let mut table = RouteTable::default();
        register(&mut table, &broker("a", 0), topics(1, &["T", "U"]));
        let other = BrokerIdentity {
            cluster: "D".into(),
            ..broker("b", 0)
        };
        register(&mut table, &other, topics(1, &["T", "V"]));
        table
    }

    #[test]
    fn topics_are_listed_by_cluster() {
        let table = two_clusters();
        assert_eq!(names(&table.all_topics()), ["T", "U", "V"]);
        assert_eq!(names(&table.topics_of_cluster("D")), ["T", "V"]);
        assert_eq!(names(&table.topics_of_cluster("nobody")), [""; 0]);
    }

    #[test]
    fn system_topics_are_the_clusters_and_brokers() {
        let list = two_clusters().system_topics();
        assert_eq!(names(&list), ["C", "D", "a", "b"]);
        assert_eq!(list.broker_addr.as_deref(), Some("a-0:1"));
        assert_eq!(RouteTable::default().system_topics(), TopicList::default());
    }

    #[test]
    fn unit_topics_are_found_by_their_flag() {
        let mut table = RouteTable::default();
        let mut body = topics(1, &["0", "1", "2", "3"]);
        for (name, topic) in &mut body.topics.topic_config_table {
            topic.topic_sys_flag = name.parse().unwrap();
        }
        register(&mut table, &broker("a", 0), body);
        assert_eq!(names(&table.unit_topics()), ["1", "3"]);
        assert_eq!(names(&table.unit_subscribed_topics()), ["2", "3"]);
        assert_eq!(names(&table.unit_subscribed_ordinary_topics()), ["2"]);
    }

    #[test]
    fn a_topic_is_deleted_everywhere_or_in_one_cluster() {
        let mut table = two_clusters();
        table.delete_topic("T", Some("nobody"));
        table.delete_topic("T", Some("D"));
        assert_eq!(table.route("T").unwrap().queue_datas[0].broker_name, "a");
        table.delete_topic("T", None);
        assert_eq!(table.route("T"), None);
    }

    #[test]
    fn the_permission_to_write_is_taken_and_given_back() {
        let mut table = two_clusters();
        assert_eq!(table.set_writable("a", false), 2);
        let perms: Vec<u32> = table
            .route("T")
            .unwrap()
            .queue_datas
            .iter()
            .map(|queues| queues.perm)
            .collect();
        assert_eq!(perms, [4, 6]);
        assert_eq!(table.set_writable("a", true), 2);
        assert_eq!(table.route("U").unwrap().queue_datas[0].perm, 6);
        assert_eq!(table.set_writable("nobody", true), 0);
    }
}
