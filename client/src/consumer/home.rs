//! The client that a consumer lives in: one that it shares with others, or one of its own, which ends with it. And the
//! namespace that its topics and its group are in.

use crate::error::Error;
use crate::instance::{Client, ClientOptions};
use crate::namespace::Namespace;

/// The choice of a client.
#[derive(Clone, Default)]
pub(crate) struct Home {
    shared: Option<Client>,
    own: ClientOptions,
    pub(crate) namespace: Namespace,
}

impl Home {
    pub(crate) fn share(&mut self, client: &Client) {
        self.shared = Some(client.clone());
    }

    pub(crate) fn own(&mut self, options: ClientOptions) {
        self.own = options;
    }

    pub(crate) fn namesrv_addr(&mut self, addresses: String) {
        self.own = self.own.clone().namesrv_addr(addresses);
    }

    /// The client, and whether it is the consumer's own.
    ///
    /// # Errors
    /// When a client of its own does not start.
    pub(crate) async fn open(self) -> Result<(Client, bool), Error> {
        match self.shared {
            Some(client) => Ok((client, false)),
            None => Ok((self.own.start().await?, true)),
        }
    }
}
