//! One connection to each server, made when it is first needed and made again when it ended (`NettyRemotingClient`).
//!
//! A server that takes no connection is left alone for a while, which doubles with every failure: whoever calls waits for
//! that within its own time. What servers ask comes out of all connections by one bounded channel.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cuemq_net::command::Command;
use cuemq_net::transport::{self, Caller, Settings};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::tasks::Tasks;
use crate::clock;
use crate::error::Cause;
use crate::network::Network;

/// How long a server that took no connection is left alone, at first and at most.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// How long what was sent last may take to leave when everything ends.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How many requests of servers wait to be looked at.
const ASKED: usize = 256;

/// What a server asks.
pub(crate) struct Asked {
    /// The server's address.
    pub(crate) from: Arc<str>,
    /// The way to answer.
    pub(crate) caller: Caller,
    /// The request.
    pub(crate) request: Command,
}

/// The connections by the address of their servers.
pub(crate) struct Connections {
    network: Arc<dyn Network>,
    settings: Settings,
    connect_timeout: Duration,
    /// `None` once they have ended.
    servers: Mutex<Option<BTreeMap<String, Arc<Server>>>>,
    drivers: Tasks,
    asked: mpsc::Sender<Asked>,
    ended: Arc<Notify>,
}

struct Server {
    caller: Mutex<Option<Caller>>,
    /// Held while a connection is made, so that all who want one wait for the same.
    attempts: tokio::sync::Mutex<Attempts>,
}

#[derive(Default)]
struct Attempts {
    failed: u32,
    not_before: Option<Instant>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // each change is one step, so a panic elsewhere leaves nothing half done
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Server {
    fn caller(&self) -> Option<Caller> {
        locked(&self.caller).clone().filter(|caller| !caller.is_closed())
    }
}

impl Connections {
    /// None yet; what servers ask comes out of the channel.
    pub(crate) fn new(
        network: Arc<dyn Network>,
        connect_timeout: Duration,
        max_pending: usize,
    ) -> (Self, mpsc::Receiver<Asked>) {
        let (asked, incoming) = mpsc::channel(ASKED);
        let connections = Self {
            network,
            settings: Settings {
                max_pending,
                ..Settings::default()
            },
            connect_timeout,
            servers: Mutex::new(Some(BTreeMap::new())),
            drivers: Tasks::new(),
            asked,
            ended: Arc::new(Notify::new()),
        };
        (connections, incoming)
    }

    /// Tells when a connection has ended that was not closed here.
    pub(crate) fn ended(&self) -> Arc<Notify> {
        Arc::clone(&self.ended)
    }

    /// The connection to a server.
    ///
    /// # Errors
    /// When there is none and none can be made within the time; nothing was sent then.
    pub(crate) async fn to(&self, address: &str, within: Duration) -> Result<Caller, Cause> {
        let server = self.server(address)?;
        if let Some(caller) = server.caller() {
            return Ok(caller);
        }
        match tokio::time::timeout(within, self.connect(address, &server)).await {
            Ok(connected) => connected,
            Err(_) => Err(Cause::ConnectTimeout(within)),
        }
    }

    /// The connection to a server, where there is one.
    pub(crate) fn there(&self, address: &str) -> Option<Caller> {
        locked(&self.servers).as_ref()?.get(address)?.caller()
    }

    fn server(&self, address: &str) -> Result<Arc<Server>, Cause> {
        let mut servers = locked(&self.servers);
        let servers = servers.as_mut().ok_or(Cause::ShutDown)?;
        if let Some(server) = servers.get(address) {
            return Ok(Arc::clone(server));
        }
        let server = Arc::new(Server {
            caller: Mutex::new(None),
            attempts: tokio::sync::Mutex::new(Attempts::default()),
        });
        servers.insert(address.to_owned(), Arc::clone(&server));
        Ok(server)
    }

    async fn connect(&self, address: &str, server: &Arc<Server>) -> Result<Caller, Cause> {
        let mut attempts = server.attempts.lock().await;
        if let Some(caller) = server.caller() {
            return Ok(caller);
        }
        if let Some(not_before) = attempts.not_before {
            tokio::time::sleep_until(not_before).await;
        }
        let stream = match tokio::time::timeout(self.connect_timeout, self.network.connect(address)).await {
            Ok(Ok(stream)) => stream,
            failed => {
                let wait = BACK_OFF.0 * 2_u32.pow(attempts.failed.min(8));
                attempts.failed += 1;
                attempts.not_before = Some(clock::now() + wait.min(BACK_OFF.1));
                return Err(match failed {
                    Ok(Err(error)) => Cause::Connect(error),
                    _ => Cause::ConnectTimeout(self.connect_timeout),
                });
            }
        };
        *attempts = Attempts::default();
        let (caller, mut requests, driver) = transport::over(stream, self.settings);
        *locked(&server.caller) = Some(caller.clone());
        let (from, asked, ended) = (Arc::from(address), self.asked.clone(), Arc::clone(&self.ended));
        let server = Arc::clone(server);
        self.drivers.spawn(async move {
            // gives the request the server's caller and keeps none, so that the connection ends once nobody holds one
            let pass_on = async {
                while let Some(request) = requests.recv().await {
                    let Some(caller) = server.caller() else { break };
                    let from = Arc::clone(&from);
                    if asked.send(Asked { from, caller, request }).await.is_err() {
                        break;
                    }
                }
                std::future::pending::<()>().await;
            };
            tokio::select! {
                biased;
                end = driver.run() => if let Err(error) = end {
                    tracing::debug!(%from, %error, "a connection failed");
                },
                () = pass_on => {}
            }
            let mut caller = locked(&server.caller);
            let was_left = caller.is_none();
            // there may be a new one already
            caller.take_if(|caller| caller.is_closed());
            if !was_left {
                ended.notify_one();
            }
        });
        Ok(caller)
    }

    /// Lets go of the connection to a server that is no longer needed: it ends with the last call over it.
    pub(crate) fn leave(&self, address: &str) {
        let server = locked(&self.servers)
            .as_mut()
            .and_then(|servers| servers.remove(address));
        drop(server.and_then(|server| locked(&server.caller).take()));
    }

    /// The servers that a connection was asked for.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let servers = locked(&self.servers);
        servers.iter().flat_map(BTreeMap::keys).cloned().collect()
    }

    /// Ends all connections once what was sent has left.
    pub(crate) async fn end(&self) {
        let servers = locked(&self.servers).take();
        for server in servers.iter().flat_map(BTreeMap::values) {
            // the last caller ends the driver when all is written
            drop(locked(&server.caller).take());
        }
        self.drivers.end(LAST_WORDS).await;
    }
}
