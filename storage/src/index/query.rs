//! Looking up a key, step for step as Java does: from the newest file to the oldest, along the chain of the key's slot.
//!
//! Different keys of one hash are not told apart here; the client compares keys.

use super::Index;
use super::file::IndexFile;
use crate::error::Result;
use crate::position::PhysicalOffset;

/// The most records that one question is answered with (Java's `maxMsgsNumBatch`).
pub const MOST_ANSWERS: usize = 64;

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// The hash of topic, `#` and key.
    pub hash: i32,
    /// How many records at most; more than [`MOST_ANSWERS`] is that many.
    pub most: usize,
    /// Stored at this time at the earliest, in milliseconds since 1970.
    pub begin_ms: i64,
    /// Stored at this time at the latest; a record's own time is known to the second.
    pub end_ms: i64,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The newest records that match, in the order of the log.
    pub physical_offsets: Vec<PhysicalOffset>,
    /// The store time of the newest record in the index, in milliseconds since 1970.
    pub last_update_ms: i64,
    /// That record's place.
    pub last_update_physical: PhysicalOffset,
}

impl Index {
    /// Answers a question.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn query(&mut self, question: Question) -> Result<Answer> {
        let mut answer = Answer::default();
        if let Some(newest) = self.files.last() {
            answer.last_update_ms = newest.header.end_ms;
            answer.last_update_physical = newest.header.end_physical;
        }
        let question = Question {
            most: question.most.min(MOST_ANSWERS),
            ..question
        };
        for index in (0..self.files.len()).rev() {
            let Some(header) = self.files.get(index).map(|file| file.header) else {
                break;
            };
            if header.next <= 1 {
                continue;
            }
            if question.begin_ms <= header.end_ms && header.begin_ms <= question.end_ms {
                self.walk(index, question, &mut answer.physical_offsets)?;
            }
            if header.begin_ms < question.begin_ms || answer.physical_offsets.len() >= question.most {
                break;
            }
        }
        answer.physical_offsets.sort_unstable();
        Ok(answer)
    }

    /// Adds what one file has.
    fn walk(&mut self, index: usize, question: Question, found: &mut Vec<PhysicalOffset>) -> Result<()> {
        let (disk, layout) = (self.disk.as_ref(), self.layout);
        let Some(file) = self.files.get_mut(index) else {
            return Ok(());
        };
        let handle = file.handle(disk)?;
        let IndexFile {
            header, slots, path, ..
        } = &*file;
        let header = *header;
        let mut number = slots.get(handle.as_ref(), path, layout.slot_of(question.hash))?;
        // Numbers go down along a chain; whatever else a damaged file says ends it.
        let mut below = header.next;
        while 0 < number && number < below && found.len() < question.most {
            let entry = file.entry(disk, layout, number)?;
            if entry.seconds < 0 {
                break;
            }
            let time = header.begin_ms.saturating_add(i64::from(entry.seconds) * 1000);
            if entry.hash == question.hash && question.begin_ms <= time && time <= question.end_ms {
                found.push(entry.physical_offset);
            }
            if time < question.begin_ms {
                break;
            }
            below = number;
            number = entry.previous;
        }
        Ok(())
    }
}
