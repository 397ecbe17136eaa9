//! The broker's requests beside sends and pulls: heartbeats, membership, consumer offsets, positions in queues
//! (`ClientManageProcessor`, `ConsumerManageProcessor` and the queue part of `AdminBrokerProcessor` in Java).

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use cuemq_net::body::{Body, ConsumerList, HeartbeatData};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::dialect::Style;
use cuemq_net::language::Language;
use cuemq_net::request;
use cuemq_storage::StoreError;
use cuemq_storage::position::PhysicalOffset;
use cuemq_storage::queue_directory::QueueHandle;

use super::{BrokerActors, Router, refusals, runtime_info};
use crate::cold_reads::{FindByTime, FindEarliest, FindFirst};
use crate::io::egress::Door;
use crate::io::peer_table::Peer;
use crate::io::state::{BrokerSide, IoState};
use crate::offset::Commit;
use crate::offset::StartingPoint;
use crate::offset::actor::{CommitOffsets, FindOffset};
use crate::rebalance::Client;
use crate::rebalance::actor::{Heartbeat, Unregister};
use crate::statistics::actor::TellStore;
use cuemq_storage::consume_queue::Boundary;

/// An answer with a code other than success.
pub(super) type Refusal = (ResponseCode, String);

/// What a request needs.
pub(super) struct Asked<'a> {
    pub(super) io: &'a Rc<IoState>,
    pub(super) side: &'a BrokerSide,
    pub(super) actors: &'a BrokerActors,
    router: &'a Router,
    pub(super) peer: &'a Rc<Peer>,
    pub(super) request: &'a Command,
    /// Its number among the connection's requests.
    number: u64,
}

/// The answer to a request; `None` for one that must not be answered.
pub(super) async fn answer(
    io: &Rc<IoState>,
    peer: &Rc<Peer>,
    door: Door,
    request: &Command,
    number: u64,
) -> Option<Command> {
    let (Some(side), Some(actors)) = (&io.broker, io.router.broker()) else {
        return Some(refusals::refuse(request));
    };
    let asked = Asked {
        io,
        side,
        actors,
        router: &io.router,
        peer,
        request,
        number,
    };
    let answered = match RequestCode(request.code) {
        // These two are not always answered at once.
        RequestCode::SEND_REPLY_MESSAGE | RequestCode::SEND_REPLY_MESSAGE_V2 => Ok(asked.pass_on_reply().await),
        RequestCode::END_TRANSACTION => asked.end_transaction().await,
        _ => asked.route(door).await.map(Some),
    };
    answered.unwrap_or_else(|(code, remark)| Some(Command::response_to(request, code).with_remark(remark)))
}

