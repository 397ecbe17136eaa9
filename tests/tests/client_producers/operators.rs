//! What operators ask of brokers about groups that are online, and in one request for many.

use std::collections::BTreeMap;

use cuemq_client::consumer::ConsumeFromWhere;
use cuemq_client::{Admin, Consumed, Message, Producer, PushConsumer, ReceivedMessage};
use cuemq_net::body::{
    Body, ConsumeDirectlyResult, ConsumeResult, ConsumerRunningInfo, MessageRequestMode, SetMessageRequestMode,
    SubscriptionGroupConfig, TopicConfig,
};
use cuemq_net::code::ResponseCode;
use tokio::sync::mpsc;

use crate::{PATIENCE, options};
use cuemq_actors::testing::TestBroker;

fn topic(name: &str) -> TopicConfig {
    TopicConfig {
        topic_name: name.to_owned(),
        read_queue_nums: 1,
        write_queue_nums: 1,
        ..TopicConfig::default()
    }
}

/// Asks again until the answer is so; what an operator sees may be a moment old.
async fn until<T>(mut ask: impl AsyncFnMut() -> T, is_so: impl Fn(&T) -> bool) -> T {
    let asks = async {
        loop {
            let answer = ask().await;
            if is_so(&answer) {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, asks).await.unwrap()
}

#[tokio::test]
async fn a_group_that_is_online_tells_what_it_runs_and_how_far_it_is() {
    let broker = TestBroker::start();
    let (address, client) = (broker.broker().to_string(), options(&broker).start().await.unwrap());
    let admin = Admin::new(&client);
    admin.create_and_update_topic(&address, &topic("T")).await.unwrap();
    let producer = Producer::builder("p").client(&client).start().await.unwrap();
    let sent = producer.send(Message::new("T", "b").tags("A")).await.unwrap();
    let (into, mut got) = mpsc::unbounded_channel();
    let builder = PushConsumer::builder("g").client(&client).subscribe("T", "A || B");
    let consumer = builder
        .consume_from_where(ConsumeFromWhere::FirstOffset)
        .start(move |messages: Vec<ReceivedMessage>| {
            let _ = into.send(messages.len());
            async { Consumed::Success }
        })
        .await
        .unwrap();
    assert_eq!(got.recv().await, Some(1));
    let id = client.client_id();

    let running = admin.get_consumer_running_info(&address, "g", id, false).await.unwrap();
    assert!(
        ConsumerRunningInfo::decode(&running)
            .unwrap()
            .statuses
            .contains_key("T")
    );
    let again = admin.consume_message_directly(&address, "g", id, &sent.offset_msg_id);
    let said = ConsumeDirectlyResult::decode(&again.await.unwrap()).unwrap();
    assert_eq!(
        (said.consume_result, got.recv().await),
        (Some(ConsumeResult::Success), Some(1))
    );
    let status = async || admin.get_consume_status("T", "g", Some(id)).await.unwrap();
    let come_to =
        |status: &BTreeMap<String, BTreeMap<_, i64>>| status.get(id).and_then(|of| of.get(&*sent.queue).copied());
    until(status, |status| come_to(status) == Some(1)).await;
    let nobody = admin.get_consumer_running_info(&address, "g", "nobody", false).await;
    assert!(nobody.is_err());

    let subscribed = admin.query_subscription(&address, "g", "T").await.unwrap().unwrap();
    assert_eq!(subscribed.sub_string, "A || B");
    consumer.shutdown().await.unwrap();
    assert!(
        admin
            .query_topics_by_consumer(&address, "g")
            .await
            .unwrap()
            .contains("T")
    );
    let all = admin.fetch_consume_stats_in_broker(&address, false).await.unwrap();
    assert!(
        all.consume_stats_list.iter().any(|groups| groups.contains_key("g")),
        "{all:?}"
    );
    let spans = admin.query_consume_time_span("T", "g").await.unwrap();
    let span = spans.iter().find(|span| span.message_queue == *sent.queue).unwrap();
    assert!(span.min_time_stamp > 0 && span.min_time_stamp == span.max_time_stamp);
    let smallest = admin.query_correction_offset(&address, "T", "g", &[]).await.unwrap();
    assert_eq!(smallest.get(&0), Some(&1));

    let counted = async || admin.view_broker_stats_data(&address, "TOPIC_PUT_NUMS", "T").await;
    until(counted, Result::is_ok).await.unwrap();
    let unknown = admin.view_broker_stats_data(&address, "NO_SUCH_NUMS", "T").await;
    assert!(unknown.is_err());
    producer.shutdown().await;
    client.shutdown().await;
    broker.stop().unwrap();
}

#[tokio::test]
async fn topics_and_groups_are_made_together_and_deleted_on_one_broker() {
    let broker = TestBroker::start();
    let (address, client) = (broker.broker().to_string(), options(&broker).start().await.unwrap());
    let admin = Admin::new(&client);
    admin
        .create_and_update_topics(&address, vec![topic("T"), topic("U")])
        .await
        .unwrap();
    let group = |name: &str| SubscriptionGroupConfig {
        group_name: name.to_owned(),
        retry_max_times: 5,
        ..SubscriptionGroupConfig::default()
    };
    admin
        .create_and_update_subscription_groups(&address, vec![group("g"), group("h")])
        .await
        .unwrap();
    let groups = admin.all_subscription_groups(&address).await.unwrap();
    assert_eq!((groups["g"].retry_max_times, groups["h"].retry_max_times), (5, 5));
    admin.delete_topic_in_broker(&address, "T").await.unwrap();
    let topics = admin.all_topic_config(&address).await.unwrap();
    assert!(!topics.contains_key("T") && topics.contains_key("U"));
    let mode = SetMessageRequestMode {
        consumer_group: "g".to_owned(),
        mode: MessageRequestMode::Pull,
        pop_share_queue_num: 0,
        topic: "U".to_owned(),
    };
    admin.set_message_request_mode(&address, &mode).await.unwrap();
    admin.delete_expired_commit_log(&address).await.unwrap();
    client.shutdown().await;
    broker.stop().unwrap();
}

#[tokio::test]
async fn values_are_kept_by_name_servers_and_units_are_listed() {
    let broker = TestBroker::start();
    let client = options(&broker).start().await.unwrap();
    let admin = Admin::new(&client);
    admin.put_kv_config("rooms", "kitchen", "warm").await.unwrap();
    assert_eq!(
        admin.get_kv_config("rooms", "kitchen").await.unwrap().as_deref(),
        Some("warm")
    );
    admin.delete_kv_config("rooms", "kitchen").await.unwrap();
    assert_eq!(admin.get_kv_config("rooms", "kitchen").await.unwrap(), None);
    for without_unit_topics in [false, true] {
        assert!(
            admin
                .fetch_unit_sub_topic_list(without_unit_topics)
                .await
                .unwrap()
                .is_empty()
        );
    }
    // what our broker does not do is told as such
    let address = broker.broker().to_string();
    let refused = admin.resume_check_half_message(&address, "no id").await.unwrap_err();
    assert_eq!(refused.code(), Some(ResponseCode::REQUEST_CODE_NOT_SUPPORTED));
    client.shutdown().await;
    broker.stop().unwrap();
}
