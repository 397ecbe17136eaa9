//! What has passed in the last minute, hour and day, and the rates of the last seconds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cuemq_actors::testing::TestBroker;
use cuemq_net::body::{Body, BrokerStatsData, ConsumeStats, KvTable};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_storage::clock::ManualClock;

use crate::{Connection, PATIENCE, arrived, refused, send_to};

const MESSAGES: i64 = 3;
const GROUP: &str = "TOOLS_CONSUMER";

/// A broker in which a group has pulled some messages, and ten seconds have passed since.
fn with_traffic() -> (TestBroker, Connection) {
    let clock = Arc::new(ManualClock::new(1_800_000_000_000));
    let broker = TestBroker::builder().clock(clock.clone()).start().unwrap();
    let mut client = Connection::to(broker.broker());
    for _ in 0..MESSAGES {
        assert_eq!(client.ask(send_to("T")).code, 0);
    }
    arrived(&mut client, "T", MESSAGES);
    clock.advance(Duration::from_secs(10));
    (broker, client)
}

fn figure(name: &str, key: &str) -> Command {
    Command::request(RequestCode::VIEW_BROKER_STATS_DATA)
        .with_field("statsName", name)
        .with_field("statsKey", key)
}

fn minute(client: &mut Connection, name: &str, key: &str) -> (i64, f64) {
    let answer = client.ask(figure(name, key));
    assert_eq!(
        ResponseCode(answer.code),
        ResponseCode::SUCCESS,
        "{name} {key}: {answer:?}"
    );
    let minute = BrokerStatsData::decode(&answer.body).unwrap().stats_minute;
    (minute.sum, minute.avgpt)
}

/// Asks until an answer is as it is expected: counters are looked at once in a second.
fn asked_until<T>(mut ask: impl FnMut() -> T, expected: impl Fn(&T) -> bool) -> T {
    let since = Instant::now();
    loop {
        let answer = ask();
        if expected(&answer) || since.elapsed() > PATIENCE {
            return answer;
        }
    }
}

#[test]
fn what_came_into_a_topic_and_went_to_a_group_is_told_by_minute() {
    let (broker, mut client) = with_traffic();
    let put = asked_until(|| minute(&mut client, "TOPIC_PUT_NUMS", "T"), |(sum, _)| *sum > 0);
    assert_eq!(put, (MESSAGES, 1.0), "each send brought one");
    let key = format!("T@{GROUP}");
    assert_eq!(minute(&mut client, "GROUP_GET_NUMS", &key).0, MESSAGES);
    let (bytes, _) = minute(&mut client, "TOPIC_PUT_SIZE", "T");
    assert_eq!(minute(&mut client, "GROUP_GET_SIZE", &key).0, bytes);
    assert!(bytes > 100 * MESSAGES, "{bytes} bytes of records");
    for name in ["BROKER_PUT_NUMS", "BROKER_GET_NUMS"] {
        assert_eq!(minute(&mut client, name, "DefaultCluster"), (MESSAGES, 0.0), "{name}");
    }
    drop(broker);
}

#[test]
fn what_nobody_counts_has_no_figure() {
    let (_broker, mut client) = with_traffic();
    for (name, key) in [("TOPIC_PUT_NUMS", "U"), ("GROUP_GET_NUMS", "T@other"), ("NO_NUMS", "T")] {
        let answer = client.ask(figure(name, key));
        let remark = format!("The stats <{name}> <{key}> not exist");
        assert_eq!(refused(&answer, ResponseCode::SYSTEM_ERROR), remark);
    }
}

#[test]
fn a_groups_rate_is_that_of_its_last_minute() {
    let (_broker, mut client) = with_traffic();
    let request = Command::request(RequestCode::GET_CONSUME_STATS)
        .with_field("consumerGroup", GROUP)
        .with_field("topic", "T");
    let tps = asked_until(
        || {
            ConsumeStats::decode(&client.ask(request.clone()).body)
                .unwrap()
                .consume_tps
        },
        |tps| *tps > 0.0,
    );
    assert!(tps > 0.0 && tps <= MESSAGES as f64 / 10.0, "{tps} messages per second");
}

#[test]
fn runtime_information_tells_the_rates_of_three_spans_and_the_totals() {
    let (_broker, mut client) = with_traffic();
    let request = Command::request(RequestCode::GET_BROKER_RUNTIME_INFO);
    let table = asked_until(
        || KvTable::decode(&client.ask(request.clone()).body).unwrap().table,
        |table| !table["putTps"].starts_with("0.0"),
    );
    for key in ["putTps", "getTransferedTps", "getFoundTps", "getMissTps", "getTotalTps"] {
        let rates: Vec<f64> = table[key].split(' ').map(|rate| rate.parse().unwrap()).collect();
        assert_eq!(rates.len(), 3, "{key}: {rates:?}");
    }
    let put: f64 = table["putTps"].split(' ').next().unwrap().parse().unwrap();
    assert!(put > 0.0 && put <= MESSAGES as f64 / 10.0, "{put} messages per second");
    assert_eq!(table["msgPutTotalTodayNow"], MESSAGES.to_string());
    assert_eq!(table["msgGetTotalTodayNow"], MESSAGES.to_string());
    let number = |key: &str| table[key].parse::<f64>().unwrap();
    let average = number("putMessageSizeTotal") / MESSAGES as f64;
    assert!((number("putMessageAverageSize") - average).abs() < 1e-9, "{table:?}");
}
