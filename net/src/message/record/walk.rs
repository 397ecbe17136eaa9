//! Walking runs of records: a commit log file, which ends with a blank record or zeros, and a pull's body, which holds
//! records alone.

use super::{BLANK_BYTES, BLANK_MAGIC, MAGIC, MAGIC_LONG_TOPIC, Record, RecordError};
use crate::message::cursor::Cursor;

/// What lies at a place in a commit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inspection<'a> {
    /// A record; the next thing lies behind it.
    Record(Record<'a>),
    /// The end of the file; the log goes on in the next one.
    Blank {
        /// The bytes from here to the end of the file, as the blank record says.
        length: usize,
    },
    /// A record of which only a part was given.
    Incomplete {
        /// Its bytes, by its own word: compare with what the file can hold before reading so many.
        needed: usize,
    },
    /// Nothing was written here yet.
    End,
    /// Neither: the log is torn or damaged here.
    Damaged(RecordError),
}

/// Says what lies at the start of `bytes`.
pub fn inspect(bytes: &[u8]) -> Inspection<'_> {
    let mut start = Cursor::new(bytes);
    let (Some(size), Some(magic)) = (start.i32(), start.u32()) else {
        return Inspection::Incomplete { needed: BLANK_BYTES };
    };
    match magic {
        MAGIC | MAGIC_LONG_TOPIC => match Record::parse(bytes) {
            Ok(record) => Inspection::Record(record),
            Err(RecordError::Truncated { needed, .. }) => Inspection::Incomplete { needed },
            Err(error) => Inspection::Damaged(error),
        },
        BLANK_MAGIC => match usize::try_from(size) {
            Ok(length) if length >= BLANK_BYTES => Inspection::Blank { length },
            _ => Inspection::Damaged(RecordError::TotalSize { total_size: size }),
        },
        0 if size == 0 => Inspection::End,
        magic => Inspection::Damaged(RecordError::Magic { magic }),
    }
}

/// Returns the records of a pull's body one after the other; after the first error nothing follows, since nobody can tell
/// where the next record would begin.
pub fn records(bytes: &[u8]) -> Records<'_> {
    Records { rest: bytes }
}

/// The records of a pull's body, from [`records`].
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let parsed = Record::parse(self.rest);
        let length = parsed.as_ref().map_or(self.rest.len(), Record::total_size);
        self.rest = self.rest.get(length..).unwrap_or_default();
        Some(parsed)
    }
}

impl std::iter::FusedIterator for Records<'_> {}

#[cfg(test)]
mod tests {
    use super::super::{blank, encode, tests::fields};
    use super::*;

    fn encoded() -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(&fields("1.2.3.4:5", "6.7.8.9:10"), &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_log_shows_records_a_blank_and_the_end() {
        let record = encoded();
        assert!(matches!(inspect(&record), Inspection::Record(found) if found.as_bytes() == record));
        assert_eq!(inspect(&blank(748)), Inspection::Blank { length: 748 });
        assert_eq!(inspect(&[0; 8]), Inspection::End);
    }

    #[test]
    fn a_part_of_a_record_says_how_much_it_needs() {
        let record = encoded();
        for given in 0..record.len() {
            let needed = if given < 8 { 8 } else { record.len() };
            assert_eq!(inspect(&record[..given]), Inspection::Incomplete { needed });
        }
    }

    #[test]
    fn what_no_broker_writes_is_damage() {
        for (start, error) in [
            ([0, 0, 0, 1, 0, 0, 0, 0], RecordError::Magic { magic: 0 }),
            ([0, 0, 0, 0, 0, 0, 0, 1], RecordError::Magic { magic: 1 }),
            (
                [0, 0, 0, 7, 0xCB, 0xD4, 0x31, 0x94],
                RecordError::TotalSize { total_size: 7 },
            ),
            (
                [0xFF, 0, 0, 0, 0xCB, 0xD4, 0x31, 0x94],
                RecordError::TotalSize {
                    total_size: -16_777_216,
                },
            ),
            (
                [0, 0, 0, 90, 0xDA, 0xA3, 0x20, 0xA7],
                RecordError::TotalSize { total_size: 90 },
            ),
        ] {
            assert_eq!(inspect(&start), Inspection::Damaged(error));
        }
    }

    #[test]
    fn a_pull_body_yields_its_records_and_stops_at_the_first_bad_one() {
        let record = encoded();
        let body = [&record[..], &record, &record[..50], &record].concat();
        let all: Vec<_> = records(&body).collect();
        assert_eq!(all.len(), 3);
        assert!(all[..2].iter().all(Result::is_ok));
        // the cut one swallows the start of the next and contradicts itself
        assert!(all[2].is_err());
        assert_eq!(records(b"").count(), 0);
    }
}
