//! Step 9 of a pull: checks it in RocketMQ's order, looks its messages up and answers with them straight from the mapping,
//! or leaves it with `Hold` until one comes (`PullMessageProcessor` in Java).

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::frame::HeaderCodec;
use cuemq_net::header::HeaderView;
use cuemq_net::request::PullHeader;
use cuemq_net::response::{self, PullResponse, ResponseHead};
use cuemq_storage::position::PhysicalOffset;

use super::look_up::{Found, Status, Wanted};
use super::offset_moves;
use super::peer_table::Peer;
use super::pull_filter::filter_of;
use super::state::{BrokerSide, IoState};
use crate::cold_reads::LookUp;
use crate::group::SubscriptionGroup;
use crate::hold::actor::{HoldLimits, Park};
use crate::hold::{ParkedPull, PullKind};
use crate::rpc_times::{ms_between, whole_ms};
use crate::topic::Topic;

/// Bits of a pull's sysFlag (`PullSysFlag`).
const COMMIT: i32 = 1;
const SUSPEND: i32 = 2;

/// The id of a master.
const MASTER: i64 = 0;
/// The most pulls of one connection that wait, in `Hold` or on their way to it; further ones are answered as they are.
const PULLS_MAX: u32 = HoldLimits::OF_PEER;

/// Why a pull is answered with an error.
pub(super) type Refusal = (ResponseCode, Cow<'static, str>);

pub(super) fn refuse<T>(code: ResponseCode, remark: impl Into<Cow<'static, str>>) -> Result<T, Refusal> {
    Err((code, remark.into()))
}

/// Takes a pull from the wire.
pub fn take(io: &IoState, broker: &BrokerSide, peer: &Rc<Peer>, view: &HeaderView<'_>, codec: HeaderCodec) {
    match checked(io, broker, peer, view, codec) {
        Ok(pull) => answer(io, broker, peer, Box::new(pull), Pass::First),
        Err((code, remark)) => {
            let took_ms = ms_between(peer.active.get(), io.clock.monotonic());
            let kind = PullKind::of(RequestCode(view.code));
            io.traffic.rpcs.note(kind.answered(code), took_ms);
            let head = ResponseHead::new(code, view.opaque);
            // Java clients of every version read the four positions only from the codes that carry them.
            write(peer, codec, head, Some(&remark), |fields| fields.present());
        }
    }
}

/// Takes a pull up again that waited.
pub fn resume(io: &IoState, broker: &BrokerSide, peer: &Rc<Peer>, pull: Box<ParkedPull>) {
    answer(io, broker, peer, pull, Pass::Later);
}

/// Whether a pull is looked up when it comes, or again when it has waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    First,
    Later,
}

fn checked(
    io: &IoState,
    broker: &BrokerSide,
    peer: &Rc<Peer>,
    view: &HeaderView<'_>,
    codec: HeaderCodec,
) -> Result<ParkedPull, Refusal> {
    let header = PullHeader::read(view).or_else(|error| refuse(ResponseCode::SYSTEM_ERROR, error.to_string()))?;
    let ip = io.identity.store_host.ip();
    if !io.identity.permission().is_readable() {
        return refuse(
            ResponseCode::NO_PERMISSION,
            format!("the broker[{ip}] pulling message is forbidden"),
        );
    }
    let group = group_of(io, broker, &header)?;
    let broadcasts = group.config.consume_broadcast_enable;
    let topic = topic_of(broker, &header)?;
    let config = &topic.config;
    let queue_id = match u32::try_from(header.queue_id) {
        Ok(queue_id) if queue_id < config.read_queue_nums => queue_id,
        _ => {
            let remark = format!(
                "queueId[{}] is illegal, topic:[{}] topicConfig.readQueueNums:[{}] consumer:[/{}]",
                header.queue_id, header.topic, config.read_queue_nums, peer.remote
            );
            return refuse(ResponseCode::SYSTEM_ERROR, remark);
        }
    };
    let filter = filter_of(io, broker, &header, broadcasts)?;
    let read_ms = whole_ms(peer.active.get());
    if header.sys_flag & COMMIT != 0 && io.identity.broker_id == 0 {
        io.router.commit_with_pull(&header);
    }
    Ok(ParkedPull {
        opaque: view.opaque,
        codec,
        kind: PullKind::of(RequestCode(view.code)),
        read_ms: read_ms as u32,
        topic: Arc::clone(&topic.name),
        queue_id,
        queue_offset: header.queue_offset.cast_unsigned(),
        max_messages: most_messages(header.max_msg_nums),
        filter,
        group,
        flow: io.traffic.to_group(&topic.name, header.consumer_group, |topic, group| {
            broker.topics.contains(topic) && broker.groups.contains(group)
        }),
        deadline_ms: deadline(io, &header, read_ms),
    })
}

