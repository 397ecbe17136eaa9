//! Which half messages are done: what the notes of ends say, as far as half messages are still looked at.

use std::collections::VecDeque;

use cuemq_storage::position::QueueOffset;

/// Bits in a word.
const BITS: u64 = 64;

/// The half messages from one on, and which of them are done; and the notes from one on that say so.
#[derive(Debug)]
pub(super) struct OpenHalves {
    /// The first half message that may be open.
    next_half: u64,
    /// A bit for each half message from `base` on: whether it is done.
    done: VecDeque<u64>,
    /// The half message of the first bit, a multiple of the bits of a word.
    base: u64,
    /// The first note whose half message may be open.
    next_note: u64,
    /// The half message that each note from `next_note` on speaks of last.
    notes: VecDeque<u64>,
}

impl OpenHalves {
    /// Nothing is known of what lies behind these offsets.
    #[must_use]
    pub(super) fn new(next_half: QueueOffset, next_note: QueueOffset) -> Self {
        Self {
            next_half: next_half.0,
            done: VecDeque::new(),
            base: next_half.0 / BITS * BITS,
            next_note: next_note.0,
            notes: VecDeque::new(),
        }
    }

    /// The first half message that may be open.
    #[must_use]
    pub(super) fn next_half(&self) -> QueueOffset {
        QueueOffset(self.next_half)
    }

    /// The first note that is still needed: those before it speak of half messages that are dealt with.
    #[must_use]
    pub(super) fn next_note(&self) -> QueueOffset {
        QueueOffset(self.next_note)
    }

    /// The first note that was not taken in yet.
    #[must_use]
    pub(super) fn end_of_notes(&self) -> QueueOffset {
        QueueOffset(self.next_note + self.notes.len() as u64)
    }

    /// Takes in the next note, which says that these half messages are done. Only those before `halves` are there.
    pub(super) fn note(&mut self, ended: impl IntoIterator<Item = u64>, halves: QueueOffset) {
        let mut last = 0;
        for half in ended {
            if half >= halves.0 {
                // No half message has that number: to keep its bit would take as much memory as somebody likes.
                continue;
            }
            last = last.max(half);
            if half >= self.next_half {
                self.set(half);
            }
        }
        self.notes.push_back(last);
    }

    fn set(&mut self, half: u64) {
        let word = usize::try_from((half - self.base) / BITS).unwrap_or(usize::MAX);
        if word >= self.done.len() {
            self.done.resize(word + 1, 0);
        }
        if let Some(bits) = self.done.get_mut(word) {
            *bits |= 1 << (half % BITS);
        }
    }

    /// Notes that a half message is done, as a note of its end will say.
    pub(super) fn done(&mut self, half: QueueOffset) {
        if half.0 >= self.next_half {
            self.set(half.0);
        }
    }

    /// Whether a half message is done.
    #[must_use]
    pub(super) fn is_done(&self, half: QueueOffset) -> bool {
        half.0 < self.next_half || self.is_marked(half.0)
    }

    fn is_marked(&self, half: u64) -> bool {
        let word = usize::try_from((half - self.base) / BITS).unwrap_or(usize::MAX);
        self.done.get(word).is_some_and(|bits| bits & (1 << (half % BITS)) != 0)
    }

    /// Notes that all half messages before `half`, and those behind it that are done, are dealt with.
    pub(super) fn advance(&mut self, half: QueueOffset) {
        self.next_half = self.next_half.max(half.0);
        while self.is_marked(self.next_half) {
            self.next_half += 1;
        }
        while self.base + BITS <= self.next_half && self.done.pop_front().is_some() {
            self.base += BITS;
        }
        if self.done.is_empty() {
            self.base = self.next_half / BITS * BITS;
        }
        while self.notes.pop_front_if(|last| *last < self.next_half).is_some() {
            self.next_note += 1;
        }
    }

    /// Forgets the notes before `note`, which are gone.
    pub(super) fn skip_notes_to(&mut self, note: QueueOffset) {
        while self.next_note < note.0 && self.notes.pop_front().is_some() {
            self.next_note += 1;
        }
        if self.notes.is_empty() {
            self.next_note = self.next_note.max(note.0);
        }
    }
}

/// The half messages that the body of a note speaks of: one number, or with commas between them as release 5 writes.
pub(super) fn ended_offsets(body: &[u8]) -> impl Iterator<Item = u64> {
    let numbers = body.split(|byte| *byte == b',');
    numbers.filter_map(|number| std::str::from_utf8(number).ok()?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALVES: QueueOffset = QueueOffset(1_000);

    #[test]
    fn a_note_is_needed_until_its_half_message_and_all_before_it_are_dealt_with() {
        let mut open = OpenHalves::new(QueueOffset(10), QueueOffset(100));
        for half in [12, 10, 200] {
            open.note([half], HALVES);
        }
        assert!(open.is_done(QueueOffset(10)) && !open.is_done(QueueOffset(11)) && open.is_done(QueueOffset(200)));
        assert!(open.is_done(QueueOffset(9)), "what lies before is dealt with");
        open.advance(QueueOffset(10));
        assert_eq!(open.next_half(), QueueOffset(11), "10 is done");
        assert_eq!(open.next_note(), QueueOffset(100), "12 is not dealt with");
        open.done(QueueOffset(11));
        open.advance(QueueOffset(10));
        assert_eq!(
            (open.next_half(), open.next_note()),
            (QueueOffset(13), QueueOffset(102))
        );
        assert_eq!(open.end_of_notes(), QueueOffset(103));
        open.advance(QueueOffset(201));
        assert_eq!(
            (open.next_note(), open.next_half()),
            (QueueOffset(103), QueueOffset(201))
        );
        assert!(open.done.len() <= 1, "bits of what is dealt with are let go");
    }

    #[test]
    fn a_note_of_a_half_message_that_is_not_there_takes_no_memory() {
        let mut open = OpenHalves::new(QueueOffset(0), QueueOffset(0));
        open.note([u64::MAX, 1_000, 5], HALVES);
        assert_eq!(open.done.len(), 1);
        assert!(open.is_done(QueueOffset(5)));
        assert_eq!(open.end_of_notes(), QueueOffset(1));
    }

    #[test]
    fn notes_of_all_releases_are_read() {
        assert_eq!(ended_offsets(b"17").collect::<Vec<_>>(), [17]);
        assert_eq!(ended_offsets(b"1,2,3,").collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(ended_offsets(b"x").count(), 0);
    }
}
