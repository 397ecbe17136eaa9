//! Bodies recorded from RocketMQ 4.3.0, 4.9.7 and 5.3.3, and config files that they wrote: each decodes into its type,
//! and what the type prints says the same, byte for byte where Java prints no hash map.

use cuemq_net::body::*;
use cuemq_net::dialect::{Key, Object, Style, Value, parse, write};

/// Members that Java prints and we neither read nor print.
const NOT_READ: [&str; 5] = [
    "heartbeatFingerprint",
    "withoutSub",
    "consumeTimeStampStr",
    "maxTimeStampStr",
    "minTimeStampStr",
];

/// How close to the recording the printed body must come.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Expect {
    /// The same bytes.
    SameBytes,
    /// The same members, in any order where Java prints a hash map or a set; we may add some.
    SameMeaning,
}
use Expect::{SameBytes, SameMeaning};

struct Case {
    file: &'static str,
    recorded: &'static [u8],
    expect: Expect,
    style: Style,
    reprint: fn(&[u8], Style) -> Vec<u8>,
}

/// Decodes and prints, and checks that what was printed is read as it was meant.
fn reprint<B: Body>(recorded: &[u8], style: Style) -> Vec<u8> {
    let printed = B::decode(recorded).expect("decodes").encode(style);
    assert_eq!(B::decode(&printed).expect("decodes").encode(style), printed);
    printed
}

macro_rules! cases {
    ($style:ident: $($file:literal $body:ty, $expect:ident;)*) => {
        [$(Case {
            file: $file,
            recorded: include_bytes!(concat!("testdata/bodies/", $file, ".json")),
            expect: $expect,
            style: Style::$style,
            reprint: reprint::<$body>,
        }),*]
    };
}

/// Lists what is in the recorded value and not in the printed one.
fn lost(recorded: &Value, printed: &Value, path: &str, found: &mut Vec<String>) {
    match (recorded, printed) {
        (Value::Object(recorded), Value::Object(printed)) => {
            for (key, value) in &recorded.0 {
                let path = format!("{path}.{key:?}");
                match member(printed, key) {
                    _ if NOT_READ.iter().any(|name| *key == Key::Text((*name).into())) || *value == Value::Null => {}
                    Some(same) => lost(value, same, &path, found),
                    None => found.push(path),
                }
            }
        }
        (Value::Array(recorded), Value::Array(printed)) if recorded.len() == printed.len() => {
            let (recorded, printed) = (sorted(recorded), sorted(printed));
            for (index, (value, same)) in recorded.iter().zip(&printed).enumerate() {
                lost(value, same, &format!("{path}[{index}]"), found);
            }
        }
        _ if recorded == printed => {}
        _ => found.push(format!("{path}: {recorded:?} became {printed:?}")),
    }
}

fn member<'a>(object: &'a Object, wanted: &Key) -> Option<&'a Value> {
    object.0.iter().find(|(key, _)| key == wanted).map(|(_, value)| value)
}

fn sorted(items: &[Value]) -> Vec<Value> {
    let mut items = items.to_vec();
    items.sort_by_key(|item| {
        if let Value::String(text) = item {
            text.clone()
        } else {
            String::new()
        }
    });
    items
}

fn check(cases: &[Case]) {
    for case in cases {
        let printed = (case.reprint)(case.recorded, case.style);
        let text = String::from_utf8_lossy(&printed);
        if case.expect == SameBytes {
            assert_eq!(text, String::from_utf8_lossy(case.recorded), "{}", case.file);
        }
        let mut found = Vec::new();
        lost(
            &parse(case.recorded).expect("parses"),
            &parse(&printed).expect("parses"),
            case.file,
            &mut found,
        );
        assert!(found.is_empty(), "{}: {found:?} in {text}", case.file);
    }
}

