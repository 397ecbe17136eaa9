//! Holds the index against the log: each entry leads to a record with its key, and no key is left out between others.
//!
//! Entries lie in the order of the log, so both are walked side by side. An entry that lies out of this order, as one that
//! is damaged or that another program wrote twice, is looked up by itself.

use cuemq_net::message::record::Record;

use super::{Finding, Place, Severity, Store};
use crate::commit_log::derive::keys_of;
use crate::error::Result;
use crate::index::{IndexReader, Layout, ReadEntry};
use crate::position::PhysicalOffset;

const REMOVE: &str = "queries by key miss what is wrong here, messages do not; stop the broker and restore the file, or move it \
                      away to go on without these keys";

/// The index of a store.
pub(super) struct Keys<'a> {
    store: &'a Store,
    reader: IndexReader,
    first: Option<PhysicalOffset>,
    pub(super) entries: u64,
    /// Keys that the next start puts in.
    pub(super) owed: u64,
    lacking: Option<(Place, u64)>,
    pub(super) findings: Vec<Finding>,
}

impl<'a> Keys<'a> {
    pub(super) fn open(store: &'a Store, layout: Layout) -> Result<Self> {
        let reader = IndexReader::open(store.disk.as_ref(), &store.layout.root, layout, store.is_open())?;
        let mut keys = Self {
            store,
            reader,
            first: None,
            entries: 0,
            owed: 0,
            lacking: None,
            findings: Vec::new(),
        };
        keys.first = keys.reader.peek()?.0.map(|entry| entry.physical_offset);
        Ok(keys)
    }

    /// How many files there are.
    pub(super) fn files(&self) -> usize {
        self.reader.count
    }

    /// Takes the next record of the log.
    pub(super) fn take(&mut self, record: &Record<'_>) -> Result<()> {
        let position = PhysicalOffset(record.physical_offset());
        self.pass(position)?;
        let mut wanted = Vec::new();
        keys_of(record, &mut wanted);
        while let (Some(entry), _) = self.reader.peek()?
            && entry.physical_offset == position
        {
            match wanted.iter().position(|key| key.hash == entry.hash) {
                Some(found) => _ = wanted.swap_remove(found),
                None => self.check_alone(&entry)?,
            }
            self.entries += 1;
            self.reader.advance();
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let is_behind = self.reader.newest.is_none_or(|newest| newest < position);
        if is_behind && (self.store.is_open() || self.store.start.foreign) {
            self.owed += wanted.len() as u64;
        } else if self.first.is_some_and(|first| first < position) {
            let (_, count) = self.lacking.get_or_insert_with(|| (Place::of(record), 0));
            *count += wanted.len() as u64;
        }
        Ok(())
    }

    /// Goes on to the first entry that belongs to `position` or a later record.
    fn pass(&mut self, position: PhysicalOffset) -> Result<()> {
        while let (Some(entry), behind) = self.reader.peek()? {
            let is_odd = behind.is_some_and(|behind| behind < entry.physical_offset);
            if entry.physical_offset >= position && !is_odd {
                break;
            }
            if is_odd || entry.physical_offset >= self.store.minimum() {
                self.check_alone(&entry)?;
            }
            self.entries += 1;
            self.reader.advance();
        }
        Ok(())
    }

    /// Looks up the record of one entry.
    fn check_alone(&mut self, entry: &ReadEntry) -> Result<()> {
        if entry.physical_offset < self.store.minimum() {
            return Ok(());
        }
        let found = self.store.record_at(entry.physical_offset, |record| {
            let mut keys = Vec::new();
            keys_of(record, &mut keys);
            let has_key = keys.iter().any(|key| key.hash == entry.hash);
            (has_key, Place::of(record))
        })?;
        let (record, what) = match found {
            Some((true, _)) => return Ok(()),
            Some((false, place)) => (
                Some(place),
                "the entry's hash is that of no key of its record".to_owned(),
            ),
            None => (
                None,
                format!("the entry leads to {}, where no whole record is", entry.physical_offset),
            ),
        };
        self.damage(entry.path.to_path_buf(), entry.byte, record, what);
        Ok(())
    }

    fn damage(&mut self, path: std::path::PathBuf, byte: u64, record: Option<Place>, what: String) {
        self.findings.push(Finding {
            severity: Severity::Damage,
            path,
            byte,
            record,
            what,
            next: REMOVE.to_owned(),
        });
    }

    /// Looks at the rest of the entries, when the log was walked up to `end`.
    pub(super) fn finish(&mut self, end: PhysicalOffset) -> Result<()> {
        while let (Some(entry), _) = self.reader.peek()? {
            let is_cut = entry.physical_offset >= end && self.store.is_open();
            if !is_cut {
                self.check_alone(&entry)?;
            }
            self.entries += 1;
            self.reader.advance();
        }
        for problem in std::mem::take(&mut self.reader.problems) {
            self.damage(problem.path, problem.byte, None, problem.what);
        }
        if let Some((place, count)) = self.lacking.take() {
            let what = format!("the index lacks {count} keys, the first one of this record");
            let path = self.store.layout.root.join(crate::index::FOLDER);
            self.damage(path, 0, Some(place), what);
        }
        Ok(())
    }
}
