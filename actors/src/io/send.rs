//! Step 3 of a send: checks it in RocketMQ's order and encodes its records into the connection's batch
//! (`SendMessageProcessor` and `CommitLog.putMessage` in Java, up to the append lock).

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Duration;

use cuemq_net::body::{SubscriptionGroupConfig, TopicFilterType};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::frame::HeaderCodec;
use cuemq_net::header::HeaderView;
use cuemq_net::message::properties::KnownProperties;
use cuemq_net::message::record::{self, RecordError, RecordFields};
use cuemq_net::message::sysflag::TransactionType;
use cuemq_net::message::{batch, properties, sysflag};
use cuemq_net::request::SendHeader;
use cuemq_net::version::Version;
use cuemq_storage::commit_log::RecordBatch;
use cuemq_storage::commit_log::derive::is_queued;
use cuemq_storage::log_state::Acknowledge;

use super::send_context::{SendBatch, SendContext, SendReply};
use super::state::{BrokerSide, IoState};
use crate::peer::PeerKey;
use crate::router::{TopicWanted, stored_properties};
use crate::set_aside::{self, Aside, delay_level};
use crate::timer::{Handle, delivery_time, until_time};
use crate::topic::{DEAD_LETTER_PREFIX, RETRY_PREFIX, Topic};

/// RocketMQ's text for everything that is too long; the numbers in it are historical.
const ILLEGAL: &str = "the message is illegal, maybe msg body or properties length not matched. msg body length limit \
                       128k, msg properties length limit 32k.";
/// A batch is handed on when it holds this many records or bytes.
const BATCH_RECORDS: usize = 256;
const BATCH_BYTES: usize = 256 * 1024;

/// One send request as it lies in the read buffer.
#[derive(Clone, Copy)]
pub struct SendRequest<'a, 'h> {
    /// Its header.
    pub view: &'a HeaderView<'h>,
    /// The header's encoding.
    pub codec: HeaderCodec,
    /// Its body.
    pub body: &'a [u8],
    /// The connection.
    pub peer: PeerKey,
    /// Where it comes from.
    pub remote: SocketAddr,
    /// When it was read, by the monotonic clock.
    pub read_at: Duration,
}

/// Why a send was not taken.
#[derive(Debug)]
pub enum Refusal {
    /// It is answered with this code and remark.
    Code(ResponseCode, Cow<'static, str>),
    /// Its topic has to be made first; then it is tried again.
    NeedsTopic(TopicWanted),
}

fn refuse<T>(code: ResponseCode, remark: impl Into<Cow<'static, str>>) -> Result<T, Refusal> {
    Err(Refusal::Code(code, remark.into()))
}

/// The batches that the connection whose turn it is fills, one for each thing that senders can wait for.
#[derive(Debug, Default)]
pub struct Batches {
    flushed: Option<SendBatch>,
    appended: Option<SendBatch>,
}

impl Batches {
    /// Takes the batches that are to be handed on: all of them, or only the full ones.
    pub fn take(&mut self, all: bool) -> [Option<(SendBatch, Acknowledge)>; 2] {
        let ready = |batch: &mut Option<SendBatch>| {
            let full = |batch: &SendBatch| batch.records.len() >= BATCH_RECORDS || batch.bytes.len() >= BATCH_BYTES;
            if all || batch.as_ref().is_some_and(full) {
                batch.take()
            } else {
                None
            }
        };
        [
            ready(&mut self.flushed).map(|batch| (batch, Acknowledge::Flushed)),
            ready(&mut self.appended).map(|batch| (batch, Acknowledge::Appended)),
        ]
    }

