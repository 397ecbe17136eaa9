//! The client library for brokers of the protocol, in plain tokio futures: for CueMQ and for Apache's brokers of release 4
//! and 5 alike.
//!
//! | module | what |
//! |---|---|
//! | [`instance`] | [`Client`]: connections, routes, heartbeats, shared by the producers and consumers made with it |
//! | [`message`] | what is sent |
//! | [`producer`] | [`Producer`]: who sends |
//! | [`admin`] | [`Admin`]: what tools ask servers |
//! | [`acl`] | signatures for brokers that check them |
//! | [`consumer`] | [`PushConsumer`]: a listener gets messages as they come; [`MessageStream`]; [`PullConsumer`], [`LitePullConsumer`] |
//! | `log_layer` | events shipped to a topic, behind the feature `log-layer` |
//! | `tls` | connections that speak TLS, behind the feature `tls` |
//! | [`allocation`] | how the consumers of a group share out the queues |
//! | [`trace`] | what happened to messages, told to a topic |
//! | [`error`] | what can go wrong, sorted by what the caller does next |
//! | [`network`], [`clock`] | what a test or a simulation may put in the machine's place |
//!
//! COMPATIBILITY.md lists in rows 113 to 142 what is there and what is not.
#![deny(missing_docs)]

pub mod acl;
pub mod admin;
pub mod allocation;
pub mod clock;
pub mod consumer;
pub mod error;
pub mod instance;
#[cfg(feature = "log-layer")]
pub mod log_layer;
pub mod message;
mod namespace;
pub mod network;
mod panics;
pub mod producer;
mod received;
mod subscription;
mod text;
#[cfg(feature = "tls")]
pub mod tls;
pub mod trace;

#[cfg(test)]
mod testing;

pub use acl::AclRequestHook;
pub use admin::Admin;
pub use consumer::{
    Consumed, ConsumedInOrder, Delivery, LitePullConsumer, MessageStream, PullConsumer, PushConsumer,
    PushConsumerBuilder,
};
pub use error::{Cause, Error, Outcome, Trouble};
pub use instance::{Client, ClientOptions};
pub use message::Message;
pub use producer::{LocalTransactionState, Producer, SendResult, SendStatus, TransactionListener, TransactionProducer};
pub use received::ReceivedMessage;
pub use subscription::{MessageSelector, SelectorError};
pub use text::ShortText;
pub use trace::TraceDispatcher;

/// The page of the crate, whose programs are compiled as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
