//! What admin tools ask is done, and seen by whoever looks next.

use std::collections::BTreeMap;

use cuemq_actors::testing::TestBroker;
use cuemq_client::{Admin, Client, Error, Message, Producer};
use cuemq_net::body::{MessageQueue, SubscriptionGroupConfig, TopicConfig};
use cuemq_net::code::ResponseCode;

use crate::options;

struct Tool {
    broker: TestBroker,
    client: Client,
    admin: Admin,
    /// The broker's address.
    address: String,
}

async fn tool() -> Tool {
    let broker = TestBroker::start();
    let client = options(&broker).start().await.unwrap();
    Tool {
        admin: Admin::new(&client),
        address: broker.broker().to_string(),
        client,
        broker,
    }
}

impl Tool {
    /// Makes a topic with so many queues.
    async fn topic(&self, name: &str, queues: u32) {
        let config = TopicConfig {
            topic_name: name.to_owned(),
            read_queue_nums: queues,
            write_queue_nums: queues,
            ..TopicConfig::default()
        };
        self.admin
            .create_and_update_topic(&self.address, &config)
            .await
            .unwrap();
    }

    /// Sends so many messages to the first queue of a topic.
    async fn fill(&self, topic: &str, many: usize) -> MessageQueue {
        let producer = Producer::builder("fills").client(&self.client).start().await.unwrap();
        let queue = producer.fetch_publish_message_queues(topic).await.unwrap().remove(0);
        for _ in 0..many {
            producer.send_to(Message::new(topic, "b"), &queue).await.unwrap();
        }
        producer.shutdown().await;
        queue
    }

    async fn end(self) {
        self.client.shutdown().await;
        self.broker.stop().unwrap();
    }
}

#[tokio::test]
async fn a_topic_is_made_changed_listed_and_deleted() {
    let tool = tool().await;
    let admin = &tool.admin;
    tool.topic("T", 3).await;
    let route = admin.examine_topic_route_info("T").await.unwrap();
    assert_eq!((route.publish.len(), route.subscribe.len()), (3, 3));
    admin.update_topic_perm(&tool.address, "T", 4).await.unwrap();
    let route = admin.examine_topic_route_info("T").await.unwrap();
    assert_eq!((route.publish.len(), route.subscribe.len()), (0, 3));
    let config = admin.examine_topic_config(&tool.address, "T").await.unwrap();
    assert_eq!((config.perm, config.write_queue_nums), (4, 3));
    assert!(admin.all_topic_config(&tool.address).await.unwrap().contains_key("T"));
    assert!(admin.fetch_all_topic_list().await.unwrap().contains("T"));
    let cluster = admin
        .examine_cluster()
        .await
        .unwrap()
        .cluster_addr_table
        .into_keys()
        .next()
        .unwrap();
    assert!(admin.fetch_topics_by_cluster(&cluster).await.unwrap().contains("T"));
    assert!(admin.fetch_system_topic_list().await.unwrap().contains(&cluster));
    assert!(
        admin
            .fetch_system_topic_list_of_broker(&tool.address)
            .await
            .unwrap()
            .contains("SELF_TEST_TOPIC")
    );
    assert!(admin.fetch_unit_topic_list().await.unwrap().is_empty());
    admin.delete_topic("T", &cluster).await.unwrap();
    assert!(!admin.fetch_all_topic_list().await.unwrap().contains("T"));
    let gone = admin.examine_topic_route_info("T").await;
    assert!(matches!(gone, Err(Error::GiveUp(_))));
    assert!(matches!(admin.masters_of("nowhere").await, Err(Error::Fix(_))));
    tool.end().await;
}

#[tokio::test]
async fn an_order_configuration_and_other_values_are_set_read_and_taken_away() {
    let tool = tool().await;
    let admin = &tool.admin;
    assert_eq!(admin.get_order_conf("T").await.unwrap(), None);
    admin.create_or_update_order_conf("T", "broker-a:4").await.unwrap();
    assert_eq!(admin.get_order_conf("T").await.unwrap().as_deref(), Some("broker-a:4"));
    assert_eq!(
        admin.get_kv_list_by_namespace("ORDER_TOPIC_CONFIG").await.unwrap()["T"],
        "broker-a:4"
    );
    admin.delete_order_conf("T").await.unwrap();
    assert_eq!(admin.get_order_conf("T").await.unwrap(), None);
    let config = admin.get_name_server_config().await.unwrap();
    assert_eq!(config.len(), 1);
    let asked = BTreeMap::from([("orderMessageEnable".to_owned(), "true".to_owned())]);
    admin.update_name_server_config(&asked).await.unwrap();
    let config = admin.get_name_server_config().await.unwrap();
    assert_eq!(config.into_values().next().unwrap()["orderMessageEnable"], "true");
    tool.end().await;
}

