//! Walks the whole log, and goes on behind damage: at the next place where a whole record says that it lies there.

use std::io::ErrorKind;
use std::ops::ControlFlow;

use cuemq_net::message::record::{BLANK_BYTES, Record};

use super::holes::{Hole, look_behind};
use super::{Finding, Place, Severity, Store};
use crate::disk::OpenMode;
use crate::error::{Result, StoreError};
use crate::position::PhysicalOffset;
use crate::recovery::StoreLayout;
use crate::recovery::scan::{Checks, FoundLog, ScanEnd};

/// What to do about damage in the log below its end.
pub(super) const RESTORE: &str = "the broker does not start with it: restore the file from a replica or a backup, or give up \
                                  what is older by moving it and all files before it away";
/// What the next start does where no note says what was on disk.
const CUTS: &str = "the next start cuts the log here, and keeps a copy of what follows in cuemq/cut-…; restore the file from a \
                    replica or a backup before that";

/// A walk through the log.
pub(super) struct LogWalk<'a> {
    store: &'a Store,
    body_crc: bool,
    /// How many records were whole.
    pub(super) records: u64,
    /// Behind the last whole record.
    pub(super) end: PhysicalOffset,
    /// The times of the first and the last record.
    pub(super) stored_ms: Option<(i64, i64)>,
    /// What is no record, in order; the last one is the log's end unless a record follows.
    holes: Vec<Hole>,
}