/// How many messages a pull may be given that asks for so many; one for what is no number of messages.
fn most_messages(asked: i32) -> u16 {
    u16::try_from(asked.max(1)).unwrap_or(u16::MAX)
}

/// When a pull that finds nothing is answered at the latest; 0 when it does not wait.
fn deadline(io: &IoState, header: &PullHeader<'_>, read_ms: u64) -> u64 {
    if header.sys_flag & SUSPEND == 0 {
        return 0;
    }
    let asked = u64::try_from(header.suspend_timeout_millis).unwrap_or(0);
    let wait = if io.identity.live.long_polling.is_on() {
        asked
    } else {
        io.identity.live.short_polling_ms.get()
    };
    read_ms.saturating_add(wait)
}

fn group_of(io: &IoState, broker: &BrokerSide, header: &PullHeader<'_>) -> Result<Arc<SubscriptionGroup>, Refusal> {
    // Java makes a group on its first use; the pull goes on meanwhile with the settings that it will have.
    let fresh = || {
        let name = header.consumer_group;
        io.router.make_group(name).then(|| SubscriptionGroup::fresh(name))
    };
    let Some(group) = broker.groups.get(header.consumer_group).or_else(fresh) else {
        let remark = format!(
            "subscription group [{}] does not exist, create it first",
            header.consumer_group
        );
        return refuse(ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, remark);
    };
    if !group.config.consume_enable {
        let remark = format!("subscription group no permission, {}", header.consumer_group);
        return refuse(ResponseCode::NO_PERMISSION, remark);
    }
    Ok(group)
}

fn topic_of(broker: &BrokerSide, header: &PullHeader<'_>) -> Result<Arc<Topic>, Refusal> {
    let Some(topic) = broker.topics.get(header.topic) else {
        let remark = format!(
            "topic[{}] not exist, apply first please!\nSee http://rocketmq.apache.org/docs/faq/ for further details.",
            header.topic
        );
        return refuse(ResponseCode::TOPIC_NOT_EXIST, remark);
    };
    if !topic.permission().is_readable() {
        let remark = format!("the topic[{}] pulling message is forbidden", header.topic);
        return refuse(ResponseCode::NO_PERMISSION, remark);
    }
    Ok(topic)
}

/// Looks the messages up; old ones are looked up where the disk may be waited for.
fn answer(io: &IoState, broker: &BrokerSide, peer: &Rc<Peer>, mut pull: Box<ParkedPull>, pass: Pass) {
    match Wanted::by(&pull).look_up(&broker.log, &broker.queues, broker.limits) {
        Some(found) if pass == Pass::Later && goes_on_waiting(io, &pull, &found) => {
            pull.queue_offset = found.next_begin;
            park(io, broker, peer, pull);
        }
        Some(found) => conclude(io, broker, peer, pull, found),
        None => look_up_on_disk(io, broker, peer, pull),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "bounded by the requests that a connection may have under way"
)]
fn look_up_on_disk(io: &IoState, broker: &BrokerSide, peer: &Rc<Peer>, pull: Box<ParkedPull>) {
    peer.controls.set(peer.controls.get() + 1);
    let counted = io.traffic.under_way.count(pull.kind.processor());
    let asked = (io.clock.monotonic(), counted);
    broker
        .cold
        .do_send(LookUp::new(peer.key, pull, io.looked_up.clone(), asked));
}

/// Whether a pull goes on waiting, behind the messages that have come: which of them it wants, only their records told, and it
/// wants none. To answer it for each would have its client pull again for each.
fn goes_on_waiting(io: &IoState, pull: &ParkedPull, found: &Found) -> bool {
    let saw_all = found.status == Status::NoMatchedMessage && found.next_begin == found.max_offset;
    saw_all && pull.filter.reads_records() && pull.deadline_ms > io.clock.monotonic_ms()
}

