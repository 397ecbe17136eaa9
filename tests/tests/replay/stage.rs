//! Our broker as the recording's was when the conversation began, and what keeps it like that.
//!
//! The recorded broker had topics, and messages in them, from before the conversation, and it wrote some itself by parts
//! whose time or place is another here (sending back, delays). Pulls that were recorded brought those messages, so they are sent again
//! from there, at the times at which they were stored; one that no pull brought is replaced by a filler. So all queue
//! offsets are those of the recording. The clock is moved by hand as the recording's went on, so that nothing waits, and no
//! delay ever ends.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cuemq_actors::testing::{ManualClock, TestBroker};
use cuemq_net::body::{Body, HeartbeatData, ResetOffset};
use cuemq_net::code::RequestCode;
use cuemq_net::command::Command;
use cuemq_net::message::properties;
use cuemq_net::message::record::{Record, records};
use cuemq_storage::clock::Clock;
use cuemq_storage::delay_level::DelayLevels;

use crate::client::{Client, PATIENCE};
use crate::recording::{Conversation, Line};

/// The topics that were there before, with their queues and permissions. Others were made by the conversations.
const TOPICS: [(&str, u32, u32); 18] = [
    ("DefaultCluster_REPLY_TOPIC", 1, 6),
    ("GoldenAdmin", 2, 6),
    ("GoldenCast", 1, 6),
    ("GoldenCodec", 1, 6),
    ("GoldenError", 1, 6),
    ("GoldenLite", 2, 6),
    ("GoldenOrder", 2, 6),
    ("GoldenPull", 2, 6),
    ("GoldenPush", 2, 6),
    ("GoldenReadOnly", 1, 4),
    ("GoldenRequest", 1, 6),
    ("GoldenReset", 1, 6),
    ("GoldenSend", 2, 6),
    ("GoldenSql", 1, 6),
    ("GoldenTrace", 1, 6),
    ("GoldenTraceTopic", 1, 6),
    ("GoldenTx", 2, 6),
    ("GoldenWriteOnly", 1, 2),
];
/// When a conversation without a time of its own begins, in milliseconds since 1970.
const SOME_DAY: u64 = 1_795_000_000_000;

/// A topic's queue.
type Queue = (String, i32);

/// A broker and what is in its queues.
pub(crate) struct Stage {
    pub(crate) broker: TestBroker,
    clock: Arc<ManualClock>,
    /// The test's own connection.
    own: Client,
    /// Where each queue ends, as far as sends were answered.
    ends: BTreeMap<Queue, i64>,
    /// The messages that recorded pulls brought.
    contents: BTreeMap<(Queue, i64), Vec<u8>>,
    /// The messages that the conversation sends itself.
    own_sends: BTreeSet<(Queue, i64)>,
    _home: tempfile::TempDir,
}

impl Stage {
    pub(crate) fn of(conversation: &Conversation) -> Self {
        let home = tempfile::tempdir().unwrap();
        write_topics(home.path());
        let clock = Arc::new(ManualClock::new(SOME_DAY));
        let broker = TestBroker::builder()
            .data(home.path())
            .config(|config| config.delay_levels = DelayLevels::parse(&"36500d ".repeat(18)).unwrap())
            .clock(clock.clone())
            .config(|config| config.filters.sql = true)
            .start()
            .unwrap();
        let own = Client::to(broker.broker());
        let mut stage = Self {
            broker,
            clock,
            own,
            ends: BTreeMap::new(),
            contents: contents(conversation),
            own_sends: own_sends(conversation),
            _home: home,
        };
        stage.fill(&first_ends(conversation));
        stage.commit(conversation);
        stage
    }