    fn open(&mut self, io: &IoState, (peer, read_at): (PeerKey, Duration), acknowledge: Acknowledge) -> &mut SendBatch {
        let place = if acknowledge == Acknowledge::Appended {
            &mut self.appended
        } else {
            &mut self.flushed
        };
        // What a connection left that failed in the middle of its turn: its senders hear of it when it is dropped.
        if place.as_ref().is_some_and(|left| left.context.peer != peer) {
            *place = None;
        }
        place.get_or_insert_with(|| {
            let mut batch = match io.spare_batch() {
                Some(mut spare) => {
                    spare.context.reopen(peer, io.lost.clone());
                    spare
                }
                None => RecordBatch::new(SendContext::new(peer, io.lost.clone())),
            };
            batch.context.times.read = read_at;
            batch
        })
    }
}

/// Checks a send and adds its records to the batches.
///
/// # Errors
/// Says what the sender is to be told, or that the topic has to be made first.
pub fn take(
    io: &IoState,
    broker: &BrokerSide,
    request: SendRequest<'_, '_>,
    batches: &mut Batches,
) -> Result<(), Refusal> {
    let header = match SendHeader::read(request.view) {
        Ok(header) => header,
        Err(error) => return refuse(ResponseCode::SYSTEM_ERROR, error.to_string()),
    };
    check_service(io, broker)?;
    if let Err(refusal) = crate::topic::check_send(header.topic) {
        return refuse(refusal.code(), refusal.to_string());
    }
    let Some(topic) = broker.topics.get(header.topic) else {
        // It would wait for its topic in vain.
        if request.body.len() as u64 > io.identity.live.max_message_bytes.get() {
            return refuse(ResponseCode::MESSAGE_ILLEGAL, ILLEGAL);
        }
        return Err(Refusal::NeedsTopic(TopicWanted::on_send(&header)));
    };
    check_permission(io, &topic)?;
    let queue_id = check_queue(io, &header, &topic, request.remote)?;
    let (topic, queue_id) = match header.topic.strip_prefix(RETRY_PREFIX) {
        Some(group) => check_retry(io, broker, &header, group, request.view.version, topic, queue_id)?,
        None => (topic, queue_id),
    };
    let known = properties::known(header.properties.unwrap_or_default().as_bytes());
    let mut kind = kind(io, broker, &header, &known)?;
    if *topic.name != *header.topic {
        // A dead letter waits for nothing.
        kind = Kind::Plain;
    }
    let acknowledge = match known.wait {
        Some(wait) if wait.eq_ignore_ascii_case("false") => Acknowledge::Appended,
        _ => Acknowledge::Flushed,
    };
    let mut encoder = Encoder {
        io,
        broker,
        header: &header,
        topic: &topic,
        queue_id,
        request,
    };
    let place = batches.open(io, (request.peer, request.read_at), acknowledge);
    if header.batch {
        encoder.batch(place)
    } else {
        encoder.single(place, known, kind)
    }
}

/// The checks of where a message is to go, for one that does not come as a send: its queue, or what it is refused with.
///
/// # Errors
/// The code and the remark of the answer.
pub fn check_place(
    io: &IoState,
    header: &SendHeader<'_>,
    topic: &Topic,
    remote: SocketAddr,
) -> Result<u32, (ResponseCode, Cow<'static, str>)> {
    let checked = check_permission(io, topic).and_then(|()| check_queue(io, header, topic, remote));
    checked.map_err(|refusal| match refusal {
        Refusal::Code(code, remark) => (code, remark),
        Refusal::NeedsTopic(_) => (
            ResponseCode::TOPIC_NOT_EXIST,
            Cow::Borrowed("the topic is not there any more"),
        ),
    })
}

fn check_service(io: &IoState, broker: &BrokerSide) -> Result<(), Refusal> {
    match broker.gate.refusal(|| io.clock.now_ms()) {
        None => Ok(()),
        Some((code, remark)) => refuse(code, remark),
    }
}

/// A broker without write permission refuses order topics only; of the others, clients hear through the name server.
fn check_permission(io: &IoState, topic: &Topic) -> Result<(), Refusal> {
    if !io.identity.permission().is_writeable() && topic.config.order {
        let ip = io.identity.store_host.ip();
        return refuse(
            ResponseCode::NO_PERMISSION,
            format!("the broker[{ip}] sending message is forbidden"),
        );
    }
    Ok(())
}

fn check_queue(io: &IoState, header: &SendHeader<'_>, topic: &Topic, remote: SocketAddr) -> Result<u32, Refusal> {
    let config = &topic.config;
    let Ok(queue_id) = u32::try_from(header.queue_id) else {
        return Ok(u32::try_from(io.entropy.below(u64::from(config.write_queue_nums))).unwrap_or(0));
    };
    if queue_id >= config.read_queue_nums.max(config.write_queue_nums) {
        let remark = format!("request queueId[{queue_id}] is illegal, {topic} Producer: {remote}");
        return refuse(ResponseCode::SYSTEM_ERROR, remark);
    }
    Ok(queue_id)
}

/// A consumer's own send to its retry topic: the group must exist, and a message that came back too often goes to the
/// dead letters.
fn check_retry(
    io: &IoState,
    broker: &BrokerSide,
    header: &SendHeader<'_>,
    group_name: &str,
    version: i32,
    topic: std::sync::Arc<Topic>,
    queue_id: u32,
) -> Result<(std::sync::Arc<Topic>, u32), Refusal> {
    // Java makes a group on its first use; the send goes on meanwhile with the limit that it will have.
    let known = broker.groups.with(group_name, |group| group.config.retry_max_times);
    let fresh = || {
        let config = SubscriptionGroupConfig::default();
        io.router.make_group(group_name).then_some(config.retry_max_times)
    };
    let Some(limit) = known.or_else(fresh) else {
        let remark = format!("subscription group not exist, {group_name}");
        return refuse(ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, remark);
    };
    let of_header = header
        .max_reconsume_times
        .filter(|_| Version(version).max_reconsume_overrides());
    let limit = of_header.unwrap_or(limit);
    if header.reconsume_times.unwrap_or(0) < limit {
        return Ok((topic, queue_id));
    }
    let name = format!("{DEAD_LETTER_PREFIX}{group_name}");
    match broker.topics.get(&name) {
        Some(dead_letters) => Ok((dead_letters, 0)),
        None => Err(Refusal::NeedsTopic(TopicWanted::DeadLetters {
            group: group_name.to_owned(),
        })),
    }
}

/// What becomes of a message first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It goes to its topic.
    Plain,
    /// It waits for the delay of this level.
    Delayed(i64),
    /// It waits for its time, in milliseconds since 1970.
    Timed(u64),
    /// It waits for the end of its transaction.
    Half,
}

