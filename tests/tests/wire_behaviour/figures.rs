//! What tools ask about topics, groups and who is online.

use std::sync::Arc;
use std::time::Duration;

use cuemq_actors::testing::TestBroker;
use cuemq_net::body::{
    Body, ConsumeQueuePart, ConsumeStats, ConsumeStatsList, ConsumeTimeSpans, ConsumedQueue, ConsumerConnection,
    ConsumerData, GroupList, GroupSubscription, HeartbeatData, MessageQueue, ProducerConnection, ProducerData,
    ProducerTable, SubscriptionData, TopicList, TopicQueueStats, TopicStatsTable,
};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::dialect::Style;
use cuemq_storage::clock::ManualClock;

use crate::{Connection, arrived, number, refused, send_to};

const START_MS: u64 = 1_800_000_000_000;
const STEP: Duration = Duration::from_secs(10);

fn queue(topic: &str, queue_id: i32) -> MessageQueue {
    MessageQueue {
        topic: topic.to_owned(),
        broker_name: "broker-a".to_owned(),
        queue_id,
    }
}

/// When the message of that number was stored.
fn stored(number: i64) -> i64 {
    i64::try_from(START_MS).unwrap() + (number + 1) * 10_000
}

/// A broker with three messages in queue 0 of `T`, ten seconds apart, of which the group `g` has committed one.
fn with_messages() -> (TestBroker, Connection) {
    let clock = Arc::new(ManualClock::new(START_MS));
    let broker = TestBroker::builder()
        .config(|config| config.broker_name = "broker-a".to_owned())
        .clock(clock.clone())
        .start()
        .unwrap();
    let mut client = Connection::to(broker.broker());
    for _ in 0..3 {
        clock.advance(STEP);
        number(&client.ask(send_to("T")), "queueOffset");
    }
    clock.advance(STEP);
    arrived(&mut client, "T", 3);
    let commit = Command::request(RequestCode::UPDATE_CONSUMER_OFFSET)
        .with_field("consumerGroup", "g")
        .with_field("topic", "T")
        .with_field("queueId", 0)
        .with_field("commitOffset", 1);
    assert_eq!(client.ask(commit).code, 0);
    (broker, client)
}

fn body<T: Body>(answer: &Command) -> T {
    assert_eq!(ResponseCode(answer.code), ResponseCode::SUCCESS, "{answer:?}");
    T::decode(&answer.body).unwrap()
}

#[test]
fn the_queues_of_a_topic_are_told_with_their_ends_and_last_times() {
    let (_broker, mut client) = with_messages();
    let ask = |topic: &str| Command::request(RequestCode::GET_TOPIC_STATS_INFO).with_field("topic", topic);
    let table: TopicStatsTable = body(&client.ask(ask("T")));
    assert_eq!(table.offset_table.len(), 4);
    let first = TopicQueueStats {
        last_update_timestamp: stored(2),
        max_offset: 3,
        min_offset: 0,
    };
    assert_eq!(table.offset_table[&queue("T", 0)], first);
    assert_eq!(table.offset_table[&queue("T", 3)], TopicQueueStats::default());
    let unknown = client.ask(ask("U"));
    assert_eq!(refused(&unknown, ResponseCode::TOPIC_NOT_EXIST), "topic[U] not exist");
}

#[test]
fn how_far_a_group_has_come_is_told_by_topic_and_for_all_its_topics() {
    let (_broker, mut client) = with_messages();
    let ask = || Command::request(RequestCode::GET_CONSUME_STATS).with_field("consumerGroup", "g");
    let first = ConsumedQueue {
        broker_offset: 3,
        consumer_offset: 1,
        last_timestamp: stored(0),
    };
    for request in [ask(), ask().with_field("topic", ""), ask().with_field("topic", "T")] {
        let stats: ConsumeStats = body(&client.ask(request));
        assert_eq!(stats.offset_table.len(), 4);
        assert_eq!(stats.offset_table[&queue("T", 0)], first);
        assert_eq!(stats.offset_table[&queue("T", 1)], ConsumedQueue::default());
    }
    let none: ConsumeStats = body(&client.ask(ask().with_field("topic", "U")));
    assert_eq!(
        none,
        ConsumeStats::default(),
        "a topic that is not there is passed over"
    );
}

