//! How much a name server takes in. Whoever reaches its port may say to be a broker, so its tables have an end, far above
//! what clusters hold. Java's have none.

use std::collections::BTreeMap;

use cuemq_net::body::{RegisterBrokerBody, TopicConfig};
use thiserror::Error;

use super::broker::BrokerIdentity;
use super::kv::KvConfig;

/// The most brokers, by address.
pub const MOST_BROKERS: usize = 4096;
/// The most routes: topics, each counted once for every broker name that has it.
pub const MOST_ROUTES: usize = 1_000_000;
/// The longest name of a cluster, a broker or a topic, and the longest address, in bytes. A retry topic can have
/// 262 with the longest group that Java's clients allow.
pub const LONGEST_NAME: usize = 512;
/// The most bytes that the addresses of a broker's filter servers take.
pub const MOST_FILTER_SERVER_BYTES: usize = 16 << 10;
/// The most bytes of all keys and values, and so of their file.
pub const MOST_KV_BYTES: usize = 16 << 20;

/// Why something was not taken in.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum NoRoom {
    /// A new broker beside [`MOST_BROKERS`] others.
    #[error(
        "{MOST_BROKERS} brokers are registered, which is the most that a name server takes; \
         end those that nobody uses, they are forgotten within two minutes"
    )]
    Brokers,
    /// Topics that would make more than [`MOST_ROUTES`] routes.
    #[error(
        "{new} new topics beside {known} routes are more than the {MOST_ROUTES} that a name server takes; \
         delete topics that nobody uses"
    )]
    Routes {
        /// How many routes there are.
        known: usize,
        /// How many the registration would add.
        new: usize,
    },
    /// A name or an address longer than [`LONGEST_NAME`].
    #[error("{what} has {bytes} bytes, and {LONGEST_NAME} are the most; give a shorter one")]
    LongName {
        /// Whose name or address it is.
        what: &'static str,
        /// How long it is.
        bytes: usize,
    },
    /// Addresses of filter servers beyond [`MOST_FILTER_SERVER_BYTES`].
    #[error("the filter servers' addresses have {0} bytes, and {MOST_FILTER_SERVER_BYTES} are the most; name fewer")]
    FilterServers(usize),
    /// A value that would bring the table beyond [`MOST_KV_BYTES`].
    #[error("keys and values would take {0} bytes, and {MOST_KV_BYTES} are the most; delete what nobody uses")]
    KeysAndValues(usize),
}

/// Looks at the lengths of what a broker says of itself.
pub(super) fn fits(
    identity: &BrokerIdentity,
    replication_address: &str,
    body: &RegisterBrokerBody,
) -> Result<(), NoRoom> {
    for (what, name) in [
        ("the cluster's name", &*identity.cluster),
        ("the broker's name", &identity.name),
        ("the broker's address", &identity.address),
        ("the broker's replication address", replication_address),
    ] {
        is_short(what, name)?;
    }
    for topic in body.topics.topic_config_table.keys() {
        is_short("a topic's name", topic)?;
    }
    let servers = body.filter_server_list.iter().flatten();
    match servers.map(|server| server.len() + size_of::<String>()).sum() {
        bytes if bytes > MOST_FILTER_SERVER_BYTES => Err(NoRoom::FilterServers(bytes)),
        _ => Ok(()),
    }
}

fn is_short(what: &'static str, name: &str) -> Result<(), NoRoom> {
    match name.len() {
        bytes if bytes > LONGEST_NAME => Err(NoRoom::LongName { what, bytes }),
        _ => Ok(()),
    }
}

/// Looks whether a broker's topics find room among the routes, most of which it has registered before.
pub(super) fn takes_topics<Q>(
    routes: &BTreeMap<String, BTreeMap<String, Q>>,
    broker_name: &str,
    topics: &BTreeMap<String, TopicConfig>,
) -> Result<(), NoRoom> {
    let is_new = |topic: &&String| {
        routes
            .get(*topic)
            .is_none_or(|brokers| !brokers.contains_key(broker_name))
    };
    let new = topics.keys().filter(is_new).count();
    if new == 0 {
        return Ok(());
    }
    let known = routes.values().map(BTreeMap::len).sum();
    if known + new > MOST_ROUTES {
        return Err(NoRoom::Routes { known, new });
    }
    Ok(())
}

