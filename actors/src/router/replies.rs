//! Replies of applications to each other's requests (codes 324 and 325; `ReplyMessageProcessor` in Java).
//!
//! A reply goes to the client that waits for it, on that client's own connection (326). Then it is stored like any other
//! message of its topic, unless that is switched off: its connection takes it up again as a send, which answers it. Where
//! it could not be handed over, that is the answer, and it is stored without one.

use std::borrow::Cow;
use std::time::Duration;

use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::header::FLAG_ONEWAY;
use cuemq_net::message::properties::{self, Properties, name};
use cuemq_net::request::{PushReply, SendHeader};
use cuemq_net::response::SendResponse;

use super::broker_requests::{Asked, Refusal, read, refused};
use super::wanted::TopicWanted;
use crate::io::peer_table::{Again, HeldFrame};
use crate::io::send;
use crate::under_way::Processor;

/// How long the client that waits for a reply may take to say that it has it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A reply that may be passed on.
struct Reply<'a> {
    header: SendHeader<'a>,
    queue_id: i32,
}

impl Asked<'_> {
    /// Hands a reply over and stores it; `None` where it is answered when it is stored.
    pub(super) async fn pass_on_reply(&self) -> Option<Command> {
        let view = self.request.view();
        let checked = match read(SendHeader::read(&view)) {
            Ok(header) => self.check_reply(header).await,
            Err(refusal) => Err(refusal),
        };
        let reply = match checked {
            Ok(reply) => reply,
            Err((code, remark)) => return Some(self.reply_answer(code, None).with_remark(remark)),
        };
        let handed_over = self.hand_over(&reply).await;
        // What cannot be stored was handed over all the same.
        let is_stored = self.side.store_replies
            && !self.io.budgets.waiting.is_spent()
            && self.side.gate.refusal(|| self.io.clock.now_ms()).is_none();
        if is_stored {
            self.store_reply(&reply, handed_over.is_err());
        }
        match handed_over {
            Ok(()) if is_stored => None,
            Ok(()) => Some(self.reply_answer(ResponseCode::SUCCESS, Some(reply.queue_id))),
            Err((code, remark)) => Some(self.reply_answer(code, None).with_remark(remark)),
        }
    }

    /// The checks of a send, before anybody hears of the reply.
    async fn check_reply<'h>(&self, header: SendHeader<'h>) -> Result<Reply<'h>, Refusal> {
        let gate = self.side.gate.refusal(|| self.io.clock.now_ms());
        if let Some((ResponseCode::SYSTEM_ERROR, not_yet)) = gate {
            return Err(refused(not_yet));
        }
        if let Err(refusal) = crate::topic::check_send(header.topic) {
            return Err((refusal.code(), refusal.to_string()));
        }
        if !self.side.topics.contains(header.topic) {
            self.io.router.make(TopicWanted::on_send(&header)).await?;
        }
        let topic = self.existing_topic(header.topic)?;
        let queue_id = send::check_place(self.io, &header, &topic, self.peer.remote);
        let queue_id = queue_id.map_err(|(code, remark)| (code, remark.into_owned()))?;
        let queue_id = i32::try_from(queue_id).unwrap_or(i32::MAX);
        Ok(Reply { header, queue_id })
    }

    /// Pushes a reply to the client that its properties name.
    async fn hand_over(&self, reply: &Reply<'_>) -> Result<(), Refusal> {
        let told = reply.header.properties.unwrap_or_default();
        let Some(client_id) = Properties::from(told).get(name::REPLY_TO_CLIENT) else {
            let name = name::REPLY_TO_CLIENT;
            return Err(refused(format!("reply message properties[{name}] is null")));
        };
        let Some(peer) = self.side.membership.peer_of(client_id) else {
            return Err(refused(format!(
                "push reply message fail, channel of <{client_id}> not found."
            )));
        };
        let now_ms = self.io.clock.now_ms();
        let dated = properties::with(told.as_bytes(), name::PUSH_REPLY_TIME, &now_ms.to_string());
        let dated = dated.unwrap_or_else(|_| told.as_bytes().to_vec());
        let command = self.push_of(reply, &String::from_utf8_lossy(&dated), now_ms);
        match self.ask_client(peer, command, PATIENCE).await {
            Ok(answer) if answer.code == ResponseCode::SUCCESS.0 => Ok(()),
            other => {
                tracing::warn!(client_id, answer = ?other.map(|answer| answer.code), "a reply was not taken");
                Err(refused(format!("push reply message to {client_id}fail.")))
            }
        }
    }

    fn push_of(&self, reply: &Reply<'_>, properties: &str, now_ms: u64) -> Command {
        let (born, stored) = (self.peer.remote.to_string(), self.io.identity.store_host.to_string());
        let said = &reply.header;
        let header = PushReply {
            producer_group: said.producer_group,
            topic: said.topic,
            default_topic: said.default_topic,
            default_topic_queue_nums: said.default_topic_queue_nums,
            queue_id: said.queue_id,
            sys_flag: said.sys_flag,
            born_timestamp: said.born_timestamp,
            flag: said.flag,
            properties: Some(properties),
            reconsume_times: said.reconsume_times,
            unit_mode: said.unit_mode,
            born_host: &born,
            store_host: &stored,
            store_timestamp: i64::try_from(now_ms).unwrap_or(i64::MAX),
        };
        Command::request(RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT)
            .with_header(|fields| header.write(fields))
            .with_body(self.request.body.clone())
    }

    /// Lets the connection take the reply up as a send, answered or not.
    fn store_reply(&self, reply: &Reply<'_>, silently: bool) {
        let mut command = self.request.clone();
        if silently {
            command.flag |= FLAG_ONEWAY;
        }
        if reply.header.queue_id < 0 {
            let short = command.fields.get("e").map(|_| "e");
            command
                .fields
                .set(short.unwrap_or("queueId"), reply.queue_id.to_string());
        }
        let mut frame = Vec::new();
        if let Err(error) = command.encode(&mut frame) {
            return tracing::error!(%error, "a reply does not fit the frame that it came in");
        }
        let counted = self.io.traffic.under_way.count(Processor::Reply);
        let now = self.io.clock.monotonic();
        let held = HeldFrame::new(&frame, now, &self.io.budgets.waiting, counted);
        self.peer.topic_wanted(&held);
        self.peer.again.borrow_mut().push_back(Again::Frame(held));
        self.peer.wake();
    }

    /// An answer with the fields that clients read of every answer to a send, and where it is none of a stored message, with
    /// numbers that they can read.
    fn reply_answer(&self, code: ResponseCode, queue_id: Option<i32>) -> Command {
        let identity = &self.io.identity;
        let answer = Command::response_to(self.request, code);
        let answer = match queue_id {
            None => answer,
            Some(queue_id) => {
                let header = SendResponse {
                    msg_id: "0",
                    queue_id,
                    queue_offset: 0,
                    transaction_id: None,
                    region: None,
                    trace_on: None,
                };
                answer.with_header(|fields| header.write(fields))
            }
        };
        answer
            .with_field("MSG_REGION", &identity.region)
            .with_field("TRACE_ON", identity.live.trace_on.is_on())
    }
}

