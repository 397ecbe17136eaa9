//! One attempt to send a message to a queue (`sendKernelImpl`), and the loop that makes another one (`sendDefaultImpl`).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cuemq_net::body::MessageQueue;
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::message::sysflag::{self, TransactionType};
use cuemq_net::request::SendHeader;
use cuemq_net::transport::CallError;

use super::Inner;
use super::hook::{Sending, Sent};
use super::prepared::Prepared;
use super::result::{SendResult, SendStatus};
use crate::clock;
use crate::error::{Cause, Error, Outcome};
use crate::instance::{CREATE_TOPIC_KEY, TopicRoute};

/// What release 4.3.0 calls the topic whose settings new ones inherit.
const OLD_CREATE_TOPIC_KEY: &str = "AUTO_CREATE_TOPIC_KEY";

/// Who tries again, and how often.
#[derive(Clone, Copy)]
pub(super) enum Retrying {
    /// After failures of the network and answers that another broker may not give.
    Sync,
    /// After failures of the network alone.
    Async,
}

/// What the attempts to send a message came to so far.
#[derive(Default)]
struct SoFar {
    /// It is stored, less safely than asked for.
    stored: Option<SendResult>,
    failed: Option<Error>,
}

impl SoFar {
    /// One more failed; that one before may have stored it, stays true.
    fn failed(&mut self, error: Error) {
        let is_unknown = self
            .failed
            .take()
            .is_some_and(|before| before.trouble().outcome() == Outcome::Unknown);
        self.failed = Some(error.unknown_before(is_unknown));
    }

    /// What the sender is told where no other attempt is made.
    fn end(self, otherwise: impl FnOnce() -> Error) -> Result<SendResult, Error> {
        match (self.stored, self.failed) {
            (Some(stored), _) => Ok(stored),
            (None, Some(error)) => Err(error),
            (None, None) => Err(otherwise()),
        }
    }
}