#[test]
fn how_far_all_groups_have_come_is_told_with_the_sum_of_what_is_left() {
    let (broker, mut client) = with_messages();
    let group = cuemq_net::body::SubscriptionGroupConfig {
        group_name: "g".to_owned(),
        ..cuemq_net::body::SubscriptionGroupConfig::default()
    };
    let make = Command::request(RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP);
    assert_eq!(client.ask(make.with_body(group.encode(Style::Fastjson))).code, 0);
    for (is_order, left) in [(false, 2), (true, 0)] {
        let ask = Command::request(RequestCode::GET_BROKER_CONSUME_STATS).with_field("isOrder", is_order);
        let list: ConsumeStatsList = body(&client.ask(ask));
        assert_eq!(list.total_diff, left);
        assert_eq!(list.broker_addr, broker.broker().to_string());
        let of_group = list
            .consume_stats_list
            .iter()
            .find_map(|groups| groups.get("g"))
            .unwrap();
        assert_eq!(of_group.len(), usize::from(!is_order));
    }
}

#[test]
fn the_times_between_which_a_group_stands_are_told() {
    let (_broker, mut client) = with_messages();
    let ask = |topic: &str| {
        Command::request(RequestCode::QUERY_CONSUME_TIME_SPAN)
            .with_field("topic", topic)
            .with_field("group", "g")
    };
    let spans: ConsumeTimeSpans = body(&client.ask(ask("T")));
    let first = spans
        .spans
        .iter()
        .find(|span| span.message_queue.queue_id == 0)
        .unwrap();
    assert_eq!((first.min_time_stamp, first.max_time_stamp), (stored(0), stored(2)));
    assert_eq!(first.consume_time_stamp, stored(0));
    assert_eq!(first.delay_time, 20_000, "the next message has waited since");
    let empty = spans
        .spans
        .iter()
        .find(|span| span.message_queue.queue_id == 1)
        .unwrap();
    assert_eq!(
        (empty.min_time_stamp, empty.max_time_stamp, empty.delay_time),
        (-1, -1, 0)
    );
    refused(&client.ask(ask("U")), ResponseCode::TOPIC_NOT_EXIST);
}

#[test]
fn entries_of_a_consume_queue_are_told_as_they_are() {
    let (_broker, mut client) = with_messages();
    let ask = |queue_id: i32, index: i64| {
        Command::request(RequestCode::QUERY_CONSUME_QUEUE)
            .with_field("topic", "T")
            .with_field("queueId", queue_id)
            .with_field("index", index)
            .with_field("count", 2)
    };
    let part: ConsumeQueuePart = body(&client.ask(ask(0, 1)));
    assert_eq!((part.min_queue_index, part.max_queue_index), (0, 3));
    let entries = part.queue_data.unwrap();
    assert_eq!(entries.len(), 2);
    assert_eq!(
        entries[1].physic_offset,
        entries[0].physic_offset + i64::from(entries[0].physic_size)
    );
    let behind = client.ask(ask(0, 3));
    assert_eq!(behind.remark.as_deref(), Some("Index 3 of 0@T is not exist!"));
    assert_eq!(body::<ConsumeQueuePart>(&behind).queue_data, None);
    let offline: ConsumeQueuePart = body(&client.ask(ask(0, 0).with_field("consumerGroup", "g")));
    assert_eq!(offline.filter_data.as_deref(), Some("g@T is not online!"));
    let unknown = client.ask(ask(3, 0));
    assert_eq!(refused(&unknown, ResponseCode::SYSTEM_ERROR), "3@T is not exist!");
}