#[tokio::test]
async fn queues_tell_where_they_begin_and_end() {
    let tool = tool().await;
    let admin = &tool.admin;
    tool.topic("T", 2).await;
    let queue = tool.fill("T", 3).await;
    let empty = MessageQueue {
        queue_id: 1,
        ..queue.clone()
    };
    assert_eq!(
        (
            admin.min_offset(&queue).await.unwrap(),
            admin.max_offset(&queue).await.unwrap()
        ),
        (0, 3)
    );
    assert_eq!(admin.search_offset(&queue, 0).await.unwrap(), 0);
    assert!(admin.earliest_msg_store_time(&queue).await.unwrap().is_some());
    assert_eq!(admin.earliest_msg_store_time(&empty).await.unwrap(), None);
    let stats = admin.examine_topic_stats("T").await.unwrap();
    assert_eq!(stats.offset_table[&queue].max_offset, 3);
    let part = admin
        .query_consume_queue(&tool.address, &queue, 0, 10, None)
        .await
        .unwrap();
    assert_eq!((part.max_queue_index, part.queue_data.unwrap().len()), (3, 3));
    tool.end().await;
}

#[tokio::test]
async fn a_group_is_made_put_somewhere_and_deleted() {
    let tool = tool().await;
    let admin = &tool.admin;
    tool.topic("T", 1).await;
    let queue = tool.fill("T", 5).await;
    let group = SubscriptionGroupConfig {
        group_name: "g".to_owned(),
        retry_max_times: 3,
        ..SubscriptionGroupConfig::default()
    };
    admin
        .create_and_update_subscription_group(&tool.address, &group)
        .await
        .unwrap();
    assert_eq!(
        admin.all_subscription_groups(&tool.address).await.unwrap()["g"].retry_max_times,
        3
    );
    assert_eq!(
        admin
            .examine_subscription_group_config(&tool.address, "g")
            .await
            .unwrap()
            .retry_max_times,
        3
    );
    tool.topic("%RETRY%g", 1).await;
    admin.update_consume_offset("g", &queue, 2).await.unwrap();
    let stats = admin.examine_consume_stats("g", Some("T")).await.unwrap();
    assert_eq!(
        (
            stats.offset_table[&queue].consumer_offset,
            stats.offset_table[&queue].broker_offset
        ),
        (2, 5)
    );
    assert!(admin.query_topic_consume_by_who("T").await.unwrap().contains("g"));
    admin
        .create_and_update_subscription_group(
            &tool.address,
            &SubscriptionGroupConfig {
                group_name: "h".to_owned(),
                ..group
            },
        )
        .await
        .unwrap();
    tool.topic("%RETRY%h", 1).await;
    admin.clone_group_offset("g", "h", "T", true).await.unwrap();
    assert_eq!(
        admin.examine_consume_stats("h", Some("T")).await.unwrap().offset_table[&queue].consumer_offset,
        2
    );
    let online = admin.examine_consumer_connection_info("g").await.unwrap_err();
    assert_eq!(online.code(), Some(ResponseCode::CONSUMER_NOT_ONLINE));
    assert!(
        admin.reset_offset_by_timestamp("T", "g", 0, true).await.is_err(),
        "nobody is online"
    );
    admin.delete_subscription_group(&tool.address, "g", true).await.unwrap();
    assert!(
        !admin
            .all_subscription_groups(&tool.address)
            .await
            .unwrap()
            .contains_key("g")
    );
    tool.end().await;
}

#[tokio::test]
async fn a_broker_tells_its_settings_figures_and_producers_and_changes_as_it_is_told() {
    let tool = tool().await;
    let admin = &tool.admin;
    let producer = Producer::builder("p").client(&tool.client).start().await.unwrap();
    producer.send(Message::new("T", "b")).await.unwrap();
    let known = admin.get_all_producer_info(&tool.address).await.unwrap();
    assert_eq!(known.data["p"][0].client_id, tool.client.client_id());
    let connected = admin
        .examine_producer_connection_info(&tool.address, "p")
        .await
        .unwrap();
    assert_eq!(connected.connections.len(), 1);
    let figures = admin.fetch_broker_runtime_stats(&tool.address).await.unwrap();
    assert_eq!(figures["msgPutTotalTodayNow"], "1");
    let settings = admin.get_broker_config(&tool.address).await.unwrap();
    let name = settings["brokerName"].clone();
    let change = BTreeMap::from([("autoCreateTopicEnable".to_owned(), "false".to_owned())]);
    admin.update_broker_config(&tool.address, &change).await.unwrap();
    assert_eq!(
        admin.get_broker_config(&tool.address).await.unwrap()["autoCreateTopicEnable"],
        "false"
    );
    assert!(admin.wipe_write_perm_of_broker(&name).await.unwrap() > 0);
    assert!(admin.examine_topic_route_info("T").await.unwrap().publish.is_empty());
    assert!(admin.add_write_perm_of_broker(&name).await.unwrap() > 0);
    assert_eq!(admin.examine_topic_route_info("T").await.unwrap().publish.len(), 4);
    admin.clean_unused_topic(&tool.address).await.unwrap();
    admin.clean_expired_consumer_queue(&tool.address).await.unwrap();
    producer.shutdown().await;
    tool.end().await;
}
