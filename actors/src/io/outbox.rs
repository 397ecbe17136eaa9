//! What is to be written to one connection: small answers one behind the other, and the records of pulls straight from
//! the mapping of their files.

use std::collections::VecDeque;
use std::io::IoSlice;

use cuemq_storage::segment::SegmentBytes;
use smallvec::SmallVec;

/// How many pieces go out in one call at most, all that Linux takes. The kernel wakes the reader and looks for room once for each
/// call, so that a stream of pulls in calls of 64 pieces had two thirds of the throughput.
const SLICES_PER_WRITE: usize = 1024;
/// So many need no room on the heap: what most calls have.
const SLICES_INLINE: usize = 64;
/// A buffer that grew beyond this many bytes is given back when it is empty.
const KEPT_BYTES: usize = 1024;

/// While more than this waits, no long answer is made, and nobody else has anything for the client.
const WAITING_MAX: usize = 4 << 20;
/// While more than this waits, nothing is read that would add to it. It is what a socket takes at once and as much again: more
/// would not reach its client sooner, and what is made for one that takes nothing is made for nobody.
const ANSWERED_MAX: usize = 256 << 10;
/// While more than this of it lies in memory, and not in the mapping of a file.
pub const BUFFERED_MAX: usize = 256 << 10;

/// The records of one pull answer.
pub type Slices = SmallVec<[SegmentBytes; 4]>;

/// Bytes between records, or records.
#[derive(Debug)]
enum Chunk {
    /// So many bytes of the buffer.
    Buffered(usize),
    /// The bytes of a file.
    Record(SegmentBytes),
}

/// What waits to be written.
#[derive(Debug, Default)]
pub struct Outbox {
    buffer: Vec<u8>,
    /// How much of the buffer is written.
    taken: usize,
    chunks: VecDeque<Chunk>,
    /// How much of the first chunk is written, when it is a record.
    written: usize,
    /// Bytes that wait, of all chunks.
    waiting: usize,
}

impl Outbox {
    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// How many bytes wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// How many of them lie in memory, and not in the mapping of a file.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.buffer.len() - self.taken
    }

    /// How much memory is held for them, beyond what each connection may keep.
    #[must_use]
    pub fn memory(&self) -> usize {
        match self.buffer.capacity() {
            0..=KEPT_BYTES => 0,
            held => held,
        }
    }

    /// Whether the client is to take some of it before there is more.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.waiting > WAITING_MAX || self.buffered() > BUFFERED_MAX
    }

    /// Whether the client is to take some of it before it is asked for more.
    #[must_use]
    pub fn is_ahead(&self) -> bool {
        self.waiting > ANSWERED_MAX || self.is_full()
    }

    /// Lets `fill` append whole frames.
    pub fn append<R>(&mut self, fill: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let before = self.buffer.len();
        let filled = fill(&mut self.buffer);
        let added = self.buffer.len().saturating_sub(before);
        self.waiting += added;
        match self.chunks.back_mut() {
            Some(Chunk::Buffered(length)) => *length += added,
            _ if added > 0 => self.chunks.push_back(Chunk::Buffered(added)),
            _ => {}
        }
        filled
    }

    /// Appends records behind the frame head that was just appended.
    pub fn append_records(&mut self, slices: Slices) {
        for slice in slices {
            self.waiting += slice.as_ref().len();
            self.chunks.push_back(Chunk::Record(slice));
        }
    }

    /// The next bytes to write, in as many pieces as one call takes, and at most so many of them.
    pub fn slices(&self, most: usize) -> SmallVec<[IoSlice<'_>; SLICES_INLINE]> {
        let mut slices = SmallVec::new();
        let mut at = self.taken;
        let mut skip = self.written;
        let mut left = most;
        for chunk in self.chunks.iter().take(SLICES_PER_WRITE) {
            let bytes = match chunk {
                Chunk::Buffered(length) => {
                    let bytes = self.buffer.get(at..at + length).unwrap_or_default();
                    at += length;
                    bytes
                }
                Chunk::Record(record) => record.as_ref().get(skip..).unwrap_or_default(),
            };
            skip = 0;
            let bytes = bytes.get(..left).unwrap_or(bytes);
            left -= bytes.len();
            slices.push(IoSlice::new(bytes));
            if left == 0 {
                break;
            }
        }
        slices
    }

    /// Notes that `written` bytes went out.
    pub fn advance(&mut self, mut written: usize) {
        self.waiting = self.waiting.saturating_sub(written);
        while written > 0 {
            match self.chunks.front_mut() {
                Some(Chunk::Buffered(length)) => {
                    let now = written.min(*length);
                    *length -= now;
                    self.taken += now;
                    written -= now;
                    if *length == 0 {
                        self.chunks.pop_front();
                    }
                }
                Some(Chunk::Record(record)) => {
                    let left = record.as_ref().len() - self.written;
                    let now = written.min(left);
                    self.written += now;
                    written -= now;
                    if now == left {
                        self.written = 0;
                        self.chunks.pop_front();
                    }
                }
                None => break,
            }
        }
        self.tidy();
    }

    fn tidy(&mut self) {
        if self.taken == self.buffer.len() {
            self.taken = 0;
            self.buffer.clear();
        } else if self.taken > self.buffer.len() / 2 {
            self.buffer.drain(..self.taken);
            self.taken = 0;
        }
    }

    /// Gives memory back that an idle connection does not need.
    pub fn shrink(&mut self) {
        if self.is_empty() && self.buffer.capacity() > KEPT_BYTES {
            self.buffer = Vec::new();
            self.chunks = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drained(outbox: &mut Outbox, step: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while !outbox.is_empty() {
            let now: Vec<u8> = outbox
                .slices(step)
                .iter()
                .flat_map(|slice| slice.iter().copied())
                .collect();
            assert!(
                (1..=step).contains(&now.len()),
                "what waits can be written, and no more at once"
            );
            outbox.advance(now.len());
            out.extend(now);
        }
        out
    }

    #[test]
    fn frames_go_out_in_order_however_short_the_writes_are() {
        for step in 1..9 {
            let mut outbox = Outbox::default();
            outbox.append(|out| out.extend_from_slice(b"first "));
            outbox.append(|out| out.extend_from_slice(b"second "));
            outbox.advance(3);
            outbox.append(|out| out.extend_from_slice(b"third"));
            assert_eq!(drained(&mut outbox, step), b"st second third");
            assert_eq!(outbox.waiting(), 0);
        }
    }

    #[test]
    fn who_has_answers_to_take_is_read_no_further_and_still_told_what_others_have_for_him() {
        let waiting = |waiting| Outbox {
            waiting,
            ..Outbox::default()
        };
        assert!(!waiting(ANSWERED_MAX).is_ahead());
        let answered = waiting(ANSWERED_MAX + 1);
        assert!(answered.is_ahead() && !answered.is_full());
        assert!(waiting(WAITING_MAX + 1).is_full());
    }

    #[test]
    fn an_empty_outbox_gives_its_memory_back() {
        let mut outbox = Outbox::default();
        outbox.append(|out| out.resize(100_000, 1));
        outbox.shrink();
        assert_eq!(outbox.waiting(), 100_000, "what waits is kept");
        outbox.advance(100_000);
        outbox.shrink();
        assert_eq!(outbox.buffer.capacity(), 0);
    }
}
