//! Topics as tools make, change, list and delete them.

use cuemq_actors::testing::{MemoryDisk, Site, TestBroker};
use cuemq_net::body::{Body, KvTable, TopicConfig, TopicConfigTable, TopicConfigs, TopicList, TopicRouteData};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::dialect::Style;

use crate::{Connection, arrived, number, pull_from, refused, send_to};

fn update(topic: &str, queues: u32) -> Command {
    Command::request(RequestCode::UPDATE_AND_CREATE_TOPIC)
        .with_field("topic", topic)
        .with_field("defaultTopic", "TBW102")
        .with_field("readQueueNums", queues)
        .with_field("writeQueueNums", queues)
        .with_field("perm", 6)
        .with_field("topicFilterType", "SINGLE_TAG")
        .with_field("topicSysFlag", 0)
        .with_field("order", false)
}

fn delete(topic: &str) -> Command {
    Command::request(RequestCode::DELETE_TOPIC_IN_BROKER).with_field("topic", topic)
}

fn of_topic(code: RequestCode, topic: &str) -> Command {
    Command::request(code)
        .with_field("topic", topic)
        .with_field("queueId", 0)
}

#[track_caller]
fn done(answer: &Command) {
    assert_eq!(ResponseCode(answer.code), ResponseCode::SUCCESS, "{answer:?}");
}

fn all(client: &mut Connection) -> TopicConfigTable {
    let answer = client.ask(Command::request(RequestCode::GET_ALL_TOPIC_CONFIG));
    TopicConfigTable::decode(&answer.body).unwrap()
}

fn one(client: &mut Connection, topic: &str) -> TopicConfig {
    let answer = client.ask(of_topic(RequestCode::GET_TOPIC_CONFIG, topic));
    done(&answer);
    TopicConfig::decode(&answer.body).unwrap()
}

fn end_of(client: &mut Connection, topic: &str) -> i64 {
    number(&client.ask(of_topic(RequestCode::GET_MAX_OFFSET, topic)), "offset")
}

#[test]
fn a_topic_is_made_and_changed_as_a_tool_says_and_known_to_the_name_server_at_once() {
    let broker = TestBroker::start();
    let (mut client, mut name_server) = (Connection::to(broker.broker()), Connection::to(broker.name_server()));
    let before = all(&mut client).data_version.counter;
    for (times, queues) in [(1, 3), (2, 5)] {
        done(&client.ask(update("Orders", queues)));
        assert_eq!(one(&mut client, "Orders").write_queue_nums, queues);
        let table = all(&mut client);
        assert_eq!(table.topic_config_table["Orders"], one(&mut client, "Orders"));
        assert_eq!(table.data_version.counter, before + times, "each change is counted");
        let route = name_server.ask(of_topic(RequestCode::GET_ROUTEINTO_BY_TOPIC, "Orders"));
        let route = TopicRouteData::decode(&route.body).unwrap();
        assert_eq!(route.queue_datas[0].read_queue_nums, queues);
        let file = std::fs::read(broker.data().join("config/topics.json")).unwrap();
        assert_eq!(TopicConfigTable::decode(&file).unwrap(), table, "the change is kept");
    }
}

#[test]
fn topics_come_in_a_list_too() {
    let broker = TestBroker::start();
    let mut client = Connection::to(broker.broker());
    let named = |name: &str| TopicConfig {
        topic_name: name.to_owned(),
        ..TopicConfig::default()
    };
    let topics = TopicConfigs {
        topic_config_list: vec![named("One"), named("Two")],
    };
    let list = Command::request(RequestCode::UPDATE_AND_CREATE_TOPIC_LIST).with_body(topics.encode(Style::Fastjson));
    done(&client.ask(list));
    assert_eq!(one(&mut client, "One").write_queue_nums, 16);
    assert_eq!(one(&mut client, "Two").topic_name, "Two");
}

/// As Java, which looks at all of them before it changes any.
#[test]
fn a_list_with_one_topic_that_may_not_be_changes_none_and_one_that_may_is_saved_and_known_at_once() {
    let broker = TestBroker::start();
    let (mut client, mut name_server) = (Connection::to(broker.broker()), Connection::to(broker.name_server()));
    let list = |names: &[&str]| {
        let named = |name: &&str| TopicConfig {
            topic_name: (*name).to_owned(),
            ..TopicConfig::default()
        };
        let topic_config_list = names.iter().map(named).collect();
        Command::request(RequestCode::UPDATE_AND_CREATE_TOPIC_LIST)
            .with_body(TopicConfigs { topic_config_list }.encode(Style::Fastjson))
    };
    let before = all(&mut client);
    for (names, reason) in [
        (&["First", "TBW102"][..], "conflict with system topic"),
        (&["First", "no space"], "contains illegal characters"),
    ] {
        let answer = client.ask(list(names));
        assert_ne!(answer.code, 0);
        assert!(answer.remark.as_deref().unwrap().contains(reason), "{answer:?}");
    }
    assert_eq!(all(&mut client), before, "nothing is changed, not even the version");
    done(&client.ask(list(&["First", "Second"])));
    for topic in ["First", "Second"] {
        let route = name_server.ask(of_topic(RequestCode::GET_ROUTEINTO_BY_TOPIC, topic));
        assert_eq!(route.code, 0, "{topic} is known to the name server at once");
    }
    let file = std::fs::read(broker.data().join("config/topics.json")).unwrap();
    assert_eq!(TopicConfigTable::decode(&file).unwrap(), all(&mut client), "and kept");
    done(&client.ask(list(&[])));
    assert_eq!(all(&mut client).data_version.counter, before.data_version.counter + 2);
}