impl Asked<'_> {
    async fn route(&self, door: Door) -> Result<Command, Refusal> {
        match RequestCode(self.request.code) {
            RequestCode::HEART_BEAT => self.heartbeat().await,
            RequestCode::UNREGISTER_CLIENT => self.unregister().await,
            RequestCode::CHECK_CLIENT_CONFIG => self.check_client(),
            RequestCode::GET_CONSUMER_LIST_BY_GROUP => self.consumer_list(),
            RequestCode::QUERY_ASSIGNMENT => self.query_assignment().await,
            RequestCode::SET_MESSAGE_REQUEST_MODE => self.set_request_mode(),
            RequestCode::LOCK_BATCH_MQ => self.lock_queues().await,
            RequestCode::UNLOCK_BATCH_MQ => self.unlock_queues().await,
            RequestCode::GET_CONSUMER_RUNNING_INFO => self.running_info().await,
            RequestCode::CONSUME_MESSAGE_DIRECTLY => self.consume_directly().await,
            RequestCode::INVOKE_BROKER_TO_GET_CONSUMER_STATUS => self.consumer_status().await,
            RequestCode::INVOKE_BROKER_TO_RESET_OFFSET => self.reset_offset().await,
            RequestCode::CLONE_GROUP_OFFSET => self.clone_offsets().await,
            RequestCode::QUERY_CORRECTION_OFFSET => self.correct_offsets().await,
            RequestCode::RECALL_MESSAGE => self.recall().await,
            RequestCode::CONSUMER_SEND_MSG_BACK => self.send_back().await,
            RequestCode::UPDATE_CONSUMER_OFFSET => self.commit().await,
            RequestCode::QUERY_CONSUMER_OFFSET => self.query_offset().await,
            RequestCode::GET_MAX_OFFSET => self.max_offset(),
            RequestCode::GET_MIN_OFFSET => self.min_offset(),
            RequestCode::SEARCH_OFFSET_BY_TIMESTAMP => self.search_offset().await,
            RequestCode::GET_EARLIEST_MSG_STORETIME => self.earliest_store_time().await,
            RequestCode::QUERY_MESSAGE => self.query_message().await,
            RequestCode::VIEW_MESSAGE_BY_ID => self.view_message().await,
            RequestCode::GET_BROKER_RUNTIME_INFO => self.runtime_info().await,
            RequestCode::UPDATE_BROKER_CONFIG => self.change_settings().await,
            RequestCode::GET_BROKER_CONFIG => self.tell_settings().await,
            RequestCode::UPDATE_AND_CREATE_TOPIC => self.update_topic().await,
            RequestCode::UPDATE_AND_CREATE_TOPIC_LIST => self.update_topics().await,
            RequestCode::DELETE_TOPIC_IN_BROKER => self.delete_topic().await,
            RequestCode::GET_ALL_TOPIC_CONFIG => self.all_topics().await,
            RequestCode::GET_TOPIC_CONFIG => self.topic_config(),
            RequestCode::GET_SYSTEM_TOPIC_LIST_FROM_BROKER => Ok(self.system_topics()),
            RequestCode::CLEAN_UNUSED_TOPIC => self.clean_unused_topics().await,
            RequestCode::CLEAN_EXPIRED_CONSUMEQUEUE => self.clean_expired_queues().await,
            RequestCode::DELETE_EXPIRED_COMMITLOG => self.delete_expired().await,
            RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP => self.update_group().await,
            RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST => self.update_groups().await,
            RequestCode::DELETE_SUBSCRIPTIONGROUP => self.delete_group().await,
            RequestCode::GET_ALL_SUBSCRIPTIONGROUP_CONFIG => self.all_groups().await,
            RequestCode::GET_SUBSCRIPTIONGROUP_CONFIG => self.group_config(),
            RequestCode::GET_CONSUMER_CONNECTION_LIST => self.consumer_connections(),
            RequestCode::GET_PRODUCER_CONNECTION_LIST => self.producer_connections(),
            RequestCode::GET_ALL_PRODUCER_INFO => self.all_producers().await,
            RequestCode::QUERY_TOPIC_CONSUME_BY_WHO => self.groups_of_topic().await,
            RequestCode::QUERY_TOPICS_BY_CONSUMER => self.topics_of_group().await,
            RequestCode::QUERY_SUBSCRIPTION_BY_CONSUMER => self.subscription_of_group(),
            RequestCode::GET_ALL_CONSUMER_OFFSET => self.all_offsets().await,
            RequestCode::GET_ALL_DELAY_OFFSET => self.all_delays().await,
            RequestCode::VIEW_BROKER_STATS_DATA => self.figure().await,
            RequestCode::GET_TOPIC_STATS_INFO => self.topic_stats().await,
            RequestCode::QUERY_CONSUME_QUEUE => self.consume_queue_entries().await,
            RequestCode::GET_CONSUME_STATS => self.consume_stats().await,
            RequestCode::GET_BROKER_CONSUME_STATS => self.broker_consume_stats().await,
            RequestCode::QUERY_CONSUME_TIME_SPAN => self.consume_time_span().await,
            RequestCode::PULL_MESSAGE | RequestCode::LITE_PULL_MESSAGE if door == Door::Fast => Err(refused(
                "pulls are served on the broker's own port, not on the fast one",
            )),
            _ => Ok(refusals::refuse(self.request)),
        }
    }
}

/// A refusal with the code that Java answers when a processor throws.
pub(super) fn refused(remark: impl Into<String>) -> Refusal {
    (ResponseCode::SYSTEM_ERROR, remark.into())
}

/// Reads a body.
pub(super) fn decoded<T: Body>(body: &[u8]) -> Result<T, Refusal> {
    T::decode(body).map_err(|error| refused(format!("the body cannot be read: {error}")))
}

pub(super) fn read<T>(read: Result<T, cuemq_net::error::FieldError>) -> Result<T, Refusal> {
    read.map_err(|error| refused(error.to_string()))
}

