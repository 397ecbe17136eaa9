//! `cuemq store dump`: the records of a store, one on each line.

use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use cuemq_net::message::id::OffsetMessageId;
use cuemq_net::message::properties::{Properties, name};
use cuemq_net::message::record::Record;
use cuemq_storage::position::PhysicalOffset;
use serde_json::{Map, Value, json};

use super::{StoreArguments, say, say_json, time};

/// What a hole in the log ends with, as in `check`.
const DAMAGED: u8 = 2;

/// The flags of `cuemq store dump`.
#[derive(Debug, Args)]
#[command(after_help = "\
Records are shown in the order of the log, with what lies between them where it is damaged on standard error. With --json,
each line is an object: physicalOffset, size, topic, queue, queueOffset, bornTimestamp, storeTimestamp, bornHost, storeHost,
flag, systemFlag, reconsumeTimes, preparedTransactionOffset, bodyBytes, bodyCrc, messageId, properties, and with --body
body (text) or bodyHex.

Status: 0; 2 where a record could not be read.")]
pub struct DumpArguments {
    #[command(flatten)]
    store: StoreArguments,
    /// Only records of this topic
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// Only records of this queue
    #[arg(long, value_name = "N")]
    queue: Option<i32>,
    /// From the first record at or behind this physical offset on
    #[arg(long, value_name = "POSITION", conflicts_with = "offset")]
    from: Option<u64>,
    /// From this place of the queue on; needs --topic and --queue
    #[arg(long, value_name = "N", requires = "topic", requires = "queue")]
    offset: Option<u64>,
    /// At most so many records
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Only position, topic, queue, tags and keys
    #[arg(long, conflicts_with_all = ["body", "json"])]
    keys: bool,
    /// With the body, as text where it is UTF-8 and in hex otherwise
    #[arg(long)]
    body: bool,
    /// Prints JSON objects, one on each line
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &DumpArguments) -> Result<ExitCode> {
    let store = arguments.store.look_at()?;
    let from = match (arguments.offset, &arguments.topic, arguments.queue) {
        (Some(offset), Some(topic), Some(queue)) => {
            let queue_id = u32::try_from(queue)?;
            let Some(found) = store.find_in_queue(topic, queue_id, offset)? else {
                bail!("queue {queue} of {topic} has nothing at {offset}; leave --offset out to see what there is");
            };
            Some(found)
        }
        _ => arguments.from.map(PhysicalOffset),
    };
    let mut left = arguments.limit.unwrap_or(u64::MAX);
    let (mut failure, mut holes) = (None, 0);
    let each = |record: &Record<'_>| {
        if left == 0 {
            return ControlFlow::Break(());
        }
        if !arguments.wants(record) {
            return ControlFlow::Continue(());
        }
        left -= 1;
        match arguments.show(record) {
            Ok(true) if left > 0 => ControlFlow::Continue(()),
            Ok(_) => ControlFlow::Break(()),
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        }
    };
    store.each_record(from, each, |finding| {
        holes += 1;
        eprintln!("{} at byte {}: {}", finding.path.display(), finding.byte, finding.what);
    })?;
    if let Some(error) = failure {
        return Err(error);
    }
    Ok(if holes == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(DAMAGED)
    })
}

impl DumpArguments {
    fn wants(&self, record: &Record<'_>) -> bool {
        self.topic
            .as_deref()
            .is_none_or(|topic| record.topic().is_ok_and(|found| found == topic))
            && self.queue.is_none_or(|queue| queue == record.queue_id())
            && self.offset.is_none_or(|offset| offset <= record.queue_offset())
    }

    /// Prints a record; whether anybody still reads.
    fn show(&self, record: &Record<'_>) -> Result<bool> {
        if self.json {
            say_json(&object(record, self.body))
        } else {
            say(&self.line(record))
        }
    }

    fn line(&self, record: &Record<'_>) -> String {
        let properties = Properties::new(record.properties());
        let mut line = format!(
            "{} {} {}:{}@{}",
            record.physical_offset(),
            record.total_size(),
            topic(record),
            record.queue_id(),
            record.queue_offset()
        );
        if self.keys {
            let known = [name::TAGS, name::KEYS, name::UNIQUE_KEY];
            for name in known {
                let _ = write!(line, " {name}={:?}", properties.get(name).unwrap_or_default());
            }
            return line;
        }
        let _ = write!(
            line,
            " born={} at {} stored={} at {} flag={} sysflag={} retries={} prepared={} body={}",
            time(record.born_timestamp_ms()),
            record.born_host(),
            time(record.store_timestamp_ms()),
            record.store_host(),
            record.flag(),
            record.system_flag(),
            record.reconsume_times(),
            record.prepared_transaction_offset(),
            record.body().len(),
        );
        for (name, value) in properties.iter() {
            let _ = write!(line, " {name}={value:?}");
        }
        if self.body {
            let _ = match std::str::from_utf8(record.body()) {
                Ok(text) => write!(line, " {text:?}"),
                Err(_) => write!(line, " 0x{}", hex(record.body())),
            };
        }
        line
    }
}

fn topic(record: &Record<'_>) -> String {
    record
        .topic()
        .map_or_else(|_| String::from("(no UTF-8)"), str::to_owned)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn object(record: &Record<'_>, with_body: bool) -> Value {
    let properties: Map<String, Value> = Properties::new(record.properties())
        .iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    let id = OffsetMessageId {
        host: record.store_host(),
        physical_offset: record.physical_offset(),
    };
    let mut object = json!({
        "physicalOffset": record.physical_offset(),
        "size": record.total_size(),
        "topic": topic(record),
        "queue": record.queue_id(),
        "queueOffset": record.queue_offset(),
        "bornTimestamp": record.born_timestamp_ms(),
        "storeTimestamp": record.store_timestamp_ms(),
        "bornHost": record.born_host().to_string(),
        "storeHost": record.store_host().to_string(),
        "flag": record.flag(),
        "systemFlag": record.system_flag(),
        "reconsumeTimes": record.reconsume_times(),
        "preparedTransactionOffset": record.prepared_transaction_offset(),
        "bodyBytes": record.body().len(),
        "bodyCrc": record.body_crc(),
        "messageId": id.to_string(),
        "properties": properties,
    });
    if with_body && let Some(members) = object.as_object_mut() {
        let (name, body) = match std::str::from_utf8(record.body()) {
            Ok(text) => ("body", text.to_owned()),
            Err(_) => ("bodyHex", hex(record.body())),
        };
        members.insert(name.to_owned(), body.into());
    }
    object
}