/// Lets a client say that it produces as `p` and consumes `T` as `g`, and waits for the answer.
fn join(client: &mut Connection) {
    let subscription = SubscriptionData {
        topic: "T".to_owned(),
        sub_string: "*".to_owned(),
        ..SubscriptionData::default()
    };
    let data = HeartbeatData {
        client_id: "me".to_owned(),
        consumers: vec![ConsumerData {
            group_name: "g".to_owned(),
            subscriptions: vec![subscription],
            ..ConsumerData::default()
        }],
        producers: vec![ProducerData {
            group_name: "p".to_owned(),
        }],
    };
    client.send(Command::request(RequestCode::HEART_BEAT).with_body(data.encode(Style::Fastjson)));
    let both = [client.receive(), client.receive()];
    assert!(both.iter().any(Command::is_response), "{both:?}");
}

#[test]
fn who_is_online_in_a_group_is_told_and_who_is_not_is_refused() {
    let (_broker, mut client) = with_messages();
    let consumers = || Command::request(RequestCode::GET_CONSUMER_CONNECTION_LIST).with_field("consumerGroup", "g");
    let producers = || Command::request(RequestCode::GET_PRODUCER_CONNECTION_LIST).with_field("producerGroup", "p");
    assert_eq!(
        refused(&client.ask(consumers()), ResponseCode::CONSUMER_NOT_ONLINE),
        "the consumer group[g] not online"
    );
    assert_eq!(
        refused(&client.ask(producers()), ResponseCode::SYSTEM_ERROR),
        "the producer group[p] not exist"
    );
    join(&mut client);
    let group: ConsumerConnection = body(&client.ask(consumers()));
    assert_eq!(group.connections[0].client_id, "me");
    assert_eq!(group.subscription_table["T"].sub_string, "*");
    let group: ProducerConnection = body(&client.ask(producers()));
    assert_eq!(group.connections.len(), 1);
    let address = group.connections[0].client_addr.clone();
    let all: ProducerTable = body(&client.ask(Command::request(RequestCode::GET_ALL_PRODUCER_INFO)));
    let producer = &all.data["p"][0];
    assert_eq!(
        (&*producer.client_id, &producer.remote_ip),
        ("me", &format!("/{address}"))
    );
    assert_eq!(producer.last_update_timestamp, stored(3), "it was heard of just now");
}

#[test]
fn the_groups_of_a_topic_are_those_online_and_those_that_have_committed() {
    let (_broker, mut client) = with_messages();
    let ask = |topic: &str| Command::request(RequestCode::QUERY_TOPIC_CONSUME_BY_WHO).with_field("topic", topic);
    let groups = |client: &mut Connection, topic: &str| body::<GroupList>(&client.ask(ask(topic))).group_list;
    assert!(groups(&mut client, "T").iter().eq(["g"]), "it has committed");
    assert!(groups(&mut client, "U").is_empty());
    let delete = Command::request(RequestCode::DELETE_SUBSCRIPTIONGROUP)
        .with_field("groupName", "g")
        .with_field("removeOffset", true);
    assert_eq!(client.ask(delete).code, 0);
    assert!(groups(&mut client, "T").is_empty());
    join(&mut client);
    assert!(groups(&mut client, "T").iter().eq(["g"]), "it is online");
}

#[test]
fn the_topics_that_a_group_has_committed_on_and_what_it_subscribes_to_are_told() {
    let (_broker, mut client) = with_messages();
    let topics = |client: &mut Connection, group: &str| {
        let ask = Command::request(RequestCode::QUERY_TOPICS_BY_CONSUMER).with_field("group", group);
        body::<TopicList>(&client.ask(ask)).topic_list
    };
    assert!(topics(&mut client, "g").iter().eq(["T"]));
    assert!(topics(&mut client, "nobody").is_empty());
    let subscription = |client: &mut Connection| {
        let ask = Command::request(RequestCode::QUERY_SUBSCRIPTION_BY_CONSUMER)
            .with_field("group", "g")
            .with_field("topic", "T");
        let told: GroupSubscription = body(&client.ask(ask));
        assert_eq!((&*told.group, &*told.topic), ("g", "T"));
        told.subscription_data
    };
    assert_eq!(subscription(&mut client), None);
    join(&mut client);
    assert_eq!(subscription(&mut client).unwrap().sub_string, "*");
}