pub(super) fn again(error: actix::MailboxError) -> Refusal {
    (
        ResponseCode::SYSTEM_ERROR,
        format!("the owner of this is starting anew, ask again: {error}"),
    )
}

/// What the disk does not give.
pub(super) fn unread(error: StoreError) -> Refusal {
    tracing::error!(%error, "the store cannot be read");
    let remark = format!("{error}; the broker's disk has a fault, ask again once it is mended");
    (ResponseCode::SYSTEM_ERROR, remark)
}

impl Asked<'_> {
    pub(super) fn success(&self) -> Command {
        Command::response_to(self.request, ResponseCode::SUCCESS)
    }

    /// Where the request comes from.
    pub(super) fn remote(&self) -> SocketAddr {
        self.peer.remote
    }

    fn with_offset(&self, offset: i64) -> Command {
        self.success().with_field("offset", offset)
    }

    async fn heartbeat(&self) -> Result<Command, Refusal> {
        let malformed = |error: cuemq_net::dialect::DialectError| (ResponseCode::SYSTEM_ERROR, error.to_string());
        let data = HeartbeatData::decode(&self.request.body).map_err(malformed)?;
        let client = Client {
            client_id: Arc::from(data.client_id.as_str()),
            address: Arc::from(self.peer.remote.to_string()),
            language: self.request.language.unwrap_or(Language::Other),
            version: self.request.version.0,
        };
        let heartbeat = Heartbeat {
            peer: self.peer.key,
            client,
            data,
        };
        let heard = self.actors.heartbeat.send(heartbeat).await.map_err(again)?;
        let kept = heard.map_err(|too_much| (ResponseCode::SYSTEM_ERROR, too_much.to_string()))?;
        self.peer.keep(self.number, Some(kept));
        Ok(self.success())
    }

    async fn unregister(&self) -> Result<Command, Refusal> {
        let header = read(request::Unregister::read(&self.request.view()))?;
        let leave = Unregister {
            peer: self.peer.key,
            consumer_group: header.consumer_group.map(str::to_owned),
            producer_group: header.producer_group.map(str::to_owned),
        };
        let kept = self.actors.leave.send(leave).await.map_err(again)?;
        self.peer.keep(self.number, kept);
        Ok(self.success())
    }

    fn consumer_list(&self) -> Result<Command, Refusal> {
        let header = read(request::ConsumerList::read(&self.request.view()))?;
        let ids = self
            .side
            .membership
            .with_consumer_group(header.consumer_group, |group| group.consumer_ids());
        match ids {
            Some(ids) if !ids.is_empty() => {
                let consumer_id_list = ids.iter().map(ToString::to_string).collect();
                Ok(self
                    .success()
                    .with_body(ConsumerList { consumer_id_list }.encode(Style::Fastjson)))
            }
            _ => Err((
                ResponseCode::SYSTEM_ERROR,
                format!("no consumer for this group, {}", header.consumer_group),
            )),
        }
    }

    async fn commit(&self) -> Result<Command, Refusal> {
        let view = self.request.view();
        let header = read(request::UpdateOffset::read(&view))?;
        if !self.side.topics.contains(header.topic) {
            return Err((
                ResponseCode::TOPIC_NOT_EXIST,
                format!("Topic {} not exist!", header.topic),
            ));
        }
        self.router.overtakes(&header);
        let commit = Commit {
            group: Arc::from(header.consumer_group),
            topic: Arc::from(header.topic),
            queue_id: header.queue_id,
            consumer_offset: header.consumer_offset,
        };
        let committed = self
            .actors
            .commit
            .send(CommitOffsets { commits: vec![commit] })
            .await
            .map_err(again)?;
        committed.map_err(|bad| (ResponseCode::SYSTEM_ERROR, bad.to_string()))?;
        Ok(self.success())
    }

    async fn query_offset(&self) -> Result<Command, Refusal> {
        let view = self.request.view();
        let header = read(request::QueryOffset::read(&view))?;
        if let Some(offset) = self.router.on_its_way(&header) {
            return Ok(self.with_offset(offset));
        }
        let (group, topic) = (Arc::from(header.consumer_group), Arc::from(header.topic));
        let query = FindOffset {
            group,
            topic,
            queue_id: header.queue_id,
        };
        let stored = self.actors.offsets.send(query).await.map_err(again)?;
        if stored.is_none() && header.set_zero_if_not_found == Some(false) {
            return Err((
                ResponseCode::QUERY_NOT_FOUND,
                StartingPoint::NOT_FOUND_NOR_ZERO.to_owned(),
            ));
        }
        let queue = self.queue(header.topic, header.queue_id);
        let queue_min_offset = queue.as_ref().map_or(-1, |queue| queue.view().min_offset().signed());
        let zero_in_disk = match queue {
            Some(queue) if stored.is_none() && queue_min_offset <= 0 => self.is_first_on_disk(queue).await?,
            _ => false,
        };
        match StartingPoint::decide(stored, queue_min_offset, zero_in_disk) {
            StartingPoint::Found(offset) => Ok(self.with_offset(offset)),
            StartingPoint::NotFound => Err((ResponseCode::QUERY_NOT_FOUND, StartingPoint::NOT_FOUND.to_owned())),
        }
    }

    /// Whether the first message of a queue lies so far back in the log that it is taken to be on disk alone.
    async fn is_first_on_disk(&self, queue: Arc<QueueHandle>) -> Result<bool, Refusal> {
        let log = &self.side.log;
        let is_far_back = |at: PhysicalOffset| log.visible().0.saturating_sub(at.0) > self.side.in_memory_bytes;
        // Nothing lies before the log's beginning, so that most logs need no look at the disk.
        if !is_far_back(log.minimum()) {
            return Ok(false);
        }
        let first = self.actors.cold.send(FindFirst(queue)).await.map_err(again)?;
        Ok(first.map_err(unread)?.is_some_and(is_far_back))
    }

    pub(super) fn queue(&self, topic: &str, queue_id: i32) -> Option<Arc<QueueHandle>> {
        self.side.queues.find(topic, u32::try_from(queue_id).ok()?)
    }

    fn max_offset(&self) -> Result<Command, Refusal> {
        let header = read(request::MaxOffset::read(&self.request.view()))?;
        let queue = self.queue(header.topic, header.queue_id);
        Ok(self.with_offset(queue.map_or(0, |queue| queue.view().max_offset().signed())))
    }

    fn min_offset(&self) -> Result<Command, Refusal> {
        let header = read(request::MinOffset::read(&self.request.view()))?;
        let queue = self.queue(header.topic, header.queue_id);
        Ok(self.with_offset(queue.map_or(0, |queue| queue.view().min_offset().signed())))
    }

    async fn search_offset(&self) -> Result<Command, Refusal> {
        let header = read(request::SearchOffset::read(&self.request.view()))?;
        let Some(queue) = self.queue(header.topic, header.queue_id) else {
            return Ok(self.with_offset(0));
        };
        // As in Java, what is not UPPER is LOWER.
        let boundary = header.boundary_type.map(|boundary| match boundary {
            upper if upper.eq_ignore_ascii_case("upper") => Boundary::Upper,
            _ => Boundary::Lower,
        });
        let timestamp_ms = header.timestamp;
        let find = self.actors.cold.send(FindByTime {
            queue,
            timestamp_ms,
            boundary,
        });
        let found = find.await.map_err(again)?.map_err(unread)?;
        Ok(self.with_offset(found.signed()))
    }

    async fn earliest_store_time(&self) -> Result<Command, Refusal> {
        let header = read(request::EarliestStoreTime::read(&self.request.view()))?;
        let earliest = match self.queue(header.topic, header.queue_id) {
            Some(queue) => self.earliest(Some(queue)).await?,
            None => None,
        };
        Ok(self.success().with_field("timestamp", earliest.unwrap_or(-1)))
    }

    async fn runtime_info(&self) -> Result<Command, Refusal> {
        // What is said about the broker does not depend on one bad sector, whose read has its line in the log.
        let earliest = self.earliest(None).await.ok().flatten();
        let figures = self.actors.owners.tell_store.send(TellStore).await.map_err(again)?;
        let body = runtime_info::body(self.io, self.side, earliest, &figures);
        Ok(self.success().with_body(body))
    }

    /// When the oldest message of a queue, or of the log, was stored.
    async fn earliest(&self, queue: Option<Arc<QueueHandle>>) -> Result<Option<i64>, Refusal> {
        let find = self.actors.cold.send(FindEarliest { queue });
        find.await.map_err(again)?.map_err(unread)
    }
}
