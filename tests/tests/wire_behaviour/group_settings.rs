//! Subscription groups as tools make, change, list and delete them.

use cuemq_actors::testing::TestBroker;
use cuemq_net::body::{Body, SubscriptionGroupConfig, SubscriptionGroupConfigs, SubscriptionGroupTable};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::dialect::Style;

use crate::{Connection, number, refused, send_to};

fn group(name: &str, retry_max_times: i32) -> SubscriptionGroupConfig {
    SubscriptionGroupConfig {
        group_name: name.to_owned(),
        retry_max_times,
        ..SubscriptionGroupConfig::default()
    }
}

fn update(config: &SubscriptionGroupConfig) -> Command {
    Command::request(RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP).with_body(config.encode(Style::Fastjson))
}

fn delete(name: &str) -> Command {
    Command::request(RequestCode::DELETE_SUBSCRIPTIONGROUP).with_field("groupName", name)
}

#[track_caller]
fn done(answer: &Command) {
    assert_eq!(ResponseCode(answer.code), ResponseCode::SUCCESS, "{answer:?}");
}

fn all(client: &mut Connection) -> SubscriptionGroupTable {
    let answer = client.ask(Command::request(RequestCode::GET_ALL_SUBSCRIPTIONGROUP_CONFIG));
    SubscriptionGroupTable::decode(&answer.body).unwrap()
}

fn one(client: &mut Connection, name: &str) -> Command {
    client.ask(Command::request(RequestCode::GET_SUBSCRIPTIONGROUP_CONFIG).with_field("group", name))
}

#[test]
fn a_group_is_made_changed_listed_and_kept_and_each_change_is_counted() {
    let broker = TestBroker::start();
    let mut client = Connection::to(broker.broker());
    let before = all(&mut client).data_version.counter;
    for (times, retries) in [(1, 3), (2, 5)] {
        done(&client.ask(update(&group("g", retries))));
        let table = all(&mut client);
        assert_eq!(table.subscription_group_table["g"], group("g", retries));
        assert_eq!(table.data_version.counter, before + times);
        let answer = one(&mut client, "g");
        assert_eq!(
            SubscriptionGroupConfig::decode(&answer.body).unwrap(),
            group("g", retries)
        );
        let file = std::fs::read(broker.data().join("config/subscriptionGroup.json")).unwrap();
        assert_eq!(SubscriptionGroupTable::decode(&file).unwrap(), table);
    }
    done(&client.ask(delete("g")));
    assert!(!all(&mut client).subscription_group_table.contains_key("g"));
    let remark = "No group in this broker. group: g";
    assert_eq!(
        refused(&one(&mut client, "g"), ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST),
        remark
    );
    done(&client.ask(delete("g")));
}

#[test]
fn groups_come_in_a_list_too() {
    let broker = TestBroker::start();
    let mut client = Connection::to(broker.broker());
    let groups = SubscriptionGroupConfigs {
        group_config_list: vec![group("one", 1), group("two", 2)],
    };
    let code = RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST;
    done(&client.ask(Command::request(code).with_body(groups.encode(Style::Fastjson))));
    let table = all(&mut client).subscription_group_table;
    assert_eq!((table["one"].retry_max_times, table["two"].retry_max_times), (1, 2));
}

#[test]
fn a_list_with_one_group_that_may_not_be_changes_none() {
    let broker = TestBroker::start();
    let mut client = Connection::to(broker.broker());
    let before = all(&mut client);
    let groups = SubscriptionGroupConfigs {
        group_config_list: vec![group("one", 1), group("", 2)],
    };
    let code = RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST;
    let answer = client.ask(Command::request(code).with_body(groups.encode(Style::Fastjson)));
    refused(&answer, ResponseCode::SYSTEM_ERROR);
    assert_eq!(all(&mut client), before, "nothing is changed, not even the version");
}

#[test]
fn a_group_without_a_name_and_a_body_that_cannot_be_read_are_refused() {
    let broker = TestBroker::start();
    let mut client = Connection::to(broker.broker());
    for request in [update(&group("", 1)), update(&group("g", 1)).with_body(&b"{"[..])] {
        refused(&client.ask(request), ResponseCode::SYSTEM_ERROR);
    }
}

#[test]
fn what_a_deleted_group_has_committed_goes_only_when_that_is_asked_for() {
    let broker = TestBroker::start();
    let mut client = Connection::to(broker.broker());
    number(&client.ask(send_to("T")), "queueOffset");
    let of_queue = |code| {
        Command::request(code)
            .with_field("consumerGroup", "g")
            .with_field("topic", "T")
            .with_field("queueId", 0)
    };
    done(&client.ask(of_queue(RequestCode::UPDATE_CONSUMER_OFFSET).with_field("commitOffset", 1)));
    let query = || of_queue(RequestCode::QUERY_CONSUMER_OFFSET);
    done(&client.ask(delete("g")));
    assert_eq!(number(&client.ask(query()), "offset"), 1);
    for field in ["removeOffset", "cleanOffset"] {
        done(&client.ask(of_queue(RequestCode::UPDATE_CONSUMER_OFFSET).with_field("commitOffset", 1)));
        done(&client.ask(delete("g").with_field(field, true)));
        assert_eq!(number(&client.ask(query()), "offset"), 0, "{field}");
    }
}
