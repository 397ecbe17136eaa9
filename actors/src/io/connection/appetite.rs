//! How much a connection reads before others have their turn.
//!
//! A connection that sends messages reads as much as there is: what it brings costs the log more than the reading. In as many
//! bytes of other requests are thousands, each of which costs as much as a message; a hundred connections that ask and ask would
//! let everybody else on their thread wait for half a second. So who does not send has a small read in a turn.
//!
//! A read may ask for a hundred times of what it brings, and its client may take none of that. So the small read of a connection
//! grows with each that its client has taken all answers of, and begins anew where it has not.

use crate::io::state::READ_BYTES;

/// What is read in a turn of a connection that does not send and keeps up.
pub(super) const SMALL_BYTES: usize = 8 << 10;
/// What is read of one that is new, or has not taken its answers.
const LEAST_BYTES: usize = 2 << 10;

/// How much is read next.
#[derive(Debug)]
pub(super) struct Appetite {
    /// The last read brought messages.
    sends: bool,
    /// A small read.
    small: usize,
    /// The room of the read that is under way.
    room: usize,
    /// The last read took all that it had room for, and was a small one.
    over: bool,
}

impl Default for Appetite {
    fn default() -> Self {
        Self {
            sends: false,
            small: LEAST_BYTES,
            room: 0,
            over: false,
        }
    }
}

impl Appetite {
    /// Room for the next read, where so many bytes of a frame are missing.
    pub(super) fn room(&mut self, missing: usize) -> usize {
        self.room = if self.sends {
            READ_BYTES
        } else {
            missing.max(self.small)
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

    /// Whether the last read brought messages.
    pub(super) fn brings_messages(&self) -> bool {
        self.sends
    }

    /// Whether others have their turn now, although there may be more to read.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Notes how a turn has ended: whether the client has taken all that there was for it.
    pub(super) fn has_answered(&mut self, taken: bool) {
        if !taken {
            self.small = LEAST_BYTES;
        } else if self.over {
            self.small = SMALL_BYTES.min(2 * self.small);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sends_reads_all_there_is_and_who_asks_a_little_in_each_turn() {
        let mut appetite = Appetite::default();
        assert_eq!(appetite.room(0), LEAST_BYTES);
        appetite.has_read(LEAST_BYTES);
        appetite.sends();
        assert!(appetite.is_over(), "there may be more, and others come first");
        assert_eq!(appetite.room(0), READ_BYTES);
        appetite.has_read(READ_BYTES);
        assert!(!appetite.is_over());
        assert_eq!(appetite.room(0), LEAST_BYTES, "that read brought no message");
        appetite.has_read(100);
        assert!(!appetite.is_over(), "nothing more was there");
        assert_eq!(
            appetite.room(3 * SMALL_BYTES),
            3 * SMALL_BYTES,
            "the rest of a frame is read at once"
        );
    }

    #[test]
    fn who_takes_his_answers_may_ask_for_more_at_once_and_who_does_not_begins_anew() {
        let mut appetite = Appetite::default();
        let turn = |appetite: &mut Appetite, taken| {
            let room = appetite.room(0);
            appetite.has_read(room);
            appetite.has_answered(taken);
            room
        };
        let rooms = [(); 4].map(|()| turn(&mut appetite, true));
        assert_eq!(rooms, [LEAST_BYTES, 2 * LEAST_BYTES, SMALL_BYTES, SMALL_BYTES]);
        assert_eq!(turn(&mut appetite, false), SMALL_BYTES);
        assert_eq!(turn(&mut appetite, true), LEAST_BYTES);
        appetite.has_read(1);
        appetite.has_answered(true);
        assert_eq!(appetite.room(0), 2 * LEAST_BYTES, "who asks for little shows nothing");
    }
}
