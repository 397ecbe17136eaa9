//! Where the queues of topics are, as the name servers last said (`TopicPublishInfo`, `topicRouteTable` and
//! `brokerAddrTable` of `MQClientInstance`). Here: the tables, pure; who asks is in the folder's `asking`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cuemq_net::body::{MessageQueue, TopicRouteData};

/// The bits of a topic's permission.
const READ: u32 = 4;
const WRITE: u32 = 2;

/// The id of a broker's master.
pub(crate) const MASTER: i64 = 0;

/// One topic's route: what the name server said, and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicRoute {
    /// What the name server said, its lists sorted.
    pub data: TopicRouteData,
    /// The queues to send to: those of an order topic's brokers in their order, else the writeable ones that have a master.
    pub publish: Vec<MessageQueue>,
    /// The queues to read, with a master or without.
    pub subscribe: Vec<MessageQueue>,
    /// Whether it is that of the topic whose settings a new topic inherits: the topic itself does not exist yet.
    pub is_inherited: bool,
    /// The queues to send to once more, for results that name one.
    shared: Vec<Arc<MessageQueue>>,
}

impl TopicRoute {
    /// What follows from a name server's answer.
    #[must_use]
    pub fn of(topic: &str, mut data: TopicRouteData) -> Self {
        data.broker_datas.sort_by(|a, b| a.broker_name.cmp(&b.broker_name));
        data.queue_datas.sort_by(|a, b| a.broker_name.cmp(&b.broker_name));
        let publish = publish_queues(topic, &data);
        Self {
            shared: publish.iter().cloned().map(Arc::new).collect(),
            publish,
            subscribe: subscribe_queues(topic, &data),
            data,
            is_inherited: false,
        }
    }

    /// The route that a topic will have once it is made by sending to it: that of the default topic, with so many queues at most.
    #[must_use]
    pub fn inherited(topic: &str, mut data: TopicRouteData, queues_at_most: u32) -> Self {
        for queues in &mut data.queue_datas {
            let many = queues.read_queue_nums.min(queues_at_most);
            (queues.read_queue_nums, queues.write_queue_nums) = (many, many);
        }
        Self {
            is_inherited: true,
            ..Self::of(topic, data)
        }
    }

    /// A queue to send to by its place, without a copy.
    pub(crate) fn queue(&self, at: usize) -> Option<Arc<MessageQueue>> {
        self.shared.get(at).cloned()
    }
}

fn queues<'a>(topic: &'a str, broker_name: &'a str, many: u32) -> impl Iterator<Item = MessageQueue> + 'a {
    (0..i32::try_from(many).unwrap_or_default()).map(move |queue_id| MessageQueue {
        topic: topic.to_owned(),
        broker_name: broker_name.to_owned(),
        queue_id,
    })
}

fn publish_queues(topic: &str, data: &TopicRouteData) -> Vec<MessageQueue> {
    if let Some(order) = data.order_topic_conf.as_deref().filter(|order| !order.is_empty()) {
        let brokers = order.split(';').filter_map(|broker| broker.split_once(':'));
        return brokers
            .flat_map(|(name, many)| queues(topic, name, many.trim().parse().unwrap_or_default()))
            .collect();
    }
    let has_master = |name: &str| {
        let mut brokers = data.broker_datas.iter();
        brokers.any(|broker| broker.broker_name == name && broker.broker_addrs.contains_key(&MASTER))
    };
    let writeable = data.queue_datas.iter().filter(|queues| queues.perm & WRITE != 0);
    writeable
        .filter(|queues| has_master(&queues.broker_name))
        .flat_map(|data| queues(topic, &data.broker_name, data.write_queue_nums))
        .collect()
}

fn subscribe_queues(topic: &str, data: &TopicRouteData) -> Vec<MessageQueue> {
    let readable = data.queue_datas.iter().filter(|queues| queues.perm & READ != 0);
    readable
        .flat_map(|data| queues(topic, &data.broker_name, data.read_queue_nums))
        .collect()
}

/// All routes that were asked for, and the brokers in them.
#[derive(Default)]
pub(crate) struct Routes(Mutex<Tables>);

#[derive(Default)]
struct Tables {
    topics: BTreeMap<String, Arc<TopicRoute>>,
    /// Addresses by broker name and id.
    brokers: BTreeMap<String, BTreeMap<i64, Arc<str>>>,
}

