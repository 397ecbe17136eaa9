//! One module for each fuzz target, with a function `run` that takes any bytes and panics when a rule is broken. The
//! targets call them, and so do the tests of `net`, over the corpus.

pub mod batch;
pub mod bodies;
pub mod dialect;
pub mod filter;
pub mod frame;
pub mod headers;
pub mod properties;
pub mod record;
