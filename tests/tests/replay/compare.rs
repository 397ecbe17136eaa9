//! Whether our answer says what the recorded one does.
//!
//! Field names are the same and so are the values, but for what a machine or a moment decides: ports, where in the commit
//! log a message lies, and which one was indexed last. A text of Java's for people counts up to its end of line.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use cuemq_net::code::RequestCode;
use cuemq_net::command::Command;
use cuemq_net::dialect::{Key, Object, Value, parse};
use cuemq_net::language::Language;
use cuemq_net::message::id::OffsetMessageId;
use cuemq_net::message::properties::Properties;
use cuemq_net::message::record::{Record, RecordError, records};
use cuemq_net::version::Version;

/// What differs, and how.
pub(crate) type Found = (String, String);

/// Compares an answer with the recorded one to the same request.
pub(crate) fn answers(asked: RequestCode, recorded: &Command, ours: &Command, broker: SocketAddr) -> Vec<Found> {
    let mut found = Vec::new();
    let mut differ = |what: &str, recorded: &dyn std::fmt::Debug, ours: &dyn std::fmt::Debug| {
        found.push((what.to_owned(), format!("recorded {recorded:?}, ours {ours:?}")));
    };
    if (ours.language, ours.version) != (Some(Language::CUEMQ), Version::CUEMQ) {
        differ("language", &recorded.language, &(ours.language, ours.version));
    }
    if ours.flag != recorded.flag {
        differ("flag", &recorded.flag, &ours.flag);
    }
    if ours.codec != recorded.codec {
        differ("codec", &recorded.codec, &ours.codec);
    }
    if ours.code != recorded.code {
        let told = |command: &Command| (command.code, command.remark.clone());
        differ("code", &told(recorded), &told(ours));
        return found;
    }
    if remark(ours) != remark(recorded) {
        differ("remark", &remark(recorded), &remark(ours));
    }
    found.extend(fields(recorded, ours, broker));
    found.extend(body(asked, recorded, ours));
    found
}

/// Compares what the broker asks or tells a client with what the recorded one did.
pub(crate) fn requests(recorded: &Command, ours: &Command) -> Vec<Found> {
    let mut found = Vec::new();
    let mut differ = |what: &str, recorded: &dyn std::fmt::Debug, ours: &dyn std::fmt::Debug| {
        found.push((what.to_owned(), format!("recorded {recorded:?}, ours {ours:?}")));
    };
    if ours.flag != recorded.flag {
        differ("flag", &recorded.flag, &ours.flag);
    }
    let told = |command: &Command| -> BTreeMap<String, String> {
        let fields = command.fields.iter();
        fields
            .map(|(key, value)| (key.to_owned(), of_any_moment(key, value)))
            .collect()
    };
    if told(ours) != told(recorded) {
        differ("fields", &told(recorded), &told(ours));
    }
    found.extend(body(RequestCode(recorded.code), recorded, ours));
    found
}

/// A field of a request to a client without what a moment or a machine decides; properties in one order.
fn of_any_moment(key: &str, value: &str) -> String {
    match key {
        "storeTimestamp" => "TIME".to_owned(),
        "bornHost" | "storeHost" => value.split(':').next().unwrap_or_default().to_owned(),
        "properties" => {
            let timeless = |(name, value): (&str, &str)| match name {
                "PUSH_REPLY_TIME" => format!("{name}=TIME"),
                _ => format!("{name}={value}"),
            };
            let mut all: Vec<String> = Properties::from(value).iter().map(timeless).collect();
            all.sort();
            all.join(" ")
        }
        _ => value.to_owned(),
    }
}

