//! Holds our strategies against what those of the Java client 4.9.8 gave to each consumer; the table's form stands in
//! `tests/testdata/allocation/README.md`.
#![expect(
    clippy::unwrap_used,
    reason = "the whole program is a test, and a panic is how it fails"
)]

use std::collections::BTreeMap;

use cuemq_client::allocation::{
    AllocationError, MachineRooms, VIRTUAL_NODES, averagely, averagely_by_circle, by_configuration, by_consistent_hash,
    by_machine_room, to_nearest_machine_room,
};
use cuemq_net::body::MessageQueue;

const TABLE: &str = include_str!("../../tests/testdata/allocation/4.9.8.txt");

type Taken = Result<Vec<MessageQueue>, AllocationError>;

/// Takes rooms from names, as the recording did.
struct Prefixes;

impl MachineRooms for Prefixes {
    fn of_queue(&self, queue: &MessageQueue) -> String {
        queue.broker_name.split('@').next().unwrap().to_owned()
    }

    fn of_consumer(&self, client_id: &str) -> String {
        client_id.split('-').next().unwrap().to_owned()
    }
}

#[derive(Default)]
struct Lists<'a> {
    queues: BTreeMap<&'a str, Vec<MessageQueue>>,
    consumers: BTreeMap<&'a str, Vec<&'a str>>,
}

impl Lists<'_> {
    fn take(&self, strategy: &str, me: &str, queues: &[MessageQueue], consumers: &[&str]) -> Taken {
        match strategy {
            "AVG" => averagely(me, queues, consumers),
            "AVG_BY_CIRCLE" => averagely_by_circle(me, queues, consumers),
            "CONFIG" => Ok(by_configuration(&self.queues["q3"])),
            "MACHINE_ROOM" => by_machine_room(me, queues, consumers, &["room1", "room2", ""]),
            "CONSISTENT_HASH" => by_consistent_hash(me, queues, consumers, VIRTUAL_NODES),
            "CONSISTENT_HASH/3" => by_consistent_hash(me, queues, consumers, 3),
            "MACHINE_ROOM_NEARBY-AVG" => to_nearest_machine_room(me, queues, consumers, &Prefixes, averagely),
            "MACHINE_ROOM_NEARBY-AVG_BY_CIRCLE" => {
                to_nearest_machine_room(me, queues, consumers, &Prefixes, averagely_by_circle)
            }
            other => panic!("there is no strategy {other}"),
        }
    }

    /// What each who asks takes, in the words of the table.
    fn line(&self, strategy: &str, queues: &str, consumers: &str) -> String {
        let (all, members) = (&self.queues[queues], &self.consumers[consumers]);
        let mut asking = members.clone();
        asking.dedup();
        asking.extend(["stranger-1@1", ""]);
        let mut line = format!("{strategy} {queues} {consumers}");
        for me in asking {
            line.push_str(" |");
            match self.take(strategy, me, all, members) {
                Ok(taken) => {
                    for queue in taken {
                        let at = all.iter().position(|known| *known == queue);
                        line.push_str(&at.map_or_else(|| " other".to_owned(), |at| format!(" {at}")));
                    }
                }
                Err(_) => line.push_str(" refused"),
            }
        }
        line
    }
}

fn queue(text: &str) -> MessageQueue {
    let parts: Vec<&str> = text.split(',').collect();
    let [topic, broker_name, queue_id] = parts[..] else {
        panic!("no queue: {text}")
    };
    MessageQueue {
        topic: topic.to_owned(),
        broker_name: broker_name.to_owned(),
        queue_id: queue_id.parse().unwrap(),
    }
}

/// Holds what one strategy gives against the lines of the table that it has.
fn compare(strategy: &str) {
    let mut lists = Lists::default();
    let (mut compared, mut wrong) = (0, Vec::new());
    for line in TABLE.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["queues", name, ref queues @ ..] => {
                lists
                    .queues
                    .insert(name, queues.iter().map(|text| queue(text)).collect());
            }
            ["consumers", name, ref consumers @ ..] => {
                lists.consumers.insert(name, consumers.to_vec());
            }
            [name, queues, consumers, ..] if name == strategy => {
                compared += 1;
                let ours = lists.line(strategy, queues, consumers);
                if ours != line {
                    wrong.push(format!("recorded {line}\n    ours {ours}"));
                }
            }
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(compared, lists.queues.len() * lists.consumers.len());
}

#[test]
fn ranges_are_those_of_java() {
    compare("AVG");
}

#[test]
fn circles_are_those_of_java() {
    compare("AVG_BY_CIRCLE");
}

#[test]
fn who_is_told_what_to_take_takes_that() {
    compare("CONFIG");
}

#[test]
fn queues_in_some_machine_rooms_go_where_java_sends_them() {
    compare("MACHINE_ROOM");
}

#[test]
fn the_ring_is_javas_with_ten_places_and_with_three() {
    compare("CONSISTENT_HASH");
    compare("CONSISTENT_HASH/3");
}

#[test]
fn the_nearest_machine_room_is_javas_with_either_strategy_within() {
    compare("MACHINE_ROOM_NEARBY-AVG");
    compare("MACHINE_ROOM_NEARBY-AVG_BY_CIRCLE");
}