/// What becomes of a message, by its properties. A delay that a half message has begins when it is committed; with a level, a
/// time means nothing.
fn kind(
    io: &IoState,
    broker: &BrokerSide,
    header: &SendHeader<'_>,
    known: &KnownProperties<'_>,
) -> Result<Kind, Refusal> {
    let level = match delay_level(known) {
        Ok(level) => level,
        Err(error) => return refuse(ResponseCode::MESSAGE_ILLEGAL, error.to_string()),
    };
    let time = match level {
        0 if is_queued(header.sys_flag) => delivery_time(known, io.clock.now_ms(), broker.timers),
        _ => Ok(None),
    };
    let time = time.or_else(|error| refuse(error.code(), error.to_string()))?;
    let is_half = |value: &str| value.eq_ignore_ascii_case("true");
    let is_retried = header.reconsume_times.unwrap_or(0) > 0 && level > 0;
    if known.transaction_prepared.is_some_and(is_half) && !is_retried {
        if io.identity.live.reject_transactions.is_on() {
            let ip = io.identity.store_host.ip();
            let remark = format!("the broker[{ip}] sending transaction message is forbidden");
            return refuse(ResponseCode::NO_PERMISSION, remark);
        }
        return Ok(Kind::Half);
    }
    Ok(match time {
        Some(at_ms) => Kind::Timed(at_ms),
        None if level > 0 && is_queued(header.sys_flag) => Kind::Delayed(level),
        None => Kind::Plain,
    })
}

/// Encodes what one request brings.
struct Encoder<'a, 'h> {
    io: &'a IoState,
    broker: &'a BrokerSide,
    header: &'a SendHeader<'h>,
    topic: &'a Topic,
    queue_id: u32,
    request: SendRequest<'a, 'h>,
}

/// One message of a request.
struct Part<'a> {
    /// Where it is stored.
    topic: &'a str,
    queue_id: u32,
    body: &'a [u8],
    properties: &'a [u8],
    /// What the properties hold.
    known: KnownProperties<'a>,
    flag: i32,
    system_flag: i32,
    joined: bool,
}

