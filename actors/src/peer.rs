//! Names a connection from anywhere in the actor tree without holding it.

/// A connection: the I/O thread that serves it, its place in that thread's table, and the table entry's generation, so
/// that an answer for a connection that has gone never reaches the one that took its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerKey {
    /// The number of the I/O thread.
    pub thread: u16,
    /// The place in that thread's table.
    pub slot: u32,
    /// How often the place was taken before.
    pub generation: u32,
}
