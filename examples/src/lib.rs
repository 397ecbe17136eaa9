//! CueMQ by example: one file each in `examples/examples/`, and each runs by itself.
//!
//! | `cargo run -p cuemq-examples --example …` | shows |
//! |---|---|
//! | `first_message` | one message sent and received over the protocol that Java clients speak, to a broker of its own or to one that runs |
//! | `test_one_actor` | how to test one actor of the broker alone, with probes, a clock moved by hand and a panic on request |
//! | `test_whole_broker` | how to test against a whole broker without a socket or a file, with a clock moved by hand |
//!
//! The library itself is empty.
