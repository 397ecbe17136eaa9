//! Messages as they lie in the commit log and travel in bodies.
//!
//! | module | what |
//! |---|---|
//! | [`record`] | one stored message: what the commit log holds and what pulls, views and queries return unchanged |
//! | [`batch`] | the body of a batch send (request code 320) |
//! | [`properties`] | the properties string inside both |
//! | [`id`] | the id made of a position, and the id a client gives its message |
//! | [`sysflag`] | the bits of the system flag |
//! | [`tags`] | the hashes of tags and keys |
//!
//! All integers are big-endian. Nothing here trusts a length it reads.
#![deny(clippy::indexing_slicing)]

pub mod batch;
mod cursor;
mod host;
pub mod id;
pub mod properties;
pub mod record;
pub mod sysflag;
pub mod tags;