impl Routes {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        // each change is one step, so a panic elsewhere leaves nothing half done
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, topic: &str) -> Option<Arc<TopicRoute>> {
        self.tables().topics.get(topic).cloned()
    }

    pub(crate) fn topics(&self) -> BTreeSet<String> {
        self.tables().topics.keys().cloned().collect()
    }

    /// Takes a topic's route and says whether it is another than before.
    pub(crate) fn put(&self, topic: &str, route: TopicRoute) -> (Arc<TopicRoute>, bool) {
        let mut tables = self.tables();
        for broker in &route.data.broker_datas {
            let addresses = broker
                .broker_addrs
                .iter()
                .map(|(id, address)| (*id, Arc::from(address.as_str())));
            let addresses = addresses.collect();
            tables.brokers.insert(broker.broker_name.clone(), addresses);
        }
        if let Some(known) = tables.topics.get(topic).filter(|known| ***known == route) {
            return (Arc::clone(known), false);
        }
        let route = Arc::new(route);
        tables.topics.insert(topic.to_owned(), Arc::clone(&route));
        (route, true)
    }

    /// The address of a broker by its id.
    pub(crate) fn address(&self, broker_name: &str, broker_id: i64) -> Option<Arc<str>> {
        self.tables().brokers.get(broker_name)?.get(&broker_id).cloned()
    }

    /// The address of the broker with this id, else of the one with the lowest: the master, where there is one.
    pub(crate) fn address_or_any(&self, broker_name: &str, broker_id: i64) -> Option<(i64, Arc<str>)> {
        let tables = self.tables();
        let addresses = tables.brokers.get(broker_name)?;
        let (id, address) = addresses
            .get_key_value(&broker_id)
            .or_else(|| addresses.first_key_value())?;
        Some((*id, address.clone()))
    }

    /// Every broker's id and address.
    pub(crate) fn brokers(&self) -> Vec<(i64, String)> {
        let tables = self.tables();
        let addresses = tables.brokers.values().flatten();
        addresses.map(|(id, address)| (*id, address.to_string())).collect()
    }

    /// Forgets brokers that are in no route any more.
    pub(crate) fn clean(&self) {
        let mut tables = self.tables();
        let Tables { topics, brokers } = &mut *tables;
        let known: BTreeSet<&str> = topics
            .values()
            .flat_map(|route| &route.data.broker_datas)
            .flat_map(|broker| broker.broker_addrs.values().map(String::as_str))
            .collect();
        brokers.retain(|_, addresses| {
            addresses.retain(|_, address| known.contains(&**address));
            !addresses.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cuemq_net::body::{BrokerData, QueueData};

    fn broker(name: &str, ids: &[i64]) -> BrokerData {
        BrokerData {
            broker_name: name.to_owned(),
            broker_addrs: ids.iter().map(|id| (*id, format!("{name}:{id}"))).collect(),
            ..BrokerData::default()
        }
    }

    fn has(name: &str, perm: u32, read: u32, write: u32) -> QueueData {
        QueueData {
            broker_name: name.to_owned(),
            perm,
            read_queue_nums: read,
            write_queue_nums: write,
            ..QueueData::default()
        }
    }

    fn names(queues: &[MessageQueue]) -> Vec<String> {
        queues
            .iter()
            .map(|queue| format!("{}{}", queue.broker_name, queue.queue_id))
            .collect()
    }

    fn data() -> TopicRouteData {
        TopicRouteData {
            broker_datas: vec![broker("c", &[0]), broker("b", &[1]), broker("a", &[0, 1])],
            queue_datas: vec![has("c", 4, 1, 1), has("b", 6, 2, 2), has("a", 6, 1, 2)],
            ..TopicRouteData::default()
        }
    }

    #[test]
    fn queues_to_send_to_are_writeable_and_have_a_master_and_those_to_read_need_none() {
        let route = TopicRoute::of("T", data());
        assert_eq!(names(&route.publish), ["a0", "a1"]);
        assert_eq!(names(&route.subscribe), ["a0", "b0", "b1", "c0"]);
    }

    #[test]
    fn the_queues_of_an_order_topic_are_those_that_its_configuration_says() {
        let order_topic_conf = Some("b:1;a:2".to_owned());
        let route = TopicRoute::of(
            "T",
            TopicRouteData {
                order_topic_conf,
                ..data()
            },
        );
        assert_eq!(names(&route.publish), ["b0", "a0", "a1"]);
    }

    #[test]
    fn a_new_topic_has_so_many_queues_as_it_will_be_made_with() {
        let queue_datas = vec![has("a", 7, 8, 8), has("b", 7, 3, 3)];
        let broker_datas = vec![broker("a", &[0]), broker("b", &[0])];
        let inherits = TopicRouteData {
            queue_datas,
            broker_datas,
            ..data()
        };
        let route = TopicRoute::inherited("T", inherits, 4);
        assert_eq!(names(&route.publish), ["a0", "a1", "a2", "a3", "b0", "b1", "b2"]);
        assert!(route.is_inherited && route.publish.iter().all(|queue| queue.topic == "T"));
    }

    #[test]
    fn a_change_is_told_once_and_not_when_lists_come_in_another_order() {
        let routes = Routes::default();
        assert!(routes.put("T", TopicRoute::of("T", data())).1);
        let mut turned = data();
        turned.broker_datas.reverse();
        turned.queue_datas.reverse();
        assert!(!routes.put("T", TopicRoute::of("T", turned)).1);
        let mut more = data();
        more.queue_datas[0].perm = 6;
        assert!(routes.put("T", TopicRoute::of("T", more)).1);
    }

    #[test]
    fn brokers_are_forgotten_once_they_are_in_no_route() {
        let routes = Routes::default();
        routes.put("T", TopicRoute::of("T", data()));
        assert_eq!(routes.address("a", 1).as_deref(), Some("a:1"));
        assert_eq!(routes.address("b", 0), None);
        assert_eq!(routes.address_or_any("b", 0), Some((1, Arc::from("b:1"))));
        let mut less = data();
        less.broker_datas = vec![broker("a", &[0])];
        routes.put("T", TopicRoute::of("T", less));
        routes.clean();
        assert_eq!(routes.brokers(), [(0, "a:0".to_owned())]);
        let nobody = TopicRouteData::default();
        routes.put("T", TopicRoute::of("T", nobody));
        routes.clean();
        assert!(routes.brokers().is_empty());
    }
}