impl Encoder<'_, '_> {
    fn single(&mut self, batch: &mut SendBatch, known: KnownProperties<'_>, kind: Kind) -> Result<(), Refusal> {
        let sent = self.header.properties.unwrap_or_default().as_bytes();
        let properties = stored_properties(sent, known.reply_to_client, &self.io.identity.cluster_name);
        let aside = self.aside(&properties, kind)?;
        let mut part = Part {
            topic: &self.topic.name,
            queue_id: self.queue_id,
            body: self.request.body,
            properties: &properties,
            known,
            flag: self.header.flag,
            system_flag: self.header.sys_flag,
            joined: false,
        };
        if let Some(aside) = &aside {
            (part.topic, part.queue_id) = (aside.topic, aside.queue_id);
            (part.properties, part.known) = (&aside.properties, properties::known(&aside.properties));
        }
        if kind == Kind::Half {
            part.system_flag = sysflag::with_transaction_type(part.system_flag, TransactionType::None);
        }
        let (bytes, records, keys) = (batch.bytes.len(), batch.records.len(), batch.keys.len());
        if let Err(refusal) = self.part(batch, &part) {
            truncate(batch, bytes, records, keys);
            return Err(refusal);
        }
        if let Kind::Timed(at_ms) = kind
            && let Some(unique_key) = known.unique_key
            && !self.topic.name.starts_with(RETRY_PREFIX)
        {
            let handle = Handle::text(&self.topic.name, &self.io.identity.broker_name, at_ms, unique_key);
            batch.context.handles.push((self.request.view.opaque, handle));
        }
        let counted = aside.and_then(|aside| self.broker.topics.get(aside.topic));
        self.reply(batch, counted.as_deref().unwrap_or(self.topic), records, bytes);
        Ok(())
    }

    /// Where a message lies that does not go to its topic at once.
    fn aside(&self, properties: &[u8], kind: Kind) -> Result<Option<Aside>, Refusal> {
        let own = (&*self.topic.name, self.queue_id);
        let aside = match kind {
            Kind::Plain => return Ok(None),
            Kind::Delayed(level) => set_aside::until_due(&self.broker.levels, own, properties, level),
            Kind::Timed(at_ms) => until_time(own, properties, at_ms),
            Kind::Half => set_aside::until_ended(own, properties),
        };
        match aside {
            Ok(aside) => Ok(Some(aside)),
            Err(error) => refuse(ResponseCode::MESSAGE_ILLEGAL, error.to_string()),
        }
    }

    fn batch(&mut self, batch: &mut SendBatch) -> Result<(), Refusal> {
        if self.header.topic.starts_with(RETRY_PREFIX) {
            let remark = format!("batch request does not support retry group {}", self.header.topic);
            return refuse(ResponseCode::MESSAGE_ILLEGAL, remark);
        }
        if self.request.body.len() as u64 > self.io.identity.live.max_message_bytes.get() {
            return refuse(ResponseCode::MESSAGE_ILLEGAL, ILLEGAL);
        }
        let (bytes, records, keys) = (batch.bytes.len(), batch.records.len(), batch.keys.len());
        let taken = self.batch_parts(batch);
        let length = (batch.bytes.len() - bytes) as u64;
        let taken = taken.and_then(|()| self.check_batch(length, batch.records.len() - records));
        if let Err(refusal) = taken {
            truncate(batch, bytes, records, keys);
            return Err(refusal);
        }
        self.reply(batch, self.topic, records, bytes);
        Ok(())
    }

