//! What actors send each other stands in the table of `actors/src/lib.rs`; what clients may send is served, or refused by
//! its name.

use crate::code::{is_word, without_tests};
use crate::{File, none, root, rust_files};
use std::collections::BTreeSet;

const TABLE: &str = "actors/src/lib.rs";
/// Where requests find their way; a code that stands in none of these is answered with 3 and its name.
const SERVED_IN: [&str; 3] = [
    "actors/src/io/connection.rs",
    "actors/src/router/",
    "actors/src/namesrv/desk.rs",
];

/// What clients 4.x and the brokers' registration send: without these no application gets along.
const NEEDED: [&str; 24] = [
    "SEND_MESSAGE",
    "SEND_MESSAGE_V2",
    "SEND_BATCH_MESSAGE",
    "PULL_MESSAGE",
    "LITE_PULL_MESSAGE",
    "QUERY_CONSUMER_OFFSET",
    "UPDATE_CONSUMER_OFFSET",
    "GET_BROKER_RUNTIME_INFO",
    "SEARCH_OFFSET_BY_TIMESTAMP",
    "GET_MAX_OFFSET",
    "GET_MIN_OFFSET",
    "GET_EARLIEST_MSG_STORETIME",
    "HEART_BEAT",
    "UNREGISTER_CLIENT",
    "GET_CONSUMER_LIST_BY_GROUP",
    "REGISTER_BROKER",
    "UNREGISTER_BROKER",
    "GET_ROUTEINTO_BY_TOPIC",
    "GET_BROKER_CLUSTER_INFO",
    "GET_ALL_TOPIC_LIST_FROM_NAMESERVER",
    "GET_TOPICS_BY_CLUSTER",
    "QUERY_DATA_VERSION",
    "PUT_KV_CONFIG",
    "GET_KV_CONFIG",
];

/// The names of the types of a file that derive `Message`, tests left out.
fn messages(file: &File) -> Vec<String> {
    let mut lines = without_tests(&file.text).lines();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let derives = line.starts_with("#[derive(") && line.split(|c| !is_word(c)).any(|word| word == "Message");
        if derives && let Some(item) = lines.by_ref().find(|line| !line.starts_with(['#', '/', ' '])) {
            let words = item.split(|c| !is_word(c));
            found.extend(
                words
                    .skip_while(|word| !["struct", "enum"].contains(word))
                    .nth(1)
                    .map(str::to_owned),
            );
        }
    }
    found
}

#[test]
fn every_message_stands_in_the_table() {
    let table = std::fs::read_to_string(root().join(TABLE)).unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("//! | `"));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    let named: BTreeSet<&str> = cells.flat_map(|cell| cell.split('`').step_by(2)).collect();
    let files: Vec<File> = rust_files()
        .into_iter()
        .filter(|file| file.path.starts_with("actors/src/"))
        .filter(|file| !file.path.ends_with("/tests.rs") && !file.path.contains("/tests/"))
        .collect();
    let sent: Vec<(String, String)> = files
        .iter()
        .flat_map(|file| messages(file).into_iter().map(|message| (file.path.clone(), message)))
        .collect();
    assert!(sent.len() > 50, "the messages are not found any more: {sent:?}");
    let missing = sent.iter().filter(|(_, message)| !named.contains(message.as_str()));
    none(
        "messages that the table does not have",
        &missing
            .map(|(path, message)| format!("{path}: {message}"))
            .collect::<Vec<_>>(),
    );
    let known = |name: &&&str| sent.iter().any(|(_, message)| message == **name);
    let gone = named.iter().filter(|name| !known(name));
    none(
        "rows for messages that are gone",
        &gone.map(|name| (*name).to_owned()).collect::<Vec<_>>(),
    );
}

#[test]
fn what_applications_need_is_served() {
    let serving: String = rust_files()
        .iter()
        .filter(|file| SERVED_IN.iter().any(|path| file.path.starts_with(path)))
        .map(|file| without_tests(&file.text).to_owned())
        .collect();
    let served = |name: &str| {
        serving
            .match_indices(&format!("RequestCode::{name}"))
            .any(|(at, found)| !serving[at + found.len()..].starts_with(is_word))
    };
    let missing = NEEDED.iter().filter(|name| !served(name));
    none(
        "request codes without a route",
        &missing.map(|name| (*name).to_owned()).collect::<Vec<_>>(),
    );
}