/// The properties of a message as they are stored: a request of one application to another also tells the cluster, through
/// whose reply topic the answer goes. (Java adds it to every message; nobody else reads it.)
pub(crate) fn stored_properties<'a>(
    properties: &'a [u8],
    reply_to_client: Option<&str>,
    cluster: &str,
) -> Cow<'a, [u8]> {
    let is_request = reply_to_client.is_some() && Properties::new(properties).get(name::MESSAGE_TYPE) != Some("reply");
    if !is_request {
        return Cow::Borrowed(properties);
    }
    match properties::with(properties, name::CLUSTER, cluster) {
        Ok(with_cluster) => Cow::Owned(with_cluster),
        Err(_) => Cow::Borrowed(properties),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_tells_its_cluster_and_no_other_message_does() {
        let stored = |properties: &'static str| {
            let known = properties::known(properties.as_bytes());
            stored_properties(properties.as_bytes(), known.reply_to_client, "c1").into_owned()
        };
        let ordinary = "TAGS\u{1}a\u{2}CORRELATION_ID\u{1}7";
        assert_eq!(stored(ordinary), ordinary.as_bytes());
        let reply = "MSG_TYPE\u{1}reply\u{2}REPLY_TO_CLIENT\u{1}c";
        assert_eq!(stored(reply), reply.as_bytes());
        let request = "REPLY_TO_CLIENT\u{1}c\u{2}TAGS\u{1}a";
        assert_eq!(
            stored(request),
            b"REPLY_TO_CLIENT\x01c\x02TAGS\x01a\x02CLUSTER\x01c1\x02"
        );
        let forwarded = "REPLY_TO_CLIENT\u{1}c\u{2}CLUSTER\u{1}elsewhere\u{2}";
        assert_eq!(stored(forwarded), b"REPLY_TO_CLIENT\x01c\x02CLUSTER\x01c1\x02");
    }
}