    fn batch_parts(&mut self, batch: &mut SendBatch) -> Result<(), Refusal> {
        let mut joined = false;
        for entry in batch::entries(self.request.body) {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => return refuse(ResponseCode::MESSAGE_ILLEGAL, error.to_string()),
            };
            let known = properties::known(entry.properties);
            if kind(self.io, self.broker, self.header, &known)? != Kind::Plain {
                let remark = "a batch holds no messages that wait and no transactions: send them one by one";
                return refuse(ResponseCode::MESSAGE_ILLEGAL, remark);
            }
            self.part(
                batch,
                &Part {
                    topic: &self.topic.name,
                    queue_id: self.queue_id,
                    body: entry.body,
                    properties: entry.properties,
                    known,
                    flag: entry.flag,
                    system_flag: self.header.sys_flag,
                    joined,
                },
            )?;
            joined = true;
        }
        Ok(())
    }

    fn check_batch(&self, length: u64, records: usize) -> Result<(), Refusal> {
        if records == 0 {
            return refuse(ResponseCode::MESSAGE_ILLEGAL, "the batch is empty");
        }
        let limit = self
            .io
            .identity
            .live
            .max_message_bytes
            .get()
            .min(self.io.identity.record_bytes_max);
        if length > limit {
            return refuse(
                ResponseCode::SYSTEM_ERROR,
                format!("the batch takes {length} bytes, at most {limit} are allowed"),
            );
        }
        Ok(())
    }

    /// Appends one record, and what its queue and the index need of it.
    fn part(&mut self, batch: &mut SendBatch, part: &Part<'_>) -> Result<(), Refusal> {
        let identity = &self.io.identity;
        if part.properties.contains(&0) {
            // Recovery tells a torn record by them: the CRC does not cover the properties.
            return refuse(ResponseCode::MESSAGE_ILLEGAL, "the properties hold a zero byte");
        }
        let mut system_flag = part.system_flag;
        if self.topic.config.topic_filter_type == TopicFilterType::MultiTag {
            system_flag |= sysflag::MULTI_TAGS;
        }
        let fields = RecordFields {
            body: part.body,
            body_crc: record::body_crc(part.body),
            topic: part.topic,
            properties: part.properties,
            queue_id: i32::try_from(part.queue_id).unwrap_or(i32::MAX),
            flag: part.flag,
            system_flag,
            born_timestamp_ms: self.header.born_timestamp,
            born_host: self.request.remote,
            store_host: identity.store_host,
            reconsume_times: self.header.reconsume_times.unwrap_or(0),
            prepared_transaction_offset: 0,
        };
        let limit = identity.live.max_message_bytes.get().min(identity.record_bytes_max);
        match record::encoded_length(&fields) {
            Ok(length) if length as u64 <= limit => {}
            _ => return refuse(ResponseCode::MESSAGE_ILLEGAL, ILLEGAL),
        }
        let find = || self.broker.queues.slot(part.topic, part.queue_id);
        let slot = if std::ptr::eq(part.topic, &*self.topic.name) {
            self.topic.found.slot(part.queue_id, find)
        } else {
            find()
        };
        push(self.broker, batch, &fields, slot, (&part.known, part.joined))
            .or_else(|_| refuse(ResponseCode::MESSAGE_ILLEGAL, ILLEGAL))
    }

    /// Notes who waits for the records from `first` on, which begin at byte `start`, and what they bring to which topic.
    fn reply(&self, batch: &mut SendBatch, topic: &Topic, first: usize, start: usize) {
        let brought = (batch.records.len() - first, batch.bytes.len() - start);
        let is_known = |topic: &str| self.broker.topics.contains(topic);
        let brings = &mut batch.context.brings;
        brings.note(&self.io.traffic, &topic.name, brought, is_known);
        let (request, oneway) = (RequestCode(self.request.view.code), self.request.view.is_oneway());
        brings.sends.note(request, oneway);
        batch.context.replies.push(SendReply {
            opaque: self.request.view.opaque,
            request,
            codec: self.request.codec,
            oneway,
            queue_id: i32::try_from(self.queue_id).unwrap_or(i32::MAX),
            first: u32::try_from(first).unwrap_or(u32::MAX),
            records: u32::try_from(batch.records.len() - first).unwrap_or(u32::MAX),
        });
    }
}

/// Appends a record to a batch, and what its queue and the index need of it: the queue's slot where it has one, what the
/// properties hold, and whether it must stand in one file with the record before it.
///
/// # Errors
/// When a field is longer than a record can tell; nothing is appended then.
pub(super) fn push(
    broker: &BrokerSide,
    batch: &mut SendBatch,
    fields: &RecordFields<'_>,
    slot: Option<u32>,
    (known, joined): (&KnownProperties<'_>, bool),
) -> Result<(), RecordError> {
    batch.push(fields, known, &broker.levels, slot)?;
    if joined && let Some(record) = batch.records.last_mut() {
        record.joined = true;
    }
    Ok(())
}

/// Takes back what a refused request has added.
fn truncate(batch: &mut SendBatch, bytes: usize, records: usize, keys: usize) {
    batch.bytes.truncate(bytes);
    batch.records.truncate(records);
    batch.keys.truncate(keys);
}
