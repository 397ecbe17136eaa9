//! The rules of the table of topics, one by one.

use std::collections::BTreeSet;
use std::sync::Arc;

use cuemq_net::body::DataVersion;

use super::table::*;
use super::*;
use crate::config::live::Switch;

fn table(system: SystemTopics) -> TopicTable {
    TopicTable::load(None, system, TopicView::new(), 1_000).unwrap()
}

fn named(name: &str, config: TopicConfig) -> TopicConfig {
    TopicConfig {
        topic_name: name.to_owned(),
        ..config
    }
}

fn on_send<'a>(topic: &'a str, default_topic: &'a str) -> OnSend<'a> {
    OnSend {
        topic,
        default_topic,
        queue_nums: 4,
        unit: false,
    }
}

#[test]
fn clients_make_no_more_than_65536_topics_and_an_administrator_may() {
    let mut table = table(SystemTopics::default());
    let mut made = (0..=TOPICS_MAX).map(|number| match number % 2 {
        0 => table.create_on_send(on_send(&format!("T{number}"), "TBW102"), 1_001),
        _ => table.create_retry(&format!("g{number}"), 1, false, 1_001),
    });
    let refusal = made.find_map(Result::err).unwrap();
    assert_eq!((refusal, table.iter().count()), (Refusal::TooManyTopics, TOPICS_MAX));
    assert!(
        table.create_on_send(on_send("T0", "TBW102"), 1_002).is_ok(),
        "it is there"
    );
    assert!(table.update("An-administrator-may", with_queues(1), 1_003).is_ok());
}

#[test]
fn the_system_topics_are_there_from_the_start() {
    let table = table(SystemTopics {
        broker_name: "broker-a".to_owned(),
        ..SystemTopics::default()
    });
    let view = table.view();
    for (name, queue_nums, bits) in [
        ("SELF_TEST_TOPIC", 1, 6),
        ("TBW102", 8, 7),
        ("AUTO_CREATE_TOPIC_KEY", 8, 7),
        ("BenchmarkTest", 1024, 6),
        ("DefaultCluster", 16, 7),
        ("broker-a", 1, 7),
        ("OFFSET_MOVED_EVENT", 1, 6),
        ("SCHEDULE_TOPIC_XXXX", 18, 6),
        ("RMQ_SYS_TRACE_TOPIC", 1, 6),
        ("DefaultCluster_REPLY_TOPIC", 1, 6),
        ("rmq_sys_wheel_timer", 1, 6),
    ] {
        let topic = view.get(name).unwrap_or_else(|| panic!("{name} is missing"));
        let config = &topic.config;
        assert_eq!(
            (config.read_queue_nums, config.write_queue_nums),
            (queue_nums, queue_nums),
            "{name}"
        );
        assert_eq!(config.perm, bits, "{name}");
        assert!(table.system().contains(name), "{name}");
    }
    assert_eq!(view.all().len(), 11);
    assert_eq!(table.version().counter, 0);
}

#[test]
fn a_send_creates_a_topic_in_the_likeness_of_either_default_topic() {
    let mut table = table(SystemTopics::default());
    for (name, default) in [("New", "TBW102"), ("Old", "AUTO_CREATE_TOPIC_KEY")] {
        let topic = table.create_on_send(on_send(name, default), 1_001).unwrap();
        assert_eq!(topic.config, named(name, with_queues(4)));
    }
    let many = table
        .create_on_send(
            OnSend {
                queue_nums: 64,
                ..on_send("Many", "TBW102")
            },
            1_001,
        )
        .unwrap();
    assert_eq!(many.config.write_queue_nums, 8);
    let none = table
        .create_on_send(
            OnSend {
                queue_nums: -1,
                ..on_send("None", "TBW102")
            },
            1_001,
        )
        .unwrap();
    assert_eq!(none.config.read_queue_nums, 0);
    let unit = table
        .create_on_send(
            OnSend {
                unit: true,
                ..on_send("Unit", "TBW102")
            },
            1_001,
        )
        .unwrap();
    assert_eq!(unit.config.topic_sys_flag, UNIT);
    assert_eq!(table.version().counter, 5);
}

