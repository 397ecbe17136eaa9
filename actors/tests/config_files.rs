//! The config files that Java brokers of three releases wrote load into the tables and are rewritten without losing a
//! member, in the form that Java reads.

use cuemq_actors::config::live::Switch;
use cuemq_actors::group::{GroupTable, GroupView};
use cuemq_actors::offset::OffsetTable;
use cuemq_actors::topic::{SystemTopics, TopicTable, TopicView};
use cuemq_net::body::{Body, ConsumerOffsetTable, SubscriptionGroupTable, TopicConfigTable};
use cuemq_net::dialect::{Key, Object, Style, Value, parse};

/// What one release wrote.
struct Release {
    topics: &'static [u8],
    groups: &'static [u8],
    offsets: &'static [u8],
}

const RELEASES: [(&str, Release); 3] = [
    (
        "4.3.0",
        Release {
            topics: include_bytes!("../testdata/topics-4.3.0.json"),
            groups: include_bytes!("../testdata/subscriptionGroup-4.3.0.json"),
            offsets: include_bytes!("../testdata/consumerOffset-4.3.0.json"),
        },
    ),
    (
        "4.9.8",
        Release {
            topics: include_bytes!("../testdata/topics-4.9.8.json"),
            groups: include_bytes!("../testdata/subscriptionGroup-4.9.8.json"),
            offsets: include_bytes!("../testdata/consumerOffset-4.9.8.json"),
        },
    ),
    (
        "5.3.3",
        Release {
            topics: include_bytes!("../testdata/topics-5.3.3.json"),
            groups: include_bytes!("../testdata/subscriptionGroup-5.3.3.json"),
            offsets: include_bytes!("../testdata/consumerOffset-5.3.3.json"),
        },
    ),
];

/// Finds each member of `original`, at any depth, with the same value in `rewritten`.
fn assert_kept(original: &Value, rewritten: &Value, place: &str) {
    let (Value::Object(Object(members)), Value::Object(kept)) = (original, rewritten) else {
        return assert_eq!(original, rewritten, "{place}");
    };
    for (key, value) in members {
        let found = kept.0.iter().find(|(other, _)| other == key).map(|(_, value)| value);
        let place = format!("{place} / {key:?}");
        assert_kept(value, found.unwrap_or_else(|| panic!("{place} is lost")), &place);
    }
}

fn rewritten(body: &impl Body) -> Value {
    parse(&body.encode(Style::Pretty)).expect("what was printed parses")
}

#[test]
fn topics_of_java_brokers_keep_every_member() {
    for (release, written) in RELEASES {
        let text = written.topics;
        let file = TopicConfigTable::decode(text).unwrap();
        let table = TopicTable::load(Some(file), SystemTopics::default(), TopicView::new(), 1).unwrap();
        assert_kept(&parse(text).unwrap(), &rewritten(&table.export()), release);
        let uneven = table.view().get("StoreUneven").unwrap();
        assert_eq!((uneven.config.read_queue_nums, uneven.config.write_queue_nums), (2, 3));
        let read_only = table.view().get("StoreReadOnly").unwrap().permission();
        assert!(read_only.is_readable() && !read_only.is_writeable());
    }
}

#[test]
fn groups_of_java_brokers_keep_every_member() {
    for (release, written) in RELEASES {
        let text = written.groups;
        let file = SubscriptionGroupTable::decode(text).unwrap();
        let table = GroupTable::load(Some(file), Switch::new(false), GroupView::new(), 1);
        assert_kept(&parse(text).unwrap(), &rewritten(&table.export()), release);
        assert_eq!(table.view().get("GID_store_push").unwrap().config.retry_max_times, 16);
    }
}

#[test]
fn offsets_of_java_brokers_keep_every_member() {
    for (release, written) in RELEASES {
        let text = written.offsets;
        let table = OffsetTable::load(ConsumerOffsetTable::decode(text).unwrap());
        assert_kept(&parse(text).unwrap(), &rewritten(&table.export()), release);
        assert_eq!(
            table.queues("GID_store_pull", "StoreOrders"),
            [(0, 0), (1, 2), (2, 4), (3, 6)]
        );
    }
}

#[test]
fn offsets_are_written_with_bare_queue_numbers() {
    let mut table = OffsetTable::default();
    table.commit("g", "T", 3, 7).unwrap();
    let Value::Object(file) = rewritten(&table.export()) else {
        panic!("no object")
    };
    let Some(Value::Object(rows)) = file.get("offsetTable") else {
        panic!("no rows")
    };
    assert_eq!(
        rows.get("T@g"),
        Some(&Value::Object(Object(vec![(Key::Number(3), Value::Integer(7))])))
    );
}
