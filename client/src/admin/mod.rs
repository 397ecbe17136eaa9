//! Everything that an admin tool asks (`MQAdminExt` in Java): each verb goes to one server, or to those that the route or the
//! cluster names.
//!
//! | file | what |
//! |---|---|
//! | `topics` | make, change and delete topics, list them, their order configuration |
//! | `groups` | make, change and delete groups, who consumes what |
//! | `offsets` | how far groups are, resets, clones |
//! | `queues` | where queues begin and end, what they hold |
//! | `messages` | messages found again by id or key |
//! | `clients` | who is connected, what it runs |
//! | `brokers` | settings, figures, clean-up |
//! | `name_servers` | clusters, permissions, key-value configuration |

mod brokers;
mod clients;
mod groups;
mod messages;
mod name_servers;
mod offsets;
mod queues;
mod topics;

use std::time::Duration;

use bytes::Bytes;
use cuemq_net::body::Body;
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::header::FieldWriter;
use cuemq_net::transport::CallError;

use crate::error::{Cause, Error, success};
use crate::instance::Client;

/// How long a server may take to answer a tool, by default and where it has much to gather.
const TIMEOUT: Duration = Duration::from_secs(5);
const LONG: Duration = Duration::from_secs(15);

/// Asks servers as admin tools do. A clone is the same.
///
/// Addresses are `host:port`, as [`Admin::examine_cluster`] and routes tell them. Dropped while it waits, what was asked may be
/// done.
///
/// Errors are those of [`Error`]: [`Error::GiveUp`] with the server's code and words where it says no.
#[derive(Debug, Clone)]
pub struct Admin {
    client: Client,
    timeout: Duration,
}

impl Admin {
    /// Asks by this client's connections.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self {
            client: client.clone(),
            timeout: TIMEOUT,
        }
    }

    /// How long a server may take to answer: 5 s, and 15 s where it has much to gather.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Asks a server and lets only a good answer pass.
    async fn ask(
        &self,
        address: &str,
        code: RequestCode,
        header: impl FnOnce(&mut FieldWriter<'_>),
        body: impl Into<Bytes>,
    ) -> Result<Command, Error> {
        let request = Command::request(code).with_header(header).with_body(body);
        self.client.ask(address, &request, self.timeout).await
    }

    /// The same where a server has much to gather.
    async fn ask_long(
        &self,
        address: &str,
        code: RequestCode,
        header: impl FnOnce(&mut FieldWriter<'_>),
    ) -> Result<Command, Error> {
        let request = Command::request(code).with_header(header);
        self.client.ask(address, &request, self.timeout.max(LONG)).await
    }

    /// Asks a name server, whichever answers.
    async fn ask_name_server(
        &self,
        code: RequestCode,
        header: impl FnOnce(&mut FieldWriter<'_>),
    ) -> Result<Command, Error> {
        let request = Command::request(code).with_header(header);
        Ok(success(self.client.call_name_server(&request).await?)?)
    }

    /// Tells every name server, since none tells the others.
    async fn tell_name_servers(
        &self,
        code: RequestCode,
        header: impl Fn(&mut FieldWriter<'_>),
        body: impl Into<Bytes>,
    ) -> Result<Vec<Command>, Error> {
        let request = Command::request(code).with_header(header).with_body(body);
        let mut answers = Vec::new();
        for address in self.client.name_servers() {
            answers.push(self.client.ask(&address, &request, self.timeout).await?);
        }
        Ok(answers)
    }
}

/// Whether a server does not know what it was asked; a broker of 4.3.0 does not answer then.
fn is_unknown_there(error: &Error) -> bool {
    match &error.trouble().cause {
        Cause::Refused { code, .. } => *code == ResponseCode::REQUEST_CODE_NOT_SUPPORTED,
        Cause::Call(CallError::Timeout(_)) => true,
        _ => false,
    }
}

/// What a server says of one that it does not have, where it told all that it has instead.
fn not_listed(code: ResponseCode, address: &str) -> Error {
    let words = "it is not among those that the broker has".to_owned();
    Cause::Refused { code, words }.nowhere().at(address)
}

/// No extension fields.
fn nothing(_fields: &mut FieldWriter<'_>) {}

/// The body of an answer.
fn read<B: Body>(answer: &Command) -> Result<B, Error> {
    Ok(B::decode(&answer.body).map_err(Cause::from)?)
}

/// A number in an answer's fields.
fn number(answer: &Command, field: &str) -> Result<i64, Error> {
    let found = answer.fields.get(field).and_then(|text| text.parse().ok());
    Ok(found.ok_or_else(|| Cause::Answer(format!("no number {field}")))?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use cuemq_net::body::{SubscriptionGroupConfig, SubscriptionGroupTable, TopicConfig, TopicConfigTable};
    use cuemq_net::dialect::Style;

    use super::*;
    use crate::testing::{FakeNetwork, yes};

    fn topics() -> TopicConfigTable {
        let config = TopicConfig {
            topic_name: "T".to_owned(),
            perm: 4,
            ..TopicConfig::default()
        };
        TopicConfigTable {
            topic_config_table: BTreeMap::from([("T".to_owned(), config)]),
            ..TopicConfigTable::default()
        }
    }

    fn groups() -> SubscriptionGroupTable {
        let config = SubscriptionGroupConfig {
            group_name: "g".to_owned(),
            retry_max_times: 3,
            ..SubscriptionGroupConfig::default()
        };
        SubscriptionGroupTable {
            subscription_group_table: BTreeMap::from([("g".to_owned(), config)]),
            ..SubscriptionGroupTable::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_broker_that_cannot_tell_one_configuration_is_asked_for_all() {
        let refuses = |request: &Command| Some(Command::response_to(request, ResponseCode::REQUEST_CODE_NOT_SUPPORTED));
        for unknown in [refuses, |_: &Command| None] {
            let network = FakeNetwork::default();
            network.serve("a:10911", move |request| match RequestCode(request.code) {
                RequestCode::GET_ALL_TOPIC_CONFIG => Some(yes(request).with_body(topics().encode(Style::Standard))),
                RequestCode::GET_ALL_SUBSCRIPTIONGROUP_CONFIG => {
                    Some(yes(request).with_body(groups().encode(Style::Standard)))
                }
                _ => unknown(request),
            });
            let client = network.options().start().await.unwrap();
            let admin = Admin::new(&client);
            assert_eq!(admin.examine_topic_config("a:10911", "T").await.unwrap().perm, 4);
            let group = admin.examine_subscription_group_config("a:10911", "g").await.unwrap();
            assert_eq!(group.retry_max_times, 3);
            let no_topic = admin.examine_topic_config("a:10911", "U").await.unwrap_err();
            assert_eq!(no_topic.code(), Some(ResponseCode::TOPIC_NOT_EXIST));
            let no_group = admin
                .examine_subscription_group_config("a:10911", "h")
                .await
                .unwrap_err();
            assert_eq!(no_group.code(), Some(ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST));
            client.shutdown().await;
        }
    }
}