#[test]
fn a_send_to_a_known_topic_changes_nothing() {
    let mut table = table(SystemTopics::default());
    let first = table.create_on_send(on_send("T", "TBW102"), 1_001).unwrap();
    let second = table
        .create_on_send(
            OnSend {
                queue_nums: 2,
                ..on_send("T", "NoSuchTopic")
            },
            1_002,
        )
        .unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(
        table.version(),
        DataVersion {
            counter: 1,
            timestamp: 1_001,
            state_version: None,
        }
    );
}

#[test]
fn a_topic_without_a_likeness_is_refused_as_java_refuses_it() {
    let mut open = table(SystemTopics::default());
    for default in ["NoSuchTopic", "SELF_TEST_TOPIC", ""] {
        let refusal = open
            .create_on_send(on_send("NoSuchTopic1", default), 1_001)
            .unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "topic[NoSuchTopic1] not exist, apply first please!\n\
             See http://rocketmq.apache.org/docs/faq/ for further details."
        );
    }
    let file = open.export();
    let closed = SystemTopics {
        auto_create: Switch::new(false),
        ..SystemTopics::default()
    };
    let mut from_file = TopicTable::load(Some(file), closed.clone(), TopicView::new(), 1_000).unwrap();
    assert!(from_file.view().contains("TBW102"));
    assert!(from_file.create_on_send(on_send("T", "TBW102"), 1_001).is_err());
    assert!(!table(closed).view().contains("TBW102"));
}

#[test]
fn a_retry_topic_is_created_even_where_topics_are_not() {
    let mut table = table(SystemTopics {
        auto_create: Switch::new(false),
        ..SystemTopics::default()
    });
    let sent = OnSend {
        unit: true,
        ..on_send("%RETRY%g", "TBW102")
    };
    let topic = table.create_on_send(sent, 1_001).unwrap();
    let expected = TopicConfig {
        topic_sys_flag: UNIT_SUBSCRIPTION,
        ..with_queues(1)
    };
    assert_eq!(topic.config, named("%RETRY%g", expected));
    let three = table.create_retry("h", 3, false, 1_002).unwrap();
    assert_eq!(three.config, named("%RETRY%h", with_queues(3)));
    assert_eq!(&*table.create_dead_letter("h", 1_003).unwrap().name, "%DLQ%h");
    assert_eq!(
        table.create_retry(&"g".repeat(121), 1, false, 1_004).unwrap_err(),
        Refusal::TooLong
    );
}

#[test]
fn an_update_is_refused_for_the_system_s_topics_and_keeps_the_order_mark() {
    let mut table = table(SystemTopics::default());
    for name in ["DefaultCluster", "TBW102", "DefaultCluster_REPLY_TOPIC", "rmq_sys_x"] {
        let refusal = table.update(name, with_queues(1), 1_001).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            format!("The topic[{name}] is conflict with system topic.")
        );
        assert!(table.delete(name, 1_001).is_err());
    }
    table.update("T", with_queues(4), 1_001).unwrap();
    assert!(table.mark_order(&BTreeSet::from(["T".to_owned()]), 1_002));
    assert!(!table.mark_order(&BTreeSet::from(["T".to_owned(), "Unknown".to_owned()]), 1_003));
    assert!(table.update("T", with_queues(8), 1_004).unwrap().config.order);
    assert!(table.mark_order(&BTreeSet::new(), 1_005));
    assert!(!table.get("T").unwrap().config.order);
    assert_eq!(
        table
            .update("Huge", with_queues(MAX_QUEUE_NUMS + 1), 1_006)
            .unwrap_err(),
        Refusal::TooManyQueues {
            topic: "Huge".to_owned()
        }
    );
}

#[test]
fn the_file_overrides_what_the_system_says() {
    let mut first = table(SystemTopics::default());
    first.update("T", with_queues(3), 1_001).unwrap();
    first.delete("T", 1_002).unwrap();
    assert!(first.delete("T", 1_003).unwrap().is_none());
    let mut file = first.export();
    file.topic_config_table
        .insert("BenchmarkTest".to_owned(), with_queues(5));
    let second = TopicTable::load(Some(file), SystemTopics::default(), TopicView::new(), 2_000).unwrap();
    assert_eq!(second.get("BenchmarkTest").unwrap().config.read_queue_nums, 5);
    assert_eq!(
        second.version(),
        DataVersion {
            counter: 2,
            timestamp: 1_002,
            state_version: None,
        }
    );
    assert!(second.get("T").is_none());
}