/// Looks whether keys and values may change so. A table that is too large from its file may still become smaller.
pub(super) fn has_room(known: &KvConfig, changed: &KvConfig) -> Result<(), NoRoom> {
    match changed.bytes() {
        bytes if bytes > MOST_KV_BYTES && bytes > known.bytes() => Err(NoRoom::KeysAndValues(bytes)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::routes::RouteTable;
    use super::super::routes::tests::{broker, peer, register, topics};
    use super::*;
    use std::time::Duration;

    fn tried(table: &mut RouteTable, identity: &BrokerIdentity, body: RegisterBrokerBody) -> Result<(), NoRoom> {
        let registered = table.register(peer(1), identity, "", body, Duration::ZERO);
        registered.map(drop)
    }

    fn named(names: impl Iterator<Item = String>) -> RegisterBrokerBody {
        let mut body = RegisterBrokerBody::default();
        body.topics.topic_config_table = names.map(|name| (name, TopicConfig::default())).collect();
        body
    }

    #[test]
    fn one_broker_more_than_the_most_is_refused_and_a_known_one_is_not() {
        let mut table = RouteTable::default();
        for number in 0..MOST_BROKERS {
            register(&mut table, &broker(&format!("b{number}"), 0), topics(1, &[]));
        }
        assert_eq!(
            tried(&mut table, &broker("new", 0), topics(1, &["T"])),
            Err(NoRoom::Brokers)
        );
        assert_eq!(table.route("T"), None, "nothing of it is taken");
        assert_eq!(tried(&mut table, &broker("b7", 0), topics(2, &["T"])), Ok(()));
        assert!(table.route("T").is_some());
    }

    #[test]
    fn topics_beyond_the_most_routes_are_refused_and_known_ones_are_not() {
        let mut table = RouteTable::default();
        let names = || (0..MOST_ROUTES / 2).map(|number| format!("t{number}"));
        for name in ["a", "b"] {
            assert_eq!(tried(&mut table, &broker(name, 0), named(names())), Ok(()));
        }
        let full = NoRoom::Routes {
            known: MOST_ROUTES,
            new: 1,
        };
        assert_eq!(tried(&mut table, &broker("a", 0), topics(1, &["t0", "new"])), Err(full));
        assert_eq!(tried(&mut table, &broker("a", 0), topics(2, &["t0", "t1"])), Ok(()));
    }

    #[test]
    fn names_and_addresses_have_a_greatest_length() {
        let mut table = RouteTable::default();
        let long = "n".repeat(LONGEST_NAME + 1);
        let too_long = |what| {
            Err(NoRoom::LongName {
                what,
                bytes: LONGEST_NAME + 1,
            })
        };
        let topic = topics(1, &[&long]);
        assert_eq!(tried(&mut table, &broker("a", 0), topic), too_long("a topic's name"));
        let mut identity = broker("a", 0);
        identity.cluster = long;
        assert_eq!(
            tried(&mut table, &identity, topics(1, &[])),
            too_long("the cluster's name")
        );
        let servers = RegisterBrokerBody {
            filter_server_list: Some(vec![String::new(); MOST_FILTER_SERVER_BYTES]),
            ..topics(1, &[])
        };
        let refused = tried(&mut table, &broker("a", 0), servers);
        assert!(matches!(refused, Err(NoRoom::FilterServers(_))), "{refused:?}");
        assert_eq!(
            tried(&mut table, &broker("a", 0), topics(1, &[&"n".repeat(LONGEST_NAME)])),
            Ok(())
        );
    }

    #[test]
    fn keys_and_values_that_are_too_large_may_only_shrink() {
        let with = |bytes: usize| {
            let mut config = KvConfig::default();
            config.put("N", "k", &"v".repeat(bytes - 2));
            config
        };
        assert_eq!(has_room(&with(2), &with(MOST_KV_BYTES)), Ok(()));
        let larger = with(MOST_KV_BYTES + 1);
        let refused = Err(NoRoom::KeysAndValues(MOST_KV_BYTES + 1));
        assert_eq!(has_room(&with(MOST_KV_BYTES), &larger), refused);
        assert_eq!(has_room(&with(MOST_KV_BYTES + 2), &larger), Ok(()));
    }
}
