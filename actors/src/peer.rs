//! Names a connection from anywhere in the actor tree without holding it.

use actix::Message;

/// A connection: the I/O thread that serves it, its place in that thread's table, and the table entry's generation, so
/// that an answer for a connection that has gone never reaches the one that took its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerKey {
    /// The number of the I/O thread.
    pub thread: u16,
    /// The place in that thread's table.
    pub slot: u32,
    /// How many connections the thread had before.
    pub generation: u32,
}

impl PeerKey {
    /// Stands where there is no connection.
    pub const NOBODY: Self = Self {
        thread: u16::MAX,
        slot: u32::MAX,
        generation: u32::MAX,
    };
}

/// Asks for a connection to be closed; nothing happens if it has gone. From whoever finds a peer silent to the I/O
/// thread that serves it, bounded by the number of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct ClosePeer {
    /// The connection.
    pub peer: PeerKey,
}