    /// Commits what groups must have committed who are sent elsewhere: the ends of the queues.
    fn commit(&mut self, conversation: &Conversation) {
        for (at, request) in conversation.asked() {
            let answer = &conversation.lines[at].command;
            if request.command.code != RequestCode::INVOKE_BROKER_TO_RESET_OFFSET.0 || answer.code != 0 {
                continue;
            }
            for queue in ResetOffset::decode(&answer.body).unwrap().offset_table.into_keys() {
                let end = self.ends.get(&(queue.topic.clone(), queue.queue_id));
                let commit = Command::request(RequestCode::UPDATE_CONSUMER_OFFSET)
                    .with_field("consumerGroup", request.command.fields.get("group").unwrap())
                    .with_field("topic", &queue.topic)
                    .with_field("queueId", queue.queue_id)
                    .with_field("commitOffset", end.copied().unwrap_or(0));
                assert_eq!(self.own.ask(commit).code, 0);
            }
        }
    }

    /// Lets time pass.
    pub(crate) fn advance(&self, ms: u64) {
        self.clock.advance(Duration::from_millis(ms));
    }

    /// How much time has passed, in milliseconds.
    pub(crate) fn passed_ms(&self) -> u64 {
        u64::try_from(self.clock.monotonic().as_millis()).unwrap()
    }

    /// Brings the queues up to these ends, in the order in which the messages were stored.
    fn fill(&mut self, ends: &BTreeMap<Queue, i64>) {
        let mut wanted = Vec::new();
        for (queue, end) in ends {
            let mut stored_ms = u64::MAX;
            for offset in (0..*end).rev() {
                stored_ms = self.stored_ms(queue, offset).unwrap_or(stored_ms);
                wanted.push((stored_ms, queue.clone(), offset));
            }
        }
        wanted.sort();
        for (stored_ms, queue, offset) in wanted {
            if stored_ms != u64::MAX {
                self.clock.step_to(stored_ms);
            }
            self.put(&queue, offset).unwrap();
        }
    }

    fn stored_ms(&self, queue: &Queue, offset: i64) -> Option<u64> {
        let bytes = self.contents.get(&(queue.clone(), offset))?;
        u64::try_from(Record::parse(bytes).unwrap().store_timestamp_ms()).ok()
    }

    /// Sends the message that lay there, unless it is refused or gets another place.
    fn put(&mut self, queue: &Queue, offset: i64) -> Result<(), String> {
        let send = |born_ms: i64, flag: i32, system_flag: i32, reconsumed: i32, properties: &str| {
            Command::request(RequestCode::SEND_MESSAGE_V2)
                .with_field("a", "replay")
                .with_field("b", &queue.0)
                .with_field("c", "TBW102")
                .with_field("d", 1)
                .with_field("e", queue.1)
                .with_field("f", system_flag)
                .with_field("g", born_ms)
                .with_field("h", flag)
                .with_field("i", properties)
                .with_field("j", reconsumed)
                .with_field("l", 99)
        };
        let request = match self.contents.get(&(queue.clone(), offset)) {
            Some(bytes) => {
                let record = Record::parse(bytes).unwrap();
                let properties = without_delay(std::str::from_utf8(record.properties()).unwrap());
                let (born_ms, reconsumed) = (record.born_timestamp_ms(), record.reconsume_times());
                send(born_ms, record.flag(), record.system_flag(), reconsumed, &properties)
                    .with_body(record.body().to_vec())
            }
            None => send(1, 0, 0, 0, "TAGS\u{1}Filler").with_body("filler".as_bytes().to_vec()),
        };
        let answer = self.own.ask(request);
        let stored = answer.fields.get("queueOffset").and_then(|offset| offset.parse().ok());
        if stored != Some(offset) {
            return Err(format!(
                "what the recorded broker wrote to {queue:?} at {offset}: {answer:?}"
            ));
        }
        self.ends.insert(queue.clone(), offset + 1);
        Ok(())
    }

    /// Does what the recorded broker had done by itself before it gave this answer.
    pub(crate) fn prepare(&mut self, answer: &Command) -> Result<(), String> {
        for record in records(&answer.body) {
            let record = record.map_err(|error| error.to_string())?;
            let queue = (record.topic().unwrap().to_owned(), record.queue_id());
            let end = i64::try_from(record.queue_offset()).unwrap() + 1;
            for offset in self.ends.get(&queue).copied().unwrap_or(0)..end {
                if !self.own_sends.contains(&(queue.clone(), offset)) {
                    self.put(&queue, offset)?;
                }
            }
        }
        Ok(())
    }