/// The first line of the remark, with ports masked.
fn remark(command: &Command) -> Option<String> {
    let line = command.remark.as_deref()?.lines().next()?.trim_end();
    let mut parts = line.split("127.0.0.1:");
    let mut masked = parts.next()?.to_owned();
    for part in parts {
        masked.push_str("127.0.0.1:*");
        masked.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    Some(masked)
}

fn fields(recorded: &Command, ours: &Command, broker: SocketAddr) -> Vec<Found> {
    let sorted = |command: &Command| -> BTreeMap<String, String> {
        let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        command.fields.iter().map(owned).collect()
    };
    let (recorded, ours) = (sorted(recorded), sorted(ours));
    let mut found = Vec::new();
    if !recorded.keys().eq(ours.keys()) {
        let names = format!("recorded {:?}, ours {:?}", recorded.keys(), ours.keys());
        found.push(("field names".to_owned(), names));
    }
    for (key, recorded) in &recorded {
        let Some(ours) = ours.get(key) else { continue };
        let same = match key.as_str() {
            "msgId" => spacing(ours, Some(broker)).is_some_and(|ours| Some(ours) == spacing(recorded, None)),
            // of the message that was indexed last
            "indexLastUpdatePhyoffset" | "indexLastUpdateTimestamp" => ours.parse::<i64>().is_ok(),
            _ => ours == recorded,
        };
        if !same {
            found.push((format!("field {key}"), format!("recorded {recorded}, ours {ours}")));
        }
    }
    found
}

/// How far the messages of these ids lie from the first one; `None` when they are no ids, or not of this broker.
fn spacing(ids: &str, broker: Option<SocketAddr>) -> Option<Vec<u64>> {
    let ids: Option<Vec<OffsetMessageId>> = ids.split(',').map(|id| id.parse().ok()).collect();
    let ids = ids?;
    let first = ids.first()?.physical_offset;
    let at_home = |id: &OffsetMessageId| broker.is_none_or(|broker| id.host == broker);
    if !ids.iter().all(at_home) {
        return None;
    }
    ids.iter().map(|id| id.physical_offset.checked_sub(first)).collect()
}

fn body(asked: RequestCode, recorded: &Command, ours: &Command) -> Vec<Found> {
    let same = match asked {
        _ if recorded.body.is_empty() || ours.body.is_empty() => recorded.body == ours.body,
        RequestCode::PULL_MESSAGE
        | RequestCode::LITE_PULL_MESSAGE
        | RequestCode::QUERY_MESSAGE
        | RequestCode::VIEW_MESSAGE_BY_ID => return messages(recorded, ours),
        RequestCode::GET_BROKER_RUNTIME_INFO => table_keys(recorded) == table_keys(ours),
        RequestCode::GET_ALL_TOPIC_CONFIG
        | RequestCode::GET_ALL_SUBSCRIPTIONGROUP_CONFIG
        | RequestCode::GET_ALL_CONSUMER_OFFSET => agree(&recorded.body, &ours.body),
        _ => match (parse(&recorded.body), parse(&ours.body)) {
            (Ok(recorded), Ok(ours)) => {
                let (recorded, ours) = (lasting(recorded), lasting(ours));
                says(&ours, &recorded) && says(&recorded, &ours)
            }
            _ => recorded.body == ours.body,
        },
    };
    if same {
        return Vec::new();
    }
    let text = |command: &Command| String::from_utf8_lossy(&command.body).into_owned();
    vec![(
        "body".to_owned(),
        format!("recorded {}, ours {}", text(recorded), text(ours)),
    )]
}

/// What a moment, a machine or the length of a stored message decides.
const OF_A_MOMENT: [&str; 14] = [
    "clientAddr",
    "consumeTimeStamp",
    "consumeTimeStampStr",
    "consumeTps",
    "dataVersion",
    "delayTime",
    "lastTimestamp",
    "lastUpdateTimestamp",
    "maxTimeStamp",
    "maxTimeStampStr",
    "minTimeStamp",
    "minTimeStampStr",
    "physicOffset",
    "physicSize",
];

/// A body without that.
fn lasting(value: Value) -> Value {
    let is_lasting = |key: &Key| !matches!(key, Key::Text(name) if OF_A_MOMENT.contains(&name.as_str()));
    match value {
        Value::Object(Object(members)) => {
            let members = members.into_iter().filter(|(key, _)| is_lasting(key));
            Value::Object(Object(members.map(|(key, value)| (key, lasting(value))).collect()))
        }
        Value::Array(items) => Value::Array(items.into_iter().map(lasting).collect()),
        other => other,
    }
}

/// Whether two tables agree on what stands in both, which is something: other scenarios had made topics and groups.
fn agree(recorded: &[u8], ours: &[u8]) -> bool {
    let rows = |body: &[u8]| match lasting(parse(body).unwrap()) {
        Value::Object(Object(members)) => members.into_iter().find_map(|(_, table)| match table {
            Value::Object(Object(rows)) => Some(rows),
            _ => None,
        }),
        _ => None,
    };
    let (recorded, ours) = (rows(recorded).unwrap(), rows(ours).unwrap());
    let both = recorded.iter().filter_map(|(key, recorded)| {
        let found = ours.iter().find(|(ours, _)| ours == key);
        found.map(|(_, ours)| says(ours, recorded) && says(recorded, ours))
    });
    let both: Vec<bool> = both.collect();
    !both.is_empty() && both.into_iter().all(|same| same)
}

/// The names in a table of texts, as runtime information is.
fn table_keys(command: &Command) -> Option<Vec<String>> {
    let Ok(Value::Object(body)) = parse(&command.body) else {
        return None;
    };
    let Some(Value::Object(table)) = body.get("table") else {
        return None;
    };
    let name = |(key, _): &(Key, Value)| match key {
        Key::Text(name) => name.clone(),
        other => format!("{other:?}"),
    };
    let mut names: Vec<_> = table.0.iter().map(name).collect();
    names.sort();
    Some(names)
}

/// Whether `ours` says what `recorded` does, in any order, keys of the same kind included. Ours may say more.
pub(crate) fn says(ours: &Value, recorded: &Value) -> bool {
    match (ours, recorded) {
        (Value::Object(ours), Value::Object(recorded)) => recorded.0.iter().all(|(key, value)| {
            let same = |(ours, _): &&(Key, Value)| ours == key;
            ours.0.iter().find(same).is_some_and(|(_, ours)| says(ours, value))
        }),
        (Value::Array(ours), Value::Array(recorded)) => {
            // Each of ours stands for one of the recorded.
            let mut left: Vec<&Value> = ours.iter().collect();
            let mut taken = |item| {
                let found = left.iter().position(|ours| says(ours, item));
                found.map(|at| left.swap_remove(at)).is_some()
            };
            ours.len() == recorded.len() && recorded.iter().all(&mut taken)
        }
        (ours, recorded) => ours == recorded,
    }
}

/// Properties that brokers of some releases add or take out.
const BROKERS: [&str; 4] = ["CLUSTER", "MSG_REGION", "TRACE_ON", "WAIT"];

/// A message without what its machine and its place in the log decide.
#[derive(Debug, PartialEq)]
struct Told<'a> {
    topic: &'a str,
    queue: (i32, u64),
    flags: (i32, i32),
    born_ms: i64,
    reconsumed: i32,
    prepared: i64,
    body: &'a [u8],
    properties: Vec<&'a str>,
}

