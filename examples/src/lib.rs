//! CueMQ by example: one file each in `examples/examples/`, and each runs by itself.
//!
//! | `cargo run -p cuemq-examples --example …` | shows |
//! |---|---|
//! | `first_message` | one message sent and received over the protocol that Java clients speak, to a broker of its own or to one that runs |
//! | `transaction` | messages that are delivered if, and only if, a local transaction commits |
//! | `request_reply` | a program that asks another over a topic, and waits for its reply |
//! | `consume` | a push consumer whose listener takes many messages at a time, from a broker of its own or from one that runs |
//! | `consume_in_order` | an orderly listener, which gets the messages of each queue one after the other |
//! | `consume_stream` | messages as a stream, each to be acknowledged, and a consumer that is polled |
//! | `test_one_actor` | how to test one actor of the broker alone, with probes, a clock moved by hand and a panic on request |
//! | `test_whole_broker` | how to test against a whole broker without a socket or a file, with a clock moved by hand |
//!
//! The library itself is one whole application with its tests, [`order_desk`].

mod name_server;
pub mod order_desk;

pub use name_server::NameServer;