    /// Notes that a send is stored, by our answer to it.
    pub(crate) fn stored(&mut self, request: &Command, answer: &Command) {
        if let Some((queue, first, count)) = stored_by(request, answer) {
            self.ends.insert(queue, first + count);
        }
    }

    /// Notes a send that is not answered.
    pub(crate) fn sent_oneway(&mut self, request: &Command) {
        if let Some(queue_id) = queue_id(request) {
            *self.ends.entry((topic(request).to_owned(), queue_id)).or_default() += 1;
        }
    }

    /// Waits until everything that is stored can be read: a send may be answered a moment before its queue has it.
    pub(crate) fn settle(&mut self) {
        self.settle_queues();
        let asked = Command::request(RequestCode::GET_BROKER_RUNTIME_INFO);
        let asked_at = Instant::now();
        while !self
            .own
            .ask(asked.clone())
            .body
            .windows(25)
            .any(|part| part == br#""dispatchBehindBytes":"0""#.as_slice())
        {
            assert!(
                asked_at.elapsed() < PATIENCE,
                "the index does not take what it was handed"
            );
        }
    }

    fn settle_queues(&mut self) {
        for ((topic, queue_id), end) in std::mem::take(&mut self.ends) {
            let asked = Command::request(RequestCode::GET_MAX_OFFSET)
                .with_field("topic", &topic)
                .with_field("queueId", queue_id);
            let asked_at = Instant::now();
            while self.own.ask(asked.clone()).fields.get("offset") != Some(&end.to_string()) {
                let in_time = asked_at.elapsed() < PATIENCE;
                assert!(in_time, "{topic} {queue_id} does not come to end at {end}");
            }
            self.ends.insert((topic, queue_id), end);
        }
    }
}

/// Properties as they are when a message has waited for its level: it must not wait again.
fn without_delay(properties: &str) -> String {
    let kept: Vec<_> = properties
        .split('\u{2}')
        .filter(|property| !property.starts_with("DELAY\u{1}"))
        .collect();
    kept.join("\u{2}")
}

fn write_topics(home: &std::path::Path) {
    let topic = |(name, queues, perm): &(&str, u32, u32)| {
        format!(
            r#""{name}":{{"order":false,"perm":{perm},"readQueueNums":{queues},"topicFilterType":"SINGLE_TAG","topicName":"{name}","topicSysFlag":0,"writeQueueNums":{queues}}}"#
        )
    };
    let topics: Vec<_> = TOPICS.iter().map(topic).collect();
    let text = format!(
        r#"{{"dataVersion":{{"counter":1,"timestamp":1}},"topicConfigTable":{{{}}}}}"#,
        topics.join(",")
    );
    fs::create_dir_all(home.join("config")).unwrap();
    fs::write(home.join("config/topics.json"), text).unwrap();
}

/// The topic of a request, by either of its names.
pub(crate) fn topic(request: &Command) -> &str {
    let fields = &request.fields;
    fields.get("topic").or_else(|| fields.get("b")).unwrap_or_default()
}

fn queue_id(request: &Command) -> Option<i32> {
    let fields = &request.fields;
    fields.get("queueId").or_else(|| fields.get("e"))?.parse().ok()
}

/// The messages that the conversation's pulls brought.
fn contents(conversation: &Conversation) -> BTreeMap<(Queue, i64), Vec<u8>> {
    let mut contents = BTreeMap::new();
    for (at, request) in conversation.asked() {
        if !is_pull(request) {
            continue;
        }
        for record in records(&conversation.lines[at].command.body) {
            let record = record.unwrap();
            let queue = (record.topic().unwrap().to_owned(), record.queue_id());
            let offset = i64::try_from(record.queue_offset()).unwrap();
            contents.insert((queue, offset), record.as_bytes().to_vec());
        }
    }
    contents
}

pub(crate) fn is_pull(request: &Line) -> bool {
    let pulls = [RequestCode::PULL_MESSAGE, RequestCode::LITE_PULL_MESSAGE];
    pulls.contains(&RequestCode(request.command.code))
}

/// The messages that the conversation's sends stored, by their answers.
fn own_sends(conversation: &Conversation) -> BTreeSet<(Queue, i64)> {
    let mut own = BTreeSet::new();
    for (at, request) in conversation.asked() {
        let answer = &conversation.lines[at].command;
        if let Some((queue, first, count)) = stored_by(&request.command, answer) {
            own.extend((first..first + count).map(|offset| (queue.clone(), offset)));
        }
    }
    own
}

/// Where the messages of a send were stored, by its answer: the queue, the first offset, how many.
fn stored_by(request: &Command, answer: &Command) -> Option<(Queue, i64, i64)> {
    if is_set_aside(request) {
        return None;
    }
    let number = |name: &str| answer.fields.get(name)?.parse::<i64>().ok();
    let queue = (topic(request).to_owned(), i32::try_from(number("queueId")?).ok()?);
    let count = i64::try_from(answer.fields.get("msgId")?.split(',').count()).ok()?;
    Some((queue, number("queueOffset")?, count))
}

/// Whether a send does not go to its own topic at once: it has a delay, or belongs to a transaction.
fn is_set_aside(request: &Command) -> bool {
    let fields = &request.fields;
    let properties = fields.get("properties").or_else(|| fields.get("i")).unwrap_or_default();
    let known = properties::known(properties.as_bytes());
    let delayed = known.delay_level.is_some_and(|level| level != "0");
    delayed || known.transaction_prepared == Some("true")
}

/// The first heartbeats of consumers that nobody was told of: they had been members before.
pub(crate) fn known_members(conversation: &Conversation) -> Vec<&Line> {
    let mut first = BTreeMap::new();
    let mut told = BTreeSet::new();
    for line in &conversation.lines {
        match RequestCode(line.command.code) {
            RequestCode::HEART_BEAT if line.to_broker && is_consumers(&line.command) => {
                first.entry(line.connection).or_insert(line);
            }
            RequestCode::NOTIFY_CONSUMER_IDS_CHANGED if !line.to_broker => drop(told.insert(line.connection)),
            _ => {}
        }
    }
    first
        .into_iter()
        .filter(|(connection, _)| !told.contains(connection))
        .map(|(_, line)| line)
        .collect()
}

fn is_consumers(heartbeat: &Command) -> bool {
    HeartbeatData::decode(&heartbeat.body).is_ok_and(|data| !data.consumers.is_empty())
}

/// Where each queue ended before the conversation, by the first answer that tells. What is in retry topics was written
/// during it.
fn first_ends(conversation: &Conversation) -> BTreeMap<Queue, i64> {
    let mut ends = BTreeMap::new();
    let asked = conversation.asked();
    for (at, request) in &asked {
        let (at, request) = (*at, *request);
        let (topic, answer) = (topic(&request.command), &conversation.lines[at].command);
        let number = |name: &str| answer.fields.get(name).and_then(|text| text.parse::<i64>().ok());
        let is_retry = topic.starts_with("%RETRY%");
        let end = match RequestCode(request.command.code) {
            RequestCode::SEND_MESSAGE | RequestCode::SEND_MESSAGE_V2 | RequestCode::SEND_BATCH_MESSAGE => {
                number("queueOffset")
            }
            RequestCode::GET_MAX_OFFSET => number("offset"),
            _ if is_pull(request) && !is_retry => number("maxOffset"),
            _ => None,
        };
        let queue = number("queueId")
            .and_then(|id| i32::try_from(id).ok())
            .or(queue_id(&request.command));
        if let (Some(end), Some(queue_id)) = (end, queue) {
            ends.entry((topic.to_owned(), queue_id)).or_insert(end);
        }
    }
    // One that was never answered waited at the end of its queue.
    for request in conversation.lines.iter().filter(|line| line.to_broker && is_pull(line)) {
        let offset = request
            .command
            .fields
            .get("queueOffset")
            .and_then(|text| text.parse().ok());
        if let (Some(offset), Some(queue_id)) = (offset, queue_id(&request.command)) {
            ends.entry((topic(&request.command).to_owned(), queue_id))
                .or_insert(offset);
        }
    }
    ends
}