fn told<'a>(record: Result<Record<'a>, RecordError>) -> Told<'a> {
    let record = record.unwrap();
    record.verify_crc().unwrap();
    let properties = std::str::from_utf8(record.properties()).unwrap();
    // What was sent back still says by which level it waited, where the stage sends it without waiting.
    let is_news = |property: &&str| record.reconsume_times() == 0 || !property.starts_with("DELAY\u{1}");
    Told {
        topic: record.topic().unwrap(),
        queue: (record.queue_id(), record.queue_offset()),
        flags: (record.flag(), record.system_flag()),
        born_ms: record.born_timestamp_ms(),
        reconsumed: record.reconsume_times(),
        prepared: record.prepared_transaction_offset(),
        body: record.body(),
        properties: properties.split('\u{2}').filter(is_news).collect(),
    }
}

impl<'a> Told<'a> {
    /// The message with its sender's properties alone, in any order. A release may make an id where the client made none.
    fn sent(&self, ours: &Self) -> Self {
        let is_senders = |property: &&str| {
            let name = property.split('\u{1}').next().unwrap_or_default();
            !BROKERS.contains(&name) && !name.is_empty() && (name != "UNIQ_KEY" || ours.properties.contains(property))
        };
        let mut properties: Vec<&'a str> = self.properties.iter().copied().filter(is_senders).collect();
        properties.sort_unstable();
        Self { properties, ..*self }
    }
}

fn messages(recorded: &Command, ours: &Command) -> Vec<Found> {
    let recorded: Vec<Told<'_>> = records(&recorded.body).map(told).collect();
    let ours: Vec<Told<'_>> = records(&ours.body).map(told).collect();
    let mut found = Vec::new();
    if recorded.len() != ours.len() {
        found.push((
            "messages".to_owned(),
            format!("recorded {}, ours {}", recorded.len(), ours.len()),
        ));
    }
    for (recorded, ours) in recorded.iter().zip(&ours) {
        let what = match recorded {
            same if same == ours => continue,
            _ if recorded.sent(ours) == ours.sent(ours) => "broker's properties",
            _ => "message",
        };
        found.push((
            what.to_owned(),
            format!("\n    recorded {recorded:?}\n    ours     {ours:?}"),
        ));
    }
    found
}

#[test]
fn an_array_says_what_another_does_when_its_items_pair_off() {
    let says =
        |ours: &str, recorded: &str| says(&parse(ours.as_bytes()).unwrap(), &parse(recorded.as_bytes()).unwrap());
    assert!(says(r#"["a","b","b"]"#, r#"["b","a","b"]"#));
    assert!(!says(r#"["a","a","b"]"#, r#"["a","b","b"]"#));
    assert!(!says(r#"["a","b"]"#, r#"["a"]"#));
}