#[test]
fn the_systems_topics_are_listed_and_neither_changed_nor_deleted() {
    let broker = TestBroker::start();
    let mut client = Connection::to(broker.broker());
    let answer = client.ask(Command::request(RequestCode::GET_SYSTEM_TOPIC_LIST_FROM_BROKER));
    let system = TopicList::decode(&answer.body).unwrap().topic_list;
    assert!(
        system.contains("TBW102") && system.contains("DefaultCluster"),
        "{system:?}"
    );
    for topic in ["TBW102", "DefaultCluster"] {
        for request in [update(topic, 1), delete(topic)] {
            let remark = format!("The topic[{topic}] is conflict with system topic.");
            assert_eq!(refused(&client.ask(request), ResponseCode::SYSTEM_ERROR), remark);
        }
    }
}

#[test]
fn what_a_topic_cannot_be_is_refused_with_the_reason() {
    let broker = TestBroker::start();
    let mut client = Connection::to(broker.broker());
    let cases = [
        (
            update("a b", 1),
            "The specified topic contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$",
        ),
        (
            update("T", 1).with_field("readQueueNums", -1),
            "readQueueNums[-1] is illegal: it must not be negative",
        ),
        (
            update("T", 1).with_field("topicFilterType", "NO_TAG"),
            "topicFilterType[NO_TAG] is neither SINGLE_TAG nor MULTI_TAG",
        ),
    ];
    for (request, remark) in cases {
        assert_eq!(refused(&client.ask(request), ResponseCode::SYSTEM_ERROR), remark);
    }
    let unknown = client.ask(of_topic(RequestCode::GET_TOPIC_CONFIG, "T"));
    assert_eq!(
        refused(&unknown, ResponseCode::TOPIC_NOT_EXIST),
        "No topic in this broker. topic: T"
    );
}

/// Sends so many messages, and waits until they can be pulled.
fn fill(client: &mut Connection, topic: &str, count: i64) {
    for expected in 0..count {
        assert_eq!(number(&client.ask(send_to(topic)), "queueOffset"), expected);
    }
    arrived(client, topic, count);
}

fn commit(topic: &str) -> Command {
    of_topic(RequestCode::UPDATE_CONSUMER_OFFSET, topic)
        .with_field("consumerGroup", "g")
        .with_field("commitOffset", 2)
}

#[test]
fn a_deleted_topic_is_gone_with_its_queues_and_what_was_committed_and_begins_anew_when_it_is_made_again() {
    let broker = TestBroker::start();
    let mut client = Connection::to(broker.broker());
    fill(&mut client, "Other", 1);
    fill(&mut client, "Gone", 3);
    done(&client.ask(commit("Gone")));
    for _ in 0..2 {
        // A topic that is not there is deleted.
        done(&client.ask(delete("Gone")));
        assert_eq!(
            ResponseCode(client.ask(pull_from("Gone", 0)).code),
            ResponseCode::TOPIC_NOT_EXIST
        );
        assert_eq!(end_of(&mut client, "Gone"), 0);
        assert!(!broker.data().join("consumequeue/Gone").exists());
    }
    let query = of_topic(RequestCode::QUERY_CONSUMER_OFFSET, "Gone").with_field("consumerGroup", "g");
    assert_eq!(number(&client.ask(query), "offset"), 0, "nothing is committed");
    assert_eq!(end_of(&mut client, "Other"), 1, "other topics stay");
    fill(&mut client, "Gone", 2);
    let again = client.ask(pull_from("Gone", 0));
    assert_eq!(number(&again, "maxOffset"), 2);
    assert!(broker.data().join("consumequeue/Gone/0").exists());
    broker.stop().unwrap();
}

