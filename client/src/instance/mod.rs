//! The shared instance (`MQClientInstance`): one set of connections, routes, heartbeats and timers for all producers and
//! consumers that are made with it.
//!
//! | file | what |
//! |---|---|
//! | `options` | the settings |
//! | `connections` | one connection to each server, made again with back-off |
//! | `name_servers`, `address_server` | which name server is asked, who tells which there are |
//! | `routes` | where the queues of topics are |
//! | `asking` | calls: to brokers, to name servers, for routes |
//! | `heartbeat` | who is told that the client is there |
//! | `serving` | what servers ask, and who is asked |
//! | `member` | what a producer or a consumer is to the client |
//! | `tasks` | all tasks, so that none outlives the client |

mod address_server;
mod asking;
mod connections;
mod heartbeat;
mod member;
mod name_servers;
mod options;
mod routes;
mod serving;
mod tasks;

#[cfg(test)]
mod rules_test;

use std::sync::{Arc, Weak};
use std::time::Duration;

use cuemq_net::code::RequestCode;
use cuemq_net::command::Command;
use cuemq_net::request::Unregister;
use futures_util::future::join_all;
use tokio::sync::{Notify, mpsc};

pub(crate) use asking::{Answered, CREATE_TOPIC_KEY};
pub(crate) use connections::Asked;
pub(crate) use member::{Group, Member};
pub use options::{ClientOptions, RequestHook};
pub use routes::TopicRoute;
pub(crate) use tasks::Tasks;

use crate::clock::Chance;
use crate::error::{Cause, Error};
use address_server::AddressServer;
use connections::Connections;
use heartbeat::Heartbeats;
use member::Members;
use name_servers::NameServers;
use routes::Routes;

/// What producers and consumers share: connections, routes, heartbeats and timers. A clone is the same client.
///
/// All of its tasks run on the runtime that it was started on, and none is left once [`Client::shutdown`] returns. A
/// client of which the last clone is dropped, together with all producers and consumers made with it, ends too, but
/// without telling the brokers.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

/// The client without a hold on it, for tasks that run as long as it does.
#[derive(Clone)]
pub(crate) struct WeakClient(Weak<Shared>);

impl WeakClient {
    pub(crate) fn upgrade(&self) -> Option<Client> {
        self.0.upgrade().map(|shared| Client { shared })
    }
}

struct Shared {
    options: ClientOptions,
    client_id: String,
    own_ip: std::net::IpAddr,
    chance: Chance,
    name_servers: NameServers,
    connections: Connections,
    routes: Routes,
    members: Members,
    heartbeats: Heartbeats,
    /// Has the next heartbeat come at once.
    hurry: Hurry,
    /// Timers, and requests of servers that are served.
    tasks: Tasks,
}

impl Client {
    /// Starts a client; see [`ClientOptions::start`].
    pub(crate) async fn start(options: ClientOptions) -> Result<Self, Error> {
        let chance = Chance::new(options.seed.unwrap_or_else(Chance::seed));
        let named = options.namesrv_addr.clone();
        let named = named
            .or_else(|| std::env::var(name_servers::ENVIRONMENT).ok())
            .unwrap_or_default();
        let mut addresses = name_servers::addresses_in(&named);
        let address_server = options.address_server.as_deref().filter(|_| addresses.is_empty());
        let address_server = address_server.map(|domain| AddressServer::new(domain, options.unit_name.as_deref()));
        if let Some(server) = &address_server {
            let told = server.ask(options.network.as_ref()).await;
            addresses = told
                .inspect_err(|error| tracing::warn!(%error, "an address server told nothing"))
                .unwrap_or_default();
        }
        let name_servers = NameServers::new(addresses, &chance);
        let Some(first) = name_servers.in_turn().into_iter().next() else {
            return Err(Cause::NoNameServer.nowhere());
        };
        let own_ip = match options.client_ip {
            Some(ip) => ip,
            None => options.network.own_address(&first).await,
        };
        let (connections, incoming) = Connections::new(
            Arc::clone(&options.network),
            options.connect_timeout,
            options.max_pending_calls,
        );
        let hurry = connections.ended();
        let client = Self {
            shared: Arc::new(Shared {
                client_id: client_id(&options, own_ip, &chance),
                own_ip,
                chance,
                name_servers,
                connections,
                routes: Routes::default(),
                members: Members::default(),
                heartbeats: Heartbeats::default(),
                hurry,
                tasks: Tasks::new(),
                options,
            }),
        };
        client.begin(incoming);
        if let Some(server) = address_server {
            let network = Arc::clone(&client.options().network);
            client.spawn(address_server::follow(client.downgrade(), server, network));
        }
        Ok(client)
    }

