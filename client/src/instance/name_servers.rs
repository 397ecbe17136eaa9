//! The name servers: one at random is asked until it fails, then the next (`NettyRemotingClient.getAndCreateNameserverChannel`).

use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Chance;

/// The environment variable that names them where the options do not.
pub(crate) const ENVIRONMENT: &str = "NAMESRV_ADDR";

/// Which there are, and which is asked.
pub(crate) struct NameServers {
    state: Mutex<State>,
}

struct State {
    addresses: Arc<[String]>,
    current: usize,
}

/// The addresses in `host:port;host:port`.
pub(crate) fn addresses_in(list: &str) -> Vec<String> {
    let addresses = list.split(';').map(str::trim).filter(|address| !address.is_empty());
    addresses.map(str::to_owned).collect()
}

impl NameServers {
    /// These, of which one at random is asked first.
    pub(crate) fn new(addresses: Vec<String>, chance: &Chance) -> Self {
        let state = State {
            current: chance.below(addresses.len()),
            addresses: addresses.into(),
        };
        Self {
            state: Mutex::new(state),
        }
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// All of them, the one that is asked now first.
    pub(crate) fn in_turn(&self) -> Vec<String> {
        self.with(|state| {
            let mut turn = state.addresses.to_vec();
            turn.rotate_left(state.current);
            turn
        })
    }

    /// Asks the next from now on, if this one is still asked.
    pub(crate) fn failed(&self, address: &str) {
        self.with(|state| {
            if state
                .addresses
                .get(state.current)
                .is_some_and(|current| current == address)
            {
                state.current = (state.current + 1) % state.addresses.len();
            }
        });
    }

    /// Takes another list, as an address server tells it; the one that is asked stays if it is in it.
    pub(crate) fn replace(&self, addresses: Vec<String>) {
        self.with(|state| {
            let current = state.addresses.get(state.current);
            state.current = addresses
                .iter()
                .position(|address| Some(address) == current)
                .unwrap_or_default();
            state.addresses = addresses.into();
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_asked_until_it_fails_then_the_next() {
        let servers = NameServers::new(addresses_in("a:1; b:2 ;;c:3"), &Chance::new(1));
        let turn = servers.in_turn();
        assert_eq!(turn.len(), 3);
        assert_eq!(servers.in_turn(), turn);
        servers.failed(&turn[1]);
        assert_eq!(servers.in_turn(), turn, "another one failed");
        servers.failed(&turn[0]);
        assert_eq!(servers.in_turn()[0], turn[1]);
    }

    #[test]
    fn a_new_list_keeps_the_one_that_is_asked() {
        let servers = NameServers::new(addresses_in("a:1;b:2"), &Chance::new(1));
        let asked = servers.in_turn().remove(0);
        servers.replace(vec!["d:4".to_owned(), asked.clone()]);
        assert_eq!(servers.in_turn(), [asked, "d:4".to_owned()]);
        servers.replace(Vec::new());
        assert!(servers.in_turn().is_empty());
        servers.failed("d:4");
    }
}