#[test]
fn a_deleted_topic_stays_gone_and_one_made_again_has_its_own_messages_after_a_stop_and_after_a_kill() {
    for killed in [false, true] {
        let disk = MemoryDisk::new(7);
        let start = || TestBroker::builder().memory_disk(&disk).start().unwrap();
        let broker = start();
        let mut client = Connection::to(broker.broker());
        fill(&mut client, "Gone", 5);
        fill(&mut client, "Again", 5);
        for topic in ["Gone", "Again"] {
            done(&client.ask(delete(topic)));
        }
        fill(&mut client, "Again", 1);
        if killed {
            disk.kill();
        }
        drop(client);
        let _ = broker.stop();
        let broker = start();
        let mut client = Connection::to(broker.broker());
        assert_eq!(end_of(&mut client, "Gone"), 0, "killed: {killed}");
        assert_eq!(end_of(&mut client, "Again"), 1, "killed: {killed}");
        assert_eq!(number(&client.ask(send_to("Again")), "queueOffset"), 1);
        broker.stop().unwrap();
    }
}

#[test]
fn a_deleted_topic_stays_gone_when_its_queue_or_the_commit_log_fails_afterwards() {
    for actor in ["consume queue Again/0", "commit log"] {
        let broker = TestBroker::start();
        let mut client = Connection::to(broker.broker());
        fill(&mut client, "Again", 5);
        done(&client.ask(delete("Again")));
        broker.faults().arm(actor, Site::Handler, 1);
        // What comes in between may be told that its outcome is unknown.
        client.ask(send_to("Again"));
        client.ask(send_to("Other"));
        let next = number(&client.ask(send_to("Again")), "queueOffset");
        assert!(next <= 1, "{actor}: the next message is number {next}");
        arrived(&mut client, "Again", next + 1);
        assert_eq!(end_of(&mut client, "Again"), next + 1, "{actor}");
        broker.stop().unwrap();
    }
}

#[test]
fn queues_of_topics_that_are_not_there_are_cleaned_and_those_of_others_stay() {
    let home = tempfile::tempdir().unwrap();
    let start = || TestBroker::builder().data(home.path()).start().unwrap();
    let broker = start();
    let mut client = Connection::to(broker.broker());
    fill(&mut client, "Unused", 2);
    fill(&mut client, "Used", 2);
    broker.stop().unwrap();
    let path = home.path().join("config/topics.json");
    let mut table = TopicConfigTable::decode(&std::fs::read(&path).unwrap()).unwrap();
    table.topic_config_table.remove("Unused").unwrap();
    std::fs::write(&path, table.encode(Style::Pretty)).unwrap();
    let broker = start();
    let mut client = Connection::to(broker.broker());
    assert_eq!(end_of(&mut client, "Unused"), 2);
    done(&client.ask(Command::request(RequestCode::CLEAN_UNUSED_TOPIC)));
    assert_eq!((end_of(&mut client, "Unused"), end_of(&mut client, "Used")), (0, 2));
    broker.stop().unwrap();
}

/// Codes 311 to 313: a unit's producer marks its topics, and a unit's consumer the retry topic of its group.
#[test]
fn topics_of_units_and_those_with_subscribers_in_units_are_listed_apart() {
    let broker = TestBroker::start();
    let (mut client, mut name_server) = (Connection::to(broker.broker()), Connection::to(broker.name_server()));
    for flag in 0..=3 {
        done(&client.ask(update(&format!("Flag{flag}"), 1).with_field("topicSysFlag", flag)));
    }
    let mut list = |code| {
        let answer = name_server.ask(Command::request(code));
        let topics = TopicList::decode(&answer.body).unwrap().topic_list;
        topics.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(list(RequestCode::GET_UNIT_TOPIC_LIST), ["Flag1", "Flag3"]);
    assert_eq!(list(RequestCode::GET_HAS_UNIT_SUB_TOPIC_LIST), ["Flag2", "Flag3"]);
    assert_eq!(list(RequestCode::GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST), ["Flag2"]);
}

#[test]
fn a_namespace_of_keys_and_values_is_listed_in_full_and_an_unknown_one_refused() {
    let broker = TestBroker::start();
    let mut name_server = Connection::to(broker.name_server());
    let list = |namespace| Command::request(RequestCode::GET_KVLIST_BY_NAMESPACE).with_field("namespace", namespace);
    let unknown = name_server.ask(list("colours"));
    assert_eq!(
        refused(&unknown, ResponseCode::QUERY_NOT_FOUND),
        "No config item, Namespace: colours"
    );
    for (key, value) in [("sky", "blue"), ("sea", "green"), ("sky", "grey")] {
        let put = Command::request(RequestCode::PUT_KV_CONFIG)
            .with_field("namespace", "colours")
            .with_field("key", key)
            .with_field("value", value);
        done(&name_server.ask(put));
    }
    let table = KvTable::decode(&name_server.ask(list("colours")).body).unwrap().table;
    let expected = [("sea", "green"), ("sky", "grey")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(table.into_iter().collect::<Vec<_>>(), expected);
}