    fn begin(&self, incoming: mpsc::Receiver<Asked>) {
        let options = &self.shared.options;
        self.spawn(serving::serve(self.downgrade(), incoming));
        self.spawn(heartbeat::beat(
            self.downgrade(),
            Arc::clone(&self.shared.hurry),
            options.heartbeat_broker_interval,
        ));
        self.spawn(every(
            self.downgrade(),
            options.poll_name_server_interval,
            async |client| {
                client.refresh_routes().await;
            },
        ));
        self.spawn(every(
            self.downgrade(),
            options.persist_consumer_offset_interval,
            async |client| {
                for member in client.shared.members.all() {
                    member.persist().await;
                }
            },
        ));
    }

    /// The client's id: its address, its name, and its unit where it has one.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.shared.client_id
    }

    /// Ends the client: brokers are told that its groups leave, what was sent last leaves, and every task is over when this
    /// returns. Calls that wait for an answer fail. Shut producers and consumers down before.
    ///
    /// Dropped before it is done, it leaves tasks to be ended by the drop of the last clone.
    pub async fn shutdown(&self) {
        for member in self.shared.members.all() {
            self.leave(&member.group()).await;
        }
        self.shared.tasks.end(Duration::ZERO).await;
        self.shared.connections.end().await;
    }

    pub(crate) fn downgrade(&self) -> WeakClient {
        WeakClient(Arc::downgrade(&self.shared))
    }

    /// The client's id as it is after a restart too, for files: without a name of its own, an instance counts as Java's
    /// `DEFAULT`.
    pub(crate) fn lasting_id(&self) -> String {
        let options = &self.shared.options;
        let name = options.instance_name.as_deref().unwrap_or("DEFAULT");
        let unit = options.unit_name.iter().map(|unit| format!("@{unit}"));
        format!("{}@{name}{}", self.shared.own_ip, unit.collect::<String>())
    }

    /// Runs a task that ends with the client at the latest. It holds a [`WeakClient`] while it waits.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.shared.tasks.spawn(task);
    }

    /// The settings.
    pub(crate) fn options(&self) -> &ClientOptions {
        &self.shared.options
    }

    /// This machine's address.
    pub(crate) fn own_ip(&self) -> std::net::IpAddr {
        self.shared.own_ip
    }

    /// Numbers to choose by.
    pub(crate) fn chance(&self) -> &Chance {
        &self.shared.chance
    }

    /// The time in ms since 1970.
    pub(crate) fn now_ms(&self) -> i64 {
        self.shared.options.clock.now_ms()
    }

    /// Takes a producer or a consumer in, and tells all known brokers.
    ///
    /// # Errors
    /// When the group is in the client already.
    pub(crate) async fn join(&self, member: &Arc<dyn Member>) -> Result<(), Error> {
        self.shared.members.join(member)?;
        self.heartbeat().await;
        Ok(())
    }

    /// Lets a producer or a consumer go, and tells all known brokers (code 35).
    pub(crate) async fn leave(&self, group: &Group) {
        self.shared.members.leave(group);
        let (producer_group, consumer_group) = match group {
            Group::Producing(group) => (Some(group.as_str()), None),
            Group::Consuming(group) => (None, Some(group.as_str())),
        };
        let header = Unregister {
            client_id: self.client_id(),
            producer_group,
            consumer_group,
        };
        let request = Command::request(RequestCode::UNREGISTER_CLIENT).with_header(|fields| header.write(fields));
        let brokers = self.shared.heartbeats.reached();
        let tell = brokers.iter().map(async |address| {
            let told = self
                .call(address, &request, self.shared.options.mq_client_api_timeout)
                .await;
            if let Err(error) = told {
                tracing::debug!(%address, %error, "a broker was not told that a group leaves");
            }
        });
        join_all(tell).await;
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Client")
            .field("client_id", &self.client_id())
            .finish_non_exhaustive()
    }
}

fn client_id(options: &ClientOptions, ip: std::net::IpAddr, chance: &Chance) -> String {
    let name = match &options.instance_name {
        Some(name) => name.clone(),
        None => format!("{}#{}", options.process_id, chance.next() >> 16),
    };
    let unit = options.unit_name.iter().map(|unit| format!("@{unit}"));
    format!("{ip}@{name}{}", unit.collect::<String>())
}

/// Does something again and again, as long as the client is there.
async fn every<F>(client: WeakClient, interval: Duration, mut act: F)
where
    F: AsyncFnMut(Client),
{
    loop {
        tokio::time::sleep(interval).await;
        let Some(client) = client.upgrade() else { return };
        act(client).await;
    }
}

/// What ends a wait early.
type Hurry = Arc<Notify>;
