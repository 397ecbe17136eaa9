//! CueMQ by example: one file each in `examples/examples/`, and each runs by itself.
//!
//! | `cargo run -p cuemq-examples --example …` | shows |
//! |---|---|
//! | `first_message` | one message sent and received over the protocol that Java clients speak, to a broker of its own or to one that runs |
//! | `transaction` | messages that are delivered if, and only if, a local transaction commits |
//! | `request_reply` | a program that asks another over a topic, and waits for its reply |
//! | `consume` | a push consumer whose listener takes many messages at a time, from a broker of its own or from one that runs |
//! | `consume_in_order` | an orderly listener, which gets the messages of each queue one after the other |
//! | `produce` | a message sent, and where it is stored |
//! | `produce_async` | many at a time, so many at most on their way |
//! | `produce_batch` | batches that are not too long |
//! | `produce_oneway` | messages that wait for no answer |
//! | `produce_delayed` | messages that are delivered later, by level and by time |
//! | `timers` | a message for 40 days later, taken back |
//! | `consume_broadcast` | a group of which every consumer gets every message |
//! | `consume_filtered` | an expression over properties that chooses messages |
//! | `pull` | a consumer that is asked, with positions of the application's own |
//! | `lite_pull` | queues that the application assigns to itself, polled, gone back in, committed |
//! | `admin` | what admin tools do |
//! | `trace` | the way of a message, told to a topic |
//! | `consume_stream` | messages as a stream, each to be acknowledged, and a consumer that is polled |
//! | `test_one_actor` | how to test one actor of the broker alone, with probes, a clock moved by hand and a panic on request |
//! | `test_whole_broker` | how to test against a whole broker without a socket or a file, with a clock moved by hand |
//!
//! The library itself is one whole application with its tests, [`order_desk`].

mod name_server;
pub mod order_desk;

pub use name_server::NameServer;
