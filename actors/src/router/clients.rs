//! What tools want to know of clients, and have clients do: passed on to the client's own connection, and its answer back
//! (codes 223, 307, 309; `Broker2Client` and the consumer part of `AdminBrokerProcessor` in Java).

use std::collections::BTreeMap;
use std::time::Duration;

use cuemq_net::body::{Body, ConsumerStatus};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::dialect::Style;
use cuemq_net::message::id::OffsetMessageId;
use cuemq_net::request::{self, ClientStatus, ConsumeDirectly, RunningInfo};
use cuemq_net::version::Version;
use cuemq_storage::position::PhysicalOffset;
use futures_util::future::join_all;

use super::broker_requests::{Asked, Refusal, read, refused};
use crate::io::egress::AskClient;
use crate::io::questions::Unanswered;
use crate::peer::PeerKey;
use crate::rebalance::Member;

/// How long a client may take to tell what it runs, or to consume a message.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it may take to tell how far it has come.
const STATUS_PATIENCE: Duration = Duration::from_secs(5);

impl Asked<'_> {
    /// What a consumer runs, in the client's own words (code 307).
    pub(super) async fn running_info(&self) -> Result<Command, Refusal> {
        let view = self.request.view();
        let header = read(RunningInfo::read(&view))?;
        let member = self.consumer(header.consumer_group, header.client_id)?;
        self.relay(header.consumer_group, &member, self.question()).await
    }

    /// Has a consumer consume a message at once, and tells what came of it (code 309).
    pub(super) async fn consume_directly(&self) -> Result<Command, Refusal> {
        let view = self.request.view();
        let header = read(ConsumeDirectly::read(&view))?;
        let member = self.consumer(header.consumer_group, header.client_id.unwrap_or("null"))?;
        let id = header.msg_id.unwrap_or_default();
        let id: OffsetMessageId = id
            .parse()
            .map_err(|error| refused(format!("the message's id {id:?} cannot be read: {error}")))?;
        let record = self.records(vec![PhysicalOffset(id.physical_offset)]).await?;
        if record.is_empty() {
            let remark = format!("can not find message by the offset, {}", id.physical_offset);
            return Err(refused(remark));
        }
        let question = self
            .question()
            .with_field("brokerName", &self.io.identity.broker_name)
            .with_body(record);
        self.relay(header.consumer_group, &member, question).await
    }

    /// How far the clients of a group have come on a topic, each in its own words (code 223).
    pub(super) async fn consumer_status(&self) -> Result<Command, Refusal> {
        let view = self.request.view();
        let header = read(request::ConsumerStatus::read(&view))?;
        let only = header.client_addr.filter(|client_id| !client_id.trim().is_empty());
        let online = self.side.membership.consumer_group(header.group);
        let members = online.as_deref().map(|group| group.members()).unwrap_or_default();
        if members.is_empty() {
            let group = header.group;
            return Err(refused(format!(
                "No Any Consumer online in the consumer group: [{group}]"
            )));
        }
        let members: Vec<_> = members
            .iter()
            .filter(|member| only.is_none_or(|only| *member.client.client_id == *only))
            .collect();
        if let Some(old) = members
            .iter()
            .find(|member| !Version(member.client.version).obeys_offset_reset())
        {
            return Err(too_old(old));
        }
        let (topic, group, client_addr) = (header.topic, header.group, None);
        let status = ClientStatus {
            topic,
            group,
            client_addr,
        };
        let question =
            Command::request(RequestCode::GET_CONSUMER_STATUS_FROM_CLIENT).with_header(|fields| status.write(fields));
        let asked = members
            .iter()
            .map(|member| self.ask_client(member.peer, question.clone(), STATUS_PATIENCE));
        let mut table = BTreeMap::new();
        for (member, answer) in members.iter().zip(join_all(asked).await) {
            match answer {
                Ok(answer) if answer.code == ResponseCode::SUCCESS.0 && !answer.body.is_empty() => {
                    if let Ok(status) = ConsumerStatus::decode(&answer.body) {
                        table.insert(member.client.client_id.to_string(), status.message_queue_table);
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(client = %member.client.client_id, %error, "a consumer does not tell its status")
                }
            }
        }
        let body = ConsumerStatus {
            consumer_table: table,
            ..ConsumerStatus::default()
        };
        Ok(self.success().with_body(body.encode(Style::Fastjson)))
    }

    /// The request as it is passed on.
    fn question(&self) -> Command {
        Command {
            fields: self.request.fields.clone(),
            body: self.request.body.clone(),
            ..Command::request(RequestCode(self.request.code))
        }
    }

    /// A member of a group that can be asked.
    fn consumer(&self, group: &str, client_id: &str) -> Result<Member, Refusal> {
        let online = self.side.membership.consumer_group(group);
        let Some(member) = online.and_then(|online| online.find(client_id).cloned()) else {
            return Err(refused(format!("The Consumer <{group}> <{client_id}> not online")));
        };
        let version = member.client.version;
        if !Version(version).tells_running_info() {
            return Err(refused(format!(
                "The Consumer <{client_id}> Version <{version}> too low to finish, please upgrade it to V3_1_8_SNAPSHOT"
            )));
        }
        Ok(member)
    }

    /// Passes a question on, and the answer back as it is.
    async fn relay(&self, group: &str, member: &Member, question: Command) -> Result<Command, Refusal> {
        let client_id = &member.client.client_id;
        match self.ask_client(member.peer, question, PATIENCE).await {
            Ok(answer) => Ok(Command {
                language: answer.language,
                version: answer.version,
                remark: answer.remark,
                fields: answer.fields,
                body: answer.body,
                ..Command::response_to(self.request, ResponseCode(answer.code))
            }),
            Err(error @ Unanswered::TimedOut(_)) => Err((
                ResponseCode::CONSUME_MSG_TIMEOUT,
                format!("consumer <{group}> <{client_id}> Timeout: {error}"),
            )),
            Err(error) => Err(refused(format!(
                "invoke consumer <{group}> <{client_id}> Exception: {error}"
            ))),
        }
    }

    /// Asks a client on its own connection, whichever thread that is on.
    pub(super) async fn ask_client(
        &self,
        peer: PeerKey,
        command: Command,
        patience: Duration,
    ) -> Result<Command, Unanswered> {
        let Some(thread) = self.actors.clients.get(usize::from(peer.thread)) else {
            return Err(Unanswered::Gone);
        };
        let ask = AskClient {
            peer,
            command,
            patience,
        };
        // A thread that starts anew has lost its connections.
        thread.ask.send(ask).await.unwrap_or(Err(Unanswered::Gone))
    }
}

/// What is answered where a client is of a release that cannot do what it is to.
pub(super) fn too_old(member: &Member) -> Refusal {
    let version = member.client.version;
    refused(format!("the client does not support this feature. version={version}"))
}
