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
use cuemq_net::code::RequestCode;
use cuemq_net::command::Command;
use cuemq_net::header::FieldWriter;

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