#[test]
fn recorded_requests_and_answers_are_read_and_printed_alike() {
    check(&cases! { Fastjson:
        "4.3.0-021-answer" TopicConfigTable, SameMeaning;
        "4.3.0-034-request" HeartbeatData, SameBytes;
        "4.3.0-038-answer" ConsumerList, SameBytes;
        "4.3.0-041-answer" LockedQueues, SameBytes;
        "4.3.0-041-request" LockBatch, SameBytes;
        "4.3.0-043-answer" ConsumerOffsetTable, SameMeaning;
        "4.3.0-045-answer" DelayOffsetTable, SameBytes;
        "4.3.0-046-request" CheckClient, SameBytes;
        "4.3.0-103-answer" KvTable, SameBytes;
        "4.3.0-103-request" RegisterBrokerBody, SameMeaning;
        "4.3.0-105-answer" TopicRouteData, SameMeaning;
        "4.3.0-106-answer" ClusterInfo, SameMeaning;
        "4.3.0-200-request" SubscriptionGroupConfig, SameBytes;
        "4.3.0-201-answer" SubscriptionGroupTable, SameMeaning;
        "4.3.0-202-answer" TopicStatsTable, SameBytes;
        "4.3.0-203-answer" ConsumerConnection, SameBytes;
        "4.3.0-204-answer" ProducerConnection, SameBytes;
        "4.3.0-206-answer" TopicList, SameMeaning;
        "4.3.0-208-answer" ConsumeStats, SameMeaning;
        "4.3.0-219-answer" KvTable, SameBytes;
        "4.3.0-220-request" ResetOffset, SameBytes;
        "4.3.0-221-answer" ConsumerStatus, SameBytes;
        "4.3.0-223-answer" ConsumerStatus, SameBytes;
        "4.3.0-303-answer" ConsumeTimeSpans, SameMeaning;
        "4.3.0-308-answer" CorrectionOffsets, SameBytes;
        "4.3.0-315-answer" BrokerStatsData, SameMeaning;
        "4.3.0-317-answer" ConsumeStatsList, SameMeaning;
        "4.3.0-322-answer" DataVersion, SameBytes;
        "4.3.0-322-request" DataVersion, SameBytes;
        "4.9.8-021-answer" TopicConfigTable, SameMeaning;
        "4.9.8-034-request" HeartbeatData, SameBytes;
        "4.9.8-038-answer" ConsumerList, SameBytes;
        "4.9.8-042-request" LockBatch, SameBytes;
        "4.9.8-043-answer" ConsumerOffsetTable, SameMeaning;
        "4.9.8-045-answer" DelayOffsetTable, SameBytes;
        "4.9.8-103-answer" KvTable, SameBytes;
        "4.9.8-103-request" RegisterBrokerBody, SameMeaning;
        "4.9.8-201-answer" SubscriptionGroupTable, SameMeaning;
        "4.9.8-202-answer" TopicStatsTable, SameBytes;
        "4.9.8-203-answer" ConsumerConnection, SameBytes;
        "4.9.8-206-answer" TopicList, SameMeaning;
        "4.9.8-208-answer" ConsumeStats, SameBytes;
        "4.9.8-222-answer" ResetOffset, SameBytes;
        "4.9.8-224-answer" TopicList, SameMeaning;
        "4.9.8-300-answer" GroupList, SameBytes;
        "4.9.8-303-answer" ConsumeTimeSpans, SameMeaning;
        "4.9.8-304-answer" TopicList, SameMeaning;
        "4.9.8-315-answer" BrokerStatsData, SameBytes;
        "4.9.8-317-answer" ConsumeStatsList, SameMeaning;
        "4.9.8-322-answer" DataVersion, SameBytes;
        "4.9.8-322-request" DataVersion, SameBytes;
        "5.3.3-034-request" HeartbeatData, SameMeaning;
        "5.3.3-038-answer" ConsumerList, SameBytes;
        "5.3.3-041-answer" LockedQueues, SameBytes;
        "5.3.3-041-request" LockBatch, SameBytes;
        "5.3.3-046-request" CheckClient, SameBytes;
        "5.3.3-103-request" RegisterBrokerBody, SameMeaning;
        "5.3.3-106-answer" ClusterInfo, SameBytes;
        "5.3.3-221-answer" ConsumerStatus, SameBytes;
        "5.3.3-223-answer" ConsumerStatus, SameBytes;
        "5.3.3-322-request" DataVersion, SameBytes;
    });
}

#[test]
fn recorded_routes_of_later_releases_are_standard_json() {
    check(&cases! { Standard:
        "4.9.8-105-answer" TopicRouteData, SameMeaning;
        "5.3.3-105-answer" TopicRouteData, SameMeaning;
    });
}

#[test]
fn config_files_are_rewritten_without_loss() {
    check(&cases! { Pretty:
        "4.3.0-topics" TopicConfigTable, SameMeaning;
        "4.3.0-subscriptionGroup" SubscriptionGroupTable, SameMeaning;
        "4.3.0-consumerOffset" ConsumerOffsetTable, SameMeaning;
        "4.3.0-delayOffset" DelayOffsetTable, SameBytes;
        "5.3.3-topics" TopicConfigTable, SameMeaning;
        "5.3.3-subscriptionGroup" SubscriptionGroupTable, SameMeaning;
        "5.3.3-consumerOffset" ConsumerOffsetTable, SameMeaning;
        "5.3.3-delayOffset" DelayOffsetTable, SameBytes;
    });
}

