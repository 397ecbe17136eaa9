//! Requests that wait for a reply, over topics (`RequestResponseFuture` and `MessageUtil` of release 4.9): the replying
//! application's broker hands the reply to this client.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use cuemq_net::command::Command;
use cuemq_net::message::properties::{Properties, name};
use cuemq_net::message::record::{RecordFields, body_crc, encode, place};
use cuemq_net::message::sysflag::TransactionType;
use cuemq_net::request::PushReply;
use tokio::sync::oneshot;

use super::Producer;
use super::attempt::Retrying;
use crate::clock;
use crate::error::{Cause, Error};
use crate::message::Message;
use crate::namespace::Namespace;
use crate::received::ReceivedMessage;

/// Requests that wait, by correlation id.
#[derive(Default)]
pub(super) struct Waiting(Mutex<BTreeMap<String, oneshot::Sender<ReceivedMessage>>>);

/// A request's place, left when it waits no longer.
struct Place<'a> {
    waiting: &'a Waiting,
    id: String,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waiting.table().remove(&self.id);
    }
}

impl Waiting {
    fn table(&self) -> MutexGuard<'_, BTreeMap<String, oneshot::Sender<ReceivedMessage>>> {
        // each change is one step, so a panic elsewhere leaves nothing half done
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a reply to who waits for it (326); false when nobody does. One of Java's that answers in a namespace has the
    /// cluster's topic in it too.
    pub(super) fn take(&self, request: &Command, namespace: &Namespace) -> bool {
        let view = request.view();
        let Ok(header) = PushReply::read(&view) else {
            return false;
        };
        let properties = Properties::from(header.properties.unwrap_or_default());
        let waits = properties
            .get(name::CORRELATION_ID)
            .and_then(|id| self.table().remove(id));
        match (waits, reply(&header, &request.body)) {
            (Some(waits), Ok(reply)) => waits.send(reply.in_namespace(namespace)).is_ok(),
            _ => false,
        }
    }
}

/// The reply as a message that was received.
fn reply(header: &PushReply<'_>, body: &Bytes) -> Result<ReceivedMessage, Cause> {
    let host = |text: &str| {
        let nowhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        text.trim_start_matches('/').parse().unwrap_or(nowhere)
    };
    let fields = RecordFields {
        body,
        body_crc: body_crc(body),
        topic: header.topic,
        properties: header.properties.unwrap_or_default().as_bytes(),
        queue_id: header.queue_id,
        flag: header.flag,
        system_flag: header.sys_flag,
        born_timestamp_ms: header.born_timestamp,
        born_host: host(header.born_host),
        store_host: host(header.store_host),
        reconsume_times: header.reconsume_times.unwrap_or_default(),
        prepared_transaction_offset: 0,
    };
    let mut record = Vec::new();
    encode(&fields, &mut record)?;
    place(&mut record, 0, 0, header.store_timestamp)?;
    Ok(ReceivedMessage::read_one(&record.into(), "")?)
}

impl Message {
    /// Makes the reply to a request that was received; send it as any message.
    ///
    /// # Errors
    /// When the message wants no reply, or its broker did not say in which cluster it is.
    pub fn reply_to(request: &ReceivedMessage, body: impl Into<Bytes>) -> Result<Self, Error> {
        let wanted = |name: &str| {
            let missing = || Cause::Invalid(format!("the message wants no reply: it has no property {name}")).nowhere();
            request.property(name).ok_or_else(|| missing().topic(request.topic()))
        };
        let topic = format!("{}_REPLY_TOPIC", wanted(name::CLUSTER)?);
        let mut reply = Self::new(topic, body).with(name::MESSAGE_TYPE, "reply");
        for name in [name::CORRELATION_ID, name::REPLY_TO_CLIENT, name::TTL] {
            reply = reply.with(name, wanted(name)?);
        }
        Ok(reply)
    }
}

impl Producer {
    /// Sends a message and waits for the reply to it.
    ///
    /// Dropped while it waits, the message may have been sent, and a reply is dropped.
    ///
    /// # Errors
    /// When the message was not stored, or with [`Cause::NoReply`] when none came within `timeout`.
    pub async fn request(&self, message: Message, timeout: Duration) -> Result<ReceivedMessage, Error> {
        let inner = &self.inner;
        let begun = clock::now();
        let id = inner.ids.next(inner.client.now_ms()).to_string();
        let message = message
            .with(name::CORRELATION_ID, &id)
            .with(name::REPLY_TO_CLIENT, inner.client.client_id())
            .with(name::TTL, &timeout.as_millis().to_string());
        let messages = [message];
        let prepared = inner.prepare(&messages, TransactionType::None)?;
        let (sender, reply) = oneshot::channel();
        inner.waiting.table().insert(id.clone(), sender);
        let place = Place {
            waiting: &inner.waiting,
            id,
        };
        inner
            .attempts(&prepared, timeout.min(inner.options.send_msg_timeout), Retrying::Sync)
            .await?;
        let came = tokio::time::timeout_at(begun + timeout, reply).await;
        drop(place);
        match came {
            Ok(Ok(reply)) => Ok(reply),
            _ => Err(Cause::NoReply(timeout).nowhere().topic(&prepared.topic)),
        }
    }
}
