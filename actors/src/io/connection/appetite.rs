//! How much a connection reads before others have their turn.
//!
//! A connection that sends messages reads as much as there is: what it brings costs the log more than the reading. In as many
//! bytes of other requests are thousands, each of which costs as much as a message; a hundred connections that ask and ask would
//! let everybody else on their thread wait for half a second. So who does not send has a small read in a turn.

use crate::io::state::READ_BYTES;

/// What is read in a turn of a connection that does not send.
pub(super) const SMALL_BYTES: usize = 8 << 10;

/// How much is read next.
#[derive(Debug, Default)]
pub(super) struct Appetite {
    /// The last read brought messages.
    sends: bool,
    /// The room of the read that is under way.
    room: usize,
    /// The last read took all that it had room for, and was a small one.
    over: bool,
}

impl Appetite {
    /// Room for the next read, where so many bytes of a frame are missing.
    pub(super) fn room(&mut self, missing: usize) -> usize {
        self.room = if self.sends {
            READ_BYTES
        } else {
            missing.max(SMALL_BYTES)
        };
        self.room
    }

    /// Notes what came; what is in it is not known yet.
    pub(super) fn has_read(&mut self, length: usize) {
        (self.over, self.sends) = (!self.sends && length >= self.room, false);
    }

    /// A message was in it.
    pub(super) fn sends(&mut self) {
        self.sends = true;
    }

    /// Whether others have their turn now, although there may be more to read.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sends_reads_all_there_is_and_who_asks_a_little_in_each_turn() {
        let mut appetite = Appetite::default();
        assert_eq!(appetite.room(0), SMALL_BYTES);
        appetite.has_read(SMALL_BYTES);
        appetite.sends();
        assert!(appetite.is_over(), "there may be more, and others come first");
        assert_eq!(appetite.room(0), READ_BYTES);
        appetite.has_read(READ_BYTES);
        assert!(!appetite.is_over());
        assert_eq!(appetite.room(0), SMALL_BYTES, "that read brought no message");
        appetite.has_read(100);
        assert!(!appetite.is_over(), "nothing more was there");
        assert_eq!(
            appetite.room(3 * SMALL_BYTES),
            3 * SMALL_BYTES,
            "the rest of a frame is read at once"
        );
    }
}