/// Answers with what was found, or leaves the pull with `Hold`.
pub fn conclude(io: &IoState, broker: &BrokerSide, peer: &Rc<Peer>, pull: Box<ParkedPull>, found: Found) {
    let now_ms = io.clock.monotonic_ms();
    let waits = pull.deadline_ms > now_ms && peer.pulls.get() < PULLS_MAX;
    match found.status {
        Status::OffsetOverflowOne | Status::NoMessageInQueue
            if waits && code(&found, &pull) == ResponseCode::PULL_NOT_FOUND =>
        {
            park(io, broker, peer, pull);
        }
        // One that matched nothing is answered too, so that the client's offset gets past what it does not want.
        _ => deliver(io, broker, peer, (&pull, now_ms), found),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "bounded by the pulls that a connection may have under way"
)]
fn park(io: &IoState, broker: &BrokerSide, peer: &Rc<Peer>, mut pull: Box<ParkedPull>) {
    pull.kind = pull.kind.waited();
    note_pulled(&pull, pull.queue_offset);
    io.metrics.pulls_parked.add(1);
    io.traffic.missed();
    peer.pulls.set(peer.pulls.get() + 1);
    broker.hold.do_send(Park { peer: peer.key, pull });
}

/// Notes where a pull's group reads next.
fn note_pulled(pull: &ParkedPull, next: u64) {
    if let Some(flow) = &pull.flow {
        flow.note_pulled(pull.queue_id, next);
    }
}

/// The code of a store status (`PullMessageProcessor.processRequest`).
fn code(found: &Found, pull: &ParkedPull) -> ResponseCode {
    match found.status {
        Status::Found => ResponseCode::SUCCESS,
        Status::MessageWasRemoving | Status::NoMatchedMessage => ResponseCode::PULL_RETRY_IMMEDIATELY,
        Status::NoMessageInQueue if pull.queue_offset != 0 => ResponseCode::PULL_OFFSET_MOVED,
        Status::NoMessageInQueue | Status::OffsetOverflowOne => ResponseCode::PULL_NOT_FOUND,
        Status::Unreadable => ResponseCode::SYSTEM_ERROR,
        Status::OffsetOverflowBadly | Status::OffsetTooSmall => ResponseCode::PULL_OFFSET_MOVED,
    }
}

/// The broker to pull from next: another one for a consumer that reads what is not in memory any more.
fn suggested(io: &IoState, broker: &BrokerSide, pull: &ParkedPull, found: &Found) -> i64 {
    if !io.identity.live.slave_read.is_on() {
        return MASTER;
    }
    let is_far = |reached: PhysicalOffset| broker.log.visible().0.saturating_sub(reached.0) > broker.in_memory_bytes;
    if found.reached.is_some_and(is_far) {
        pull.group.config.which_broker_when_consume_slowly
    } else {
        pull.group.config.broker_id
    }
}

fn deliver(io: &IoState, broker: &BrokerSide, peer: &Rc<Peer>, (pull, now_ms): (&ParkedPull, u64), found: Found) {
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let fields = PullResponse {
        suggest_which_broker_id: suggested(io, broker, pull, &found),
        next_begin_offset: signed(found.next_begin),
        min_offset: signed(found.min_offset),
        max_offset: signed(found.max_offset),
    };
    let code = code(&found, pull);
    if code == ResponseCode::PULL_OFFSET_MOVED {
        offset_moves::note(io, broker, peer, pull, fields.next_begin_offset);
    }
    io.traffic.rpcs.note(pull.kind.answered(code), pull.age_ms(now_ms));
    note_pulled(pull, found.next_begin);
    let head = ResponseHead::new(code, pull.opaque);
    let remark = found.status.name();
    let messages = u64::from(found.messages);
    if messages > 0 {
        io.traffic.delivered(pull.flow.as_deref(), messages, found.bytes as u64);
    } else {
        io.traffic.missed();
    }
    let mut outbox = peer.outbox.borrow_mut();
    let written =
        outbox.append(|out| response::write(out, pull.codec, head, Some(remark), |to| fields.write(to), found.bytes));
    match written {
        Ok(()) => outbox.append_records(found.records),
        Err(error) => tracing::error!(%error, "a pull answer does not fit a frame"),
    }
    drop(outbox);
    peer.wake();
}

fn write(
    peer: &Rc<Peer>,
    codec: HeaderCodec,
    head: ResponseHead,
    remark: Option<&str>,
    fields: impl FnOnce(&mut cuemq_net::header::FieldWriter<'_>),
) {
    let written = peer
        .outbox
        .borrow_mut()
        .append(|out| response::write(out, codec, head, remark, fields, 0));
    if let Err(error) = written {
        tracing::error!(%error, "an answer does not fit a frame");
    }
    peer.wake();
}
