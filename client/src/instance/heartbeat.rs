//! Tells brokers every 30 s which groups the client has, and leaves brokers that are in no route any more
//! (`sendHeartbeatToAllBroker`, `cleanOfflineBroker`). A broker knows a client by its connection: when one ended, all are
//! told at once, and those that cannot be told again soon.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cuemq_net::body::Body;
use cuemq_net::code::RequestCode;
use cuemq_net::command::Command;
use cuemq_net::dialect::Style;
use cuemq_net::version::Version;
use futures_util::future::join_all;

use super::routes::MASTER;
use super::{Client, Hurry, WeakClient};

/// How soon brokers that could not be told are told again, at first.
const SOON: Duration = Duration::from_secs(1);

/// The brokers that were told, with the release that each answered with.
#[derive(Default)]
pub(crate) struct Heartbeats(Mutex<BTreeMap<String, Version>>);

impl Heartbeats {
    fn table(&self) -> MutexGuard<'_, BTreeMap<String, Version>> {
        // each change is one step, so a panic elsewhere leaves nothing half done
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those that know the client.
    pub(super) fn reached(&self) -> Vec<String> {
        self.table().keys().cloned().collect()
    }
}

/// Beats as long as the client is there.
pub(super) async fn beat(client: WeakClient, hurry: Hurry, interval: Duration) {
    let mut wait = interval;
    let mut soon = SOON;
    loop {
        tokio::select! {
            biased;
            () = hurry.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
        let Some(client) = client.upgrade() else { return };
        client.clean_brokers();
        if client.heartbeat().await {
            (wait, soon) = (interval, SOON);
        } else {
            (wait, soon) = (soon.min(interval), soon * 2);
        }
    }
}

impl Client {
    /// Tells every known broker which groups the client has: masters of all, slaves too where it consumes. Whether all could
    /// be told.
    pub(crate) async fn heartbeat(&self) -> bool {
        let data = self.shared.members.heartbeat(self.client_id());
        if data.producers.is_empty() && data.consumers.is_empty() {
            return true;
        }
        let has_consumers = !data.consumers.is_empty();
        let request = Command::request(RequestCode::HEART_BEAT).with_body(data.encode(Style::Standard));
        let mut brokers = self.shared.routes.brokers();
        brokers.retain(|(id, _)| *id == MASTER || has_consumers);
        // all at once, so that none waits for one that is silent
        let told = join_all(brokers.iter().map(|(_, address)| self.beat_at(address, &request))).await;
        told.into_iter().all(|is_told| is_told)
    }

    async fn beat_at(&self, address: &str, request: &Command) -> bool {
        match self
            .ask(address, request, self.shared.options.mq_client_api_timeout)
            .await
        {
            Ok(answer) => {
                self.shared
                    .heartbeats
                    .table()
                    .insert(address.to_owned(), answer.version);
                true
            }
            Err(error) => {
                tracing::debug!(address, %error, "a broker takes no heartbeat");
                false
            }
        }
    }

    /// The release of the broker at an address, as its last answer to a heartbeat said.
    #[must_use]
    pub fn broker_version(&self, address: &str) -> Option<Version> {
        self.shared.heartbeats.table().get(address).copied()
    }

    /// Leaves brokers that are in no route any more.
    fn clean_brokers(&self) {
        self.shared.routes.clean();
        let mut known: BTreeSet<String> = self
            .shared
            .routes
            .brokers()
            .into_iter()
            .map(|(_, address)| address)
            .collect();
        known.extend(self.shared.name_servers.in_turn());
        self.shared
            .heartbeats
            .table()
            .retain(|address, _| known.contains(address));
        for address in self.shared.connections.addresses() {
            if !known.contains(&address) {
                tracing::debug!(address, "left a broker that is in no route any more");
                self.shared.connections.leave(&address);
            }
        }
    }
}
