//! What brokers, clients and tools asked real name servers of RocketMQ 4.3.0, 4.9.7 and 5.3.3, asked again of ours: each
//! answer has the same code, remark and fields, and a body that says the same. Ours may say more.
//!
//! A recording has one frame on each line: connection, `>` or `<` for question or answer, the frame in hexadecimal; lines
//! with `#` name the scenario.

use bytes::Bytes;
use cuemq_actors::namesrv::{Desk, KvFile, Settings};
use cuemq_actors::peer::PeerKey;
use cuemq_net::command::Command;
use cuemq_net::dialect::parse;
use cuemq_storage::disk::RealDisk;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::compare::says;

fn open(root: &tempfile::TempDir) -> Desk {
    let file = KvFile::new(Arc::new(RealDisk), root.path().join("kvConfig.json"));
    let settings = Settings {
        listen_port: 9876,
        kv_config_path: String::new(),
        order_message_enable: false,
        cluster_test: false,
        product_environment: "center".to_owned(),
    };
    Desk::open(file, settings).unwrap()
}

fn command(hex: &str) -> Command {
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    let frame: Bytes = (0..hex.len()).step_by(2).map(byte).collect::<Vec<u8>>().into();
    Command::decode(&frame).unwrap()
}

/// Replays a recording and returns how many answers were compared.
fn replay(recording: &str) -> usize {
    let mut root = tempfile::tempdir().unwrap();
    let mut desk = open(&root);
    let mut scenario = "";
    let mut answers = BTreeMap::new();
    let mut compared = 0;
    for line in recording.lines() {
        if let Some(name) = line.strip_prefix("# ") {
            scenario = name;
            if scenario == "restart" {
                root = tempfile::tempdir().unwrap();
                desk = open(&root);
            }
            continue;
        }
        let words: Vec<&str> = line.split(' ').collect();
        let slot = words[0].parse().unwrap();
        let frame = command(words[2]);
        if words[1] == ">" {
            let peer = PeerKey {
                thread: 0,
                slot,
                generation: 0,
            };
            let answer = desk.answer(peer, &frame, Duration::ZERO);
            answers.insert((slot, frame.opaque), (frame.code, answer));
        } else {
            let (code, ours) = answers.remove(&(slot, frame.opaque)).unwrap();
            compare(&frame, &ours, &format!("{scenario}, code {code}"));
            compared += 1;
        }
    }
    compared
}

fn compare(recorded: &Command, ours: &Command, what: &str) {
    assert_eq!((ours.code, ours.flag), (recorded.code, recorded.flag), "{what}");
    assert_eq!(first_line(ours), first_line(recorded), "{what}");
    let fields = |command: &Command| -> BTreeMap<String, String> {
        let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        command.fields.iter().map(owned).collect()
    };
    assert_eq!(fields(ours), fields(recorded), "{what}");
    assert_eq!(ours.body.is_empty(), recorded.body.is_empty(), "{what}");
    if !recorded.body.is_empty() {
        let (recorded, ours) = (parse(&recorded.body).unwrap(), parse(&ours.body).unwrap());
        assert!(says(&ours, &recorded), "{what}: {ours:?} does not say {recorded:?}");
    }
}

/// The remark without the pointer to a page of questions and answers, which each release has elsewhere.
fn first_line(command: &Command) -> Option<&str> {
    command.remark.as_deref().and_then(|remark| remark.lines().next())
}

#[test]
fn a_4_3_0_name_servers_answers_are_given() {
    assert_eq!(replay(include_str!("../../testdata/name_servers/4.3.0.frames")), 24);
}

#[test]
fn a_4_9_7_name_servers_answers_are_given() {
    assert_eq!(replay(include_str!("../../testdata/name_servers/4.9.8.frames")), 28);
}

#[test]
fn a_5_3_3_name_servers_answers_are_given() {
    assert_eq!(replay(include_str!("../../testdata/name_servers/5.3.3.frames")), 22);
}
