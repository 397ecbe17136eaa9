//! Pulling from a queue, as consumers do and as the final reading does.

use std::borrow::Cow;
use std::io::Read;
use std::time::Duration;

use cuemq_net::code::RequestCode;
use cuemq_net::command::Command;
use cuemq_net::message::record::{Record, records};
use cuemq_net::message::sysflag::COMPRESSED;
use cuemq_net::request::PullHeader;
use cuemq_net::response::PullResponse;

use flate2::read::ZlibDecoder;

use super::body::{Content, Queue};
use super::history::Stored;

/// The pull's bit for committing where it reads from.
const COMMIT: i32 = 1;
/// The pull's bit for waiting.
const SUSPEND: i32 = 2;
/// The pull's bit for bringing its own filter.
const SUBSCRIPTION: i32 = 4;

/// A request for the messages of a queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pull<'a> {
    /// Who asks.
    pub(super) group: &'a str,
    /// The queue.
    pub(super) queue: Queue,
    /// From where on.
    pub(super) queue_offset: u64,
    /// How long the broker may wait for one.
    pub(super) suspend: Duration,
    /// Whether that place is committed.
    pub(super) commits: bool,
    /// Whether it is for the group's heartbeats to say what is subscribed to.
    pub(super) by_heartbeat: bool,
}

impl Pull<'_> {
    /// The request.
    #[must_use]
    pub(super) fn request(&self) -> Command {
        let topic = self.queue.topic_name();
        let queue_offset = i64::try_from(self.queue_offset).unwrap_or(i64::MAX);
        let flags = [
            (COMMIT, self.commits),
            (SUSPEND, !self.suspend.is_zero()),
            (SUBSCRIPTION, !self.by_heartbeat),
        ];
        let header = PullHeader {
            consumer_group: self.group,
            topic: &topic,
            queue_id: i32::from(self.queue.queue_id),
            queue_offset,
            max_msg_nums: 16,
            sys_flag: flags.iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| flag).sum(),
            commit_offset: queue_offset,
            suspend_timeout_millis: i64::try_from(self.suspend.as_millis()).unwrap_or(i64::MAX),
            subscription: (!self.by_heartbeat).then_some("*"),
            ..PullHeader::default()
        };
        Command::request(RequestCode::PULL_MESSAGE).with_header(|fields| header.write(fields))
    }
}

/// What an answer to a pull says about the queue: where to go on, and its end.
#[must_use]
pub(super) fn ends(answer: &Command) -> Option<(u64, u64)> {
    let view = answer.view();
    let header = PullResponse::read(&view).ok()?;
    let next = u64::try_from(header.next_begin_offset).ok()?;
    Some((next, u64::try_from(header.max_offset).ok()?))
}

/// The messages that an answer brings. What cannot be read ends them as something torn, and so does a record that is of
/// another queue or whose check sum is wrong.
#[must_use]
pub(super) fn messages(queue: Queue, answer: &Command) -> Vec<Stored> {
    let stored = |record: Result<_, _>| match record {
        Ok(record) => read(queue, &record),
        Err(error) => torn(format!("{error}")),
    };
    records(&answer.body).map(stored).collect()
}

fn read(queue: Queue, record: &Record<'_>) -> Stored {
    let is_of_queue =
        record.topic().is_ok_and(|topic| topic == queue.topic_name()) && record.queue_id() == i32::from(queue.queue_id);
    let content = if !is_of_queue {
        Content::Torn(format!("of {:?}/{}", record.topic(), record.queue_id()))
    } else if let Err(error) = record.verify_crc() {
        Content::Torn(error.to_string())
    } else {
        Content::of(&unfolded(record))
    };
    Stored {
        queue_offset: record.queue_offset(),
        physical_offset: record.physical_offset(),
        store_timestamp_ms: record.store_timestamp_ms(),
        content,
    }
}

/// The body as it was before its client compressed it; as it is stored, where it does not unfold.
fn unfolded<'a>(record: &'a Record<'_>) -> Cow<'a, [u8]> {
    let stored = record.body();
    if record.system_flag() & COMPRESSED == 0 {
        return Cow::Borrowed(stored);
    }
    let mut body = Vec::new();
    match ZlibDecoder::new(stored).read_to_end(&mut body) {
        Ok(_) => Cow::Owned(body),
        Err(_) => Cow::Borrowed(stored),
    }
}

fn torn(why: String) -> Stored {
    Stored {
        queue_offset: u64::MAX,
        physical_offset: u64::MAX,
        store_timestamp_ms: 0,
        content: Content::Torn(why),
    }
}