#[test]
fn a_config_file_printed_as_parsed_has_javas_bytes() {
    for recorded in [
        &include_bytes!("testdata/bodies/4.3.0-topics.json")[..],
        include_bytes!("testdata/bodies/4.3.0-subscriptionGroup.json"),
        include_bytes!("testdata/bodies/4.3.0-consumerOffset.json"),
        include_bytes!("testdata/bodies/5.3.3-topics.json"),
        include_bytes!("testdata/bodies/5.3.3-subscriptionGroup.json"),
        include_bytes!("testdata/bodies/5.3.3-consumerOffset.json"),
    ] {
        let mut printed = Vec::new();
        write(&parse(recorded).unwrap(), &mut printed, Style::Pretty);
        assert_eq!(String::from_utf8(printed).unwrap(), String::from_utf8_lossy(recorded));
    }
}

#[test]
fn a_topic_of_release_5_keeps_its_attributes() {
    let table = TopicConfigTable::decode(include_bytes!("testdata/bodies/5.3.3-topics.json")).unwrap();
    assert_eq!(
        table.topic_config_table["StoreEmpty"].extra["attributes"],
        Value::Object(Object::default())
    );
    assert_eq!(table.data_version.state_version, Some(0));
}

#[test]
fn missing_members_take_javas_defaults() {
    let topic = TopicConfig::decode(b"{}").unwrap();
    assert_eq!(
        (topic.read_queue_nums, topic.write_queue_nums, topic.perm, topic.order),
        (16, 16, 6, false)
    );
    let group = SubscriptionGroupConfig::decode(b"{\"groupName\":\"g\",\"retryMaxTimes\":null}").unwrap();
    assert_eq!(
        (group.retry_max_times, group.retry_queue_nums, group.consume_enable),
        (16, 1, true)
    );
    let heartbeat = HeartbeatData::decode(b"{\"clientID\":\"c\",\"consumerDataSet\":[{\"groupName\":\"g\"}]}").unwrap();
    assert_eq!(heartbeat.consumers[0].consume_type, ConsumeType::Passively);
    assert!(heartbeat.producers.is_empty());
}

#[test]
fn a_route_names_the_flag_as_every_release_reads_it() {
    let queues = QueueData {
        broker_name: "b".into(),
        perm: 6,
        topic_sys_flag: 1,
        ..QueueData::default()
    };
    let brokers = BrokerData {
        broker_addrs: [(0, "a:1".to_owned())].into(),
        ..BrokerData::default()
    };
    let route = TopicRouteData {
        queue_datas: vec![queues],
        broker_datas: vec![brokers],
        ..TopicRouteData::default()
    };
    let fastjson = String::from_utf8(route.encode(Style::Fastjson)).unwrap();
    let expected = r#"{"brokerDatas":[{"brokerAddrs":{0:"a:1"},"brokerName":"","cluster":"","enableActingMaster":false}],"filterServerTable":{},"queueDatas":[{"brokerName":"b","perm":6,"readQueueNums":0,"topicSynFlag":1,"topicSysFlag":1,"writeQueueNums":0}]}"#;
    assert_eq!(fastjson, expected);
    let standard = String::from_utf8(route.encode(Style::Standard)).unwrap();
    assert_eq!(standard, expected.replace("{0:", "{\"0\":"));
    for old in ["topicSynFlag", "topicSysFlag"] {
        let route = TopicRouteData::decode(format!("{{\"queueDatas\":[{{\"{old}\":1}}]}}").as_bytes()).unwrap();
        assert_eq!(route.queue_datas[0].topic_sys_flag, 1);
    }
}

#[test]
fn a_reset_for_clients_of_the_cpp_library_is_a_list() {
    let queue = MessageQueue {
        topic: "t".into(),
        broker_name: "b".into(),
        queue_id: 2,
    };
    let reset = ResetOffset {
        offset_table: [(queue, 7)].into(),
    };
    assert_eq!(
        reset.encode(Style::Fastjson),
        br#"{"offsetTable":{{"brokerName":"b","queueId":2,"topic":"t"}:7}}"#
    );
    let list = ResetOffsetList::from(reset).encode(Style::Fastjson);
    assert_eq!(
        list,
        br#"{"offsetTable":[{"brokerName":"b","offset":7,"queueId":2,"topic":"t"}]}"#
    );
}