enum Stop {
    Asked,
    Failed(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

/// The finding about files of the log that do not fit together.
pub(super) fn unfit(layout: &StoreLayout, error: StoreError) -> Finding {
    let (path, byte) = match &error {
        StoreError::Damaged { path, position, .. } => (path.clone(), *position),
        StoreError::SizeMismatch { path, .. } => (path.clone(), 0),
        _ => (layout.commit_log.clone(), 0),
    };
    Finding {
        severity: Severity::Damage,
        path,
        byte,
        record: None,
        what: error.to_string(),
        next: String::from("the broker does not start with it: restore the files that are missing or cut short"),
    }
}

impl<'a> LogWalk<'a> {
    pub(super) fn new(store: &'a Store, body_crc: bool) -> Self {
        Self {
            store,
            body_crc,
            records: 0,
            end: store.minimum(),
            stored_ms: None,
            holes: Vec::new(),
        }
    }

    /// Calls `each` for the records from `from` on until it breaks, and `passed` with the position now and then.
    pub(super) fn run(
        &mut self,
        from: PhysicalOffset,
        each: &mut dyn FnMut(&Record<'_>) -> ControlFlow<()>,
        passed: &mut dyn FnMut(u64),
    ) -> Result<()> {
        let found = &self.store.found;
        for start in found.starts.iter().copied() {
            let file_end = start.saturating_add(found.segment_bytes);
            if file_end <= from.0 {
                continue;
            }
            let file = FoundLog {
                starts: vec![start],
                ..found.clone()
            };
            let first = if from.0 > start {
                // Any position will do: the walk begins at the next record.
                look_behind(self.store.disk.as_ref(), &file, from.0 - 1)?.record
            } else {
                Some(start)
            };
            match self.walk_file(&file, first.unwrap_or(file_end), each) {
                Err(Stop::Asked) => return Ok(()),
                // Retention has removed it meanwhile.
                Err(Stop::Failed(StoreError::Io { source, .. }))
                    if self.store.is_in_use && source.kind() == ErrorKind::NotFound => {}
                Err(Stop::Failed(error)) => return Err(error),
                Ok(()) => {}
            }
            passed(file_end);
        }
        Ok(())
    }

    fn walk_file(
        &mut self,
        file: &FoundLog,
        from: u64,
        each: &mut dyn FnMut(&Record<'_>) -> ControlFlow<()>,
    ) -> std::result::Result<(), Stop> {
        let disk = self.store.disk.as_ref();
        let file_end = file.end();
        let (mut from, mut doubted) = (from, None);
        while from < file_end {
            let end = self.walk_on(file, from, each)?;
            let at = end.position.0;
            if at >= file_end {
                break;
            }
            let behind = look_behind(disk, file, at)?;
            if self.store.is_in_use {
                if behind.record.is_none() && !self.goes_on(file_end)? {
                    // Its owner has written no further. What it writes meanwhile in later files is not looked at.
                    return Err(Stop::Asked);
                }
                // Its owner may have been writing here: once more, now that something later is there.
                if doubted != Some(at) {
                    doubted = Some(at);
                    from = at;
                    continue;
                }
            }
            from = behind.record.unwrap_or(file_end);
            let damage = end.damage;
            if damage.is_some() || behind.used {
                let hole = Hole::read(disk, file, at, damage, &behind)?;
                self.holes.push(hole);
            } else if self.holes.last().is_none_or(|last| last.is_followed) {
                self.holes.push(Hole::untouched(file, at));
            }
        }
        Ok(())
    }

    /// Whether the file that begins here has something in it.
    fn goes_on(&self, start: u64) -> Result<bool> {
        let found = &self.store.found;
        if found.starts.binary_search(&start).is_err() {
            return Ok(false);
        }
        let path = found.path(start);
        let mut head = [0; BLANK_BYTES];
        let opened = self.store.disk.open(&path, OpenMode::Read);
        let read = opened.and_then(|file| file.read_at(&mut head, 0));
        read.map_err(|error| StoreError::io("read", &path, error))?;
        Ok(head != [0; BLANK_BYTES])
    }

    fn walk_on(
        &mut self,
        file: &FoundLog,
        from: u64,
        each: &mut dyn FnMut(&Record<'_>) -> ControlFlow<()>,
    ) -> std::result::Result<ScanEnd, Stop> {
        let store = self.store;
        let checks = Checks {
            body_crc: self.body_crc,
            torn_from: if store.is_in_use && !store.start.foreign {
                PhysicalOffset(store.start.durable)
            } else {
                store.start.torn_from()
            },
        };
        let (records, stored_ms, end) = (&mut self.records, &mut self.stored_ms, &mut self.end);
        let holes = &mut self.holes;
        file.walk_one(store.disk.as_ref(), PhysicalOffset(from), checks, |record| {
            *records += 1;
            let time = record.store_timestamp_ms();
            *stored_ms = Some((stored_ms.map_or(time, |(first, _)| first), time));
            *end = PhysicalOffset(record.physical_offset()).advanced(record.total_size() as u64);
            if holes.last().is_some_and(|hole| !hole.is_followed) {
                holes.iter_mut().for_each(|hole| hole.is_followed = true);
            }
            match each(record) {
                ControlFlow::Continue(()) => Ok(()),
                ControlFlow::Break(()) => Err(Stop::Asked),
            }
        })
    }

    /// Whether records are missing somewhere below the end.
    pub(super) fn has_holes(&self) -> bool {
        self.holes.iter().any(|hole| hole.is_followed)
    }

    /// What was found: damage below the end, and what the tail means.
    pub(super) fn findings(&self) -> Vec<Finding> {
        self.holes.iter().filter_map(|hole| self.judge(hole)).collect()
    }

    fn judge(&self, hole: &Hole) -> Option<Finding> {
        let start = &self.store.start;
        let is_known = hole.position < start.durable;
        let (severity, next) = if hole.is_followed {
            let next = if is_known || !start.foreign { RESTORE } else { CUTS };
            (Severity::Damage, next)
        } else if is_known {
            (Severity::Damage, RESTORE)
        } else if self.store.is_in_use || !hole.is_used {
            return None;
        } else if start.clean {
            (Severity::Damage, CUTS)
        } else {
            let next = "a torn tail, as a crash leaves it: nothing of it was acknowledged, and the next start cuts it";
            (Severity::Mended, next)
        };
        Some(Finding {
            severity,
            path: hole.path.clone(),
            byte: hole.byte,
            record: hole.record.clone(),
            what: hole.tell(),
            next: next.to_owned(),
        })
    }
}

impl Store {
    /// The whole record at a position, if one lies there, as `read` sees it.
    pub(super) fn record_at<T>(
        &self,
        position: PhysicalOffset,
        read: impl FnOnce(&Record<'_>) -> T,
    ) -> Result<Option<T>> {
        let found = &self.found;
        let start = found.file_start(position.0);
        if found.starts.binary_search(&start).is_err() {
            return Ok(None);
        }
        let bytes = super::holes::bytes_at(self.disk.as_ref(), found, position.0)?;
        let record = Record::parse(&bytes).ok();
        let record = record.filter(|record| record.physical_offset() == position.0);
        Ok(record.as_ref().map(read))
    }

    /// Whether a position lies in a record of this queue place.
    pub(super) fn is_record_of(&self, position: PhysicalOffset, place: &Place) -> Result<bool> {
        let is_it = self.record_at(position, |record| {
            Place {
                physical_offset: place.physical_offset,
                ..Place::of(record)
            } == *place
        });
        Ok(is_it?.unwrap_or(false))
    }
}