impl Inner {
    fn header<'a>(&'a self, prepared: &'a Prepared<'_>, queue: &MessageQueue) -> SendHeader<'a> {
        SendHeader {
            producer_group: &self.options.group,
            topic: &prepared.topic,
            default_topic: self.create_topic_key(),
            default_topic_queue_nums: i32::try_from(self.options.default_topic_queue_nums).unwrap_or(i32::MAX),
            queue_id: queue.queue_id,
            sys_flag: prepared.sys_flag,
            born_timestamp: self.client.now_ms(),
            flag: prepared.flag,
            properties: Some(&prepared.properties),
            reconsume_times: Some(prepared.reconsume_times),
            unit_mode: false,
            max_reconsume_times: prepared.max_reconsume_times,
            batch: prepared.is_batch,
        }
    }

    fn sending<'a>(&'a self, prepared: &'a Prepared<'_>, queue: &'a MessageQueue, address: &'a str) -> Sending<'a> {
        Sending {
            group: &self.options.group,
            messages: prepared.messages,
            msg_id: &prepared.msg_id,
            queue,
            address,
            is_transactional: sysflag::transaction_type(prepared.sys_flag) == TransactionType::Prepared,
        }
    }

    /// The address of the queue's master; the route is asked for again where it is not known.
    pub(super) async fn master(&self, topic: &str, broker_name: &str) -> Result<Arc<str>, Error> {
        match self.client.master(broker_name) {
            Ok(address) => Ok(address),
            Err(_) => {
                self.client.refresh_route(topic).await?;
                self.client.master(broker_name)
            }
        }
    }

    /// Sends once and waits for the answer.
    pub(super) async fn attempt(
        &self,
        prepared: &Prepared<'_>,
        queue: &Arc<MessageQueue>,
        timeout: Duration,
    ) -> Result<SendResult, Error> {
        let place = |error: Error| error.topic(&prepared.topic).queue(&queue.broker_name, queue.queue_id);
        let address = self.master(&prepared.topic, &queue.broker_name).await.map_err(place)?;
        let sending = self.sending(prepared, queue, &address);
        self.hooks().for_each(|hook| hook.before(&sending));
        let begun = clock::now();
        let header = self.header(prepared, queue);
        let code = match (prepared.is_batch, prepared.is_reply) {
            (true, _) => RequestCode::SEND_BATCH_MESSAGE,
            (false, true) => RequestCode::SEND_REPLY_MESSAGE_V2,
            (false, false) => RequestCode::SEND_MESSAGE_V2,
        };
        let fields = |fields: &mut cuemq_net::header::FieldWriter<'_>| header.write(fields);
        let answer = self.client.send(&address, code, fields, &prepared.body, timeout).await;
        let result = answer.and_then(|answer| {
            let result = SendResult::of(answer, queue, &prepared.msg_id);
            result.map_err(|cause| cause.nowhere().at(&address))
        });
        let result = result.map_err(place);
        let seen = |sent: SendResult| SendResult {
            queue: self.options.namespace.unwrap_shared(sent.queue),
            ..sent
        };
        // most producers have nobody who wants to know, and a look at the clock costs as much as a lock
        if !self.options.send_latency_fault_enable && self.hooks().next().is_none() {
            return result.map(seen);
        }
        let now = clock::now();
        let took = now.saturating_duration_since(begun);
        if self.options.send_latency_fault_enable {
            self.faults.note(&queue.broker_name, took, result.is_err(), now);
        }
        let sent = match &result {
            Ok(result) => Sent::Stored(result),
            Err(error) => Sent::Failed(error),
        };
        self.hooks().for_each(|hook| hook.after(&sending, sent, took));
        result.map(seen)
    }

    /// Sends once and waits for nothing.
    pub(super) async fn attempt_oneway(&self, prepared: &Prepared<'_>, queue: &MessageQueue) -> Result<(), Error> {
        let place = |error: Error| error.topic(&prepared.topic).queue(&queue.broker_name, queue.queue_id);
        let address = self.master(&prepared.topic, &queue.broker_name).await.map_err(place)?;
        let sending = self.sending(prepared, queue, &address);
        self.hooks().for_each(|hook| hook.before(&sending));
        let begun = clock::now();
        let header = self.header(prepared, queue);
        let request = Command::request(RequestCode::SEND_MESSAGE_V2)
            .with_header(|fields| header.write(fields))
            .with_body(prepared.body.clone().into_owned())
            .oneway();
        let result = self
            .client
            .oneway(&address, request, self.options.send_msg_timeout)
            .await
            .map_err(place);
        let sent = match &result {
            Ok(()) => Sent::Oneway,
            Err(error) => Sent::Failed(error),
        };
        let took = clock::now().saturating_duration_since(begun);
        self.hooks().for_each(|hook| hook.after(&sending, sent, took));
        result
    }

    /// Sends to one queue after the other until it is stored, tries are used up, or time is over.
    pub(super) async fn attempts(
        &self,
        prepared: &Prepared<'_>,
        timeout: Duration,
        retrying: Retrying,
    ) -> Result<SendResult, Error> {
        let begun = clock::now();
        let more = match retrying {
            Retrying::Sync => self.options.retry_times_when_send_failed,
            Retrying::Async => self.options.retry_times_when_send_async_failed,
        };
        let mut so_far = SoFar::default();
        let mut tried: Option<String> = None;
        for _ in 0..=more {
            let chosen = match self.choose_known(&prepared.topic, tried.as_deref()) {
                Some(queue) => Ok(Ok(queue)),
                None => tokio::time::timeout_at(begun + timeout, self.choose(&prepared.topic, tried.as_deref())).await,
            };
            let queue = match chosen {
                Ok(Ok(queue)) => queue,
                Ok(Err(error)) => return so_far.end(|| error),
                Err(_) => break,
            };
            let left = timeout.saturating_sub(clock::now().saturating_duration_since(begun));
            if left.is_zero() {
                break;
            }
            match self.attempt(prepared, &queue, left).await {
                Ok(stored) => {
                    let is_safe = stored.status == SendStatus::SendOk;
                    if is_safe || !self.options.retry_another_broker_when_not_store_ok {
                        return Ok(stored);
                    }
                    so_far.stored = Some(stored);
                }
                Err(error) => {
                    let is_retried = self.is_retried(&error, retrying);
                    let is_without_topic = error.code() == Some(ResponseCode::TOPIC_NOT_EXIST);
                    so_far.failed(error);
                    if !is_retried {
                        break;
                    }
                    if is_without_topic {
                        let refreshed = self.client.refresh_route(&prepared.topic).await;
                        drop(refreshed.inspect_err(|error| tracing::debug!(%error, "the route stays as it was")));
                    }
                }
            }
            tried = Some(queue.broker_name.clone());
        }
        so_far.end(|| Cause::ConnectTimeout(timeout).nowhere().topic(&prepared.topic))
    }

    fn is_retried(&self, error: &Error, retrying: Retrying) -> bool {
        match (&error.trouble().cause, retrying) {
            (cause, _) if cause.is_denied() => false,
            (Cause::Refused { code, .. }, Retrying::Sync) => self.options.retry_response_codes.contains(code),
            (Cause::Call(CallError::TooLarge(_)), _) => false,
            (Cause::Connect(_) | Cause::ConnectTimeout(_) | Cause::NoAddress, _) => true,
            (Cause::Call(_) | Cause::Unanswered { .. }, _) => true,
            _ => false,
        }
    }

    /// The route of a topic to send to: what it has, or what it will have once it is made by sending.
    pub(super) async fn publish_route(&self, topic: &str) -> Result<Arc<TopicRoute>, Error> {
        if let Some(route) = self.known_route(topic) {
            return Ok(route);
        }
        self.publishes(topic);
        let own = self.client.refresh_route(topic).await;
        let route = match own {
            Err(error) if matches!(error.trouble().cause, Cause::NoRoute) => self.inherited_route(topic).await?,
            other => other?,
        };
        if route.publish.is_empty() {
            return Err(Cause::NoQueue.nowhere().topic(topic));
        }
        Ok(route)
    }

    /// The topic whose settings a topic inherits that is made by sending to it.
    fn create_topic_key(&self) -> &str {
        if self.has_old_key.load(Ordering::Relaxed) {
            OLD_CREATE_TOPIC_KEY
        } else {
            &self.options.create_topic_key
        }
    }

    /// The route that a topic will have once it is made by sending to it.
    async fn inherited_route(&self, topic: &str) -> Result<Arc<TopicRoute>, Error> {
        let (key, queues) = (self.create_topic_key(), self.options.default_topic_queue_nums);
        let inherited = self.client.inherit_route(topic, key, queues).await;
        match inherited {
            Err(error) if matches!(error.trouble().cause, Cause::NoRoute) && key == CREATE_TOPIC_KEY => {
                let old = self.client.inherit_route(topic, OLD_CREATE_TOPIC_KEY, queues).await;
                let old = old.map_err(|_| error)?;
                self.has_old_key.store(true, Ordering::Relaxed);
                Ok(old)
            }
            other => other,
        }
    }

    /// The next queue in turn.
    pub(super) async fn next_queue(&self, topic: &str) -> Result<Arc<MessageQueue>, Error> {
        self.choose(topic, None).await
    }

    /// The queue for the next attempt.
    async fn choose(&self, topic: &str, tried: Option<&str>) -> Result<Arc<MessageQueue>, Error> {
        let route = self.publish_route(topic).await?;
        self.choose_of(&route, topic, tried)
            .ok_or_else(|| Cause::NoQueue.nowhere().topic(topic))
    }

    /// The same where the route is known, at once.
    fn choose_known(&self, topic: &str, tried: Option<&str>) -> Option<Arc<MessageQueue>> {
        self.choose_of(&*self.known_route(topic)?, topic, tried)
    }

    fn known_route(&self, topic: &str) -> Option<Arc<TopicRoute>> {
        self.client.known_route(topic).filter(|route| !route.publish.is_empty())
    }

    fn choose_of(&self, route: &TopicRoute, topic: &str, tried: Option<&str>) -> Option<Arc<MessageQueue>> {
        let chance = self.client.chance();
        if self.options.send_latency_fault_enable {
            self.turns
                .choose_available(route, topic, &self.faults, clock::now(), chance)
        } else {
            self.turns.choose(route, topic, tried, chance)
        }
    }
}
