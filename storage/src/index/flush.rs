//! Making the index durable, in two steps that another thread does: first entries and slots, then the headers that claim
//! them.
//!
//! [`Index::dirty`] writes the changed slots and gives the first step; [`IndexSync::run`] syncs (it blocks);
//! [`Index::confirm`] writes the headers and gives the second step, after which it notes what is durable. The owner alone
//! writes. Steps of several flushes may overlap.

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use super::Index;
use super::header::Header;
use crate::disk::DiskFile;
use crate::error::{Result, StoreError};
use crate::position::PhysicalOffset;

/// A step that is to be done, on whatever thread may block.
pub struct IndexSync {
    files: Vec<(Arc<Path>, Arc<dyn DiskFile>)>,
    done: Synced,
}

/// A step that was done.
#[derive(Clone, Debug)]
pub struct Synced {
    generation: u32,
    step: Step,
    /// The files by name, with the headers that may be written, or were.
    headers: Vec<(u64, Header)>,
    upto: PhysicalOffset,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Data,
    Headers,
}

impl IndexSync {
    /// Syncs the files.
    ///
    /// # Errors
    /// When the disk fails; then nothing may be confirmed, now or by a further attempt.
    pub fn run(self) -> Result<Synced> {
        for (path, file) in &self.files {
            file.sync_data().map_err(|error| StoreError::io("sync", path, error))?;
        }
        Ok(self.done)
    }
}

impl Index {
    /// Writes the changed slots, and gives the sync that must follow; `None` when all is durable.
    ///
    /// # Errors
    /// When entries or slots cannot be written; but for want of room the index must then be opened anew.
    pub fn dirty(&mut self) -> Result<Option<IndexSync>> {
        self.guarded(Self::write_slots)
    }

    fn write_slots(&mut self) -> Result<Option<IndexSync>> {
        let mut files = Vec::new();
        let mut headers = Vec::new();
        for file in self.files.iter_mut().filter(|file| file.header != file.durable) {
            let handle = file.handle(self.disk.as_ref())?;
            let path = Arc::clone(&file.path);
            file.write_entries(self.disk.as_ref(), self.layout)?;
            file.slots.write(handle.as_ref(), &path)?;
            if file.is_full(self.layout) {
                file.slots.release();
            }
            headers.push((file.name, file.header));
            files.push((path, handle));
        }
        if files.is_empty() {
            return Ok(None);
        }
        let done = Synced {
            generation: self.generation,
            step: Step::Data,
            headers,
            upto: self.put_upto,
        };
        Ok(Some(IndexSync { files, done }))
    }

    /// Notes a step that was done, and gives the one that must follow. A step from before entries were dropped is
    /// without effect.
    ///
    /// # Errors
    /// When a header cannot be written; but for want of room the index must then be opened anew.
    pub fn confirm(&mut self, synced: Synced) -> Result<Option<IndexSync>> {
        self.check_usable()?;
        if synced.generation != self.generation {
            return Ok(None);
        }
        match synced.step {
            Step::Data => self.guarded(|index| index.write_headers(synced)).map(Some),
            Step::Headers => {
                for (name, header) in synced.headers {
                    if let Some(file) = self.files.iter_mut().find(|file| file.name == name)
                        && header.next > file.durable.next
                    {
                        file.durable = header;
                    }
                }
                self.confirmed = self.confirmed.max(synced.upto);
                Ok(None)
            }
        }
    }

    /// Flushes on this thread.
    ///
    /// # Errors
    /// When the disk fails; but for want of room the index must then be opened anew.
    pub fn flush(&mut self) -> Result<()> {
        let mut next = self.dirty()?;
        while let Some(step) = next {
            let synced = step.run().inspect_err(|_| self.is_failed = true)?;
            next = self.confirm(synced)?;
        }
        Ok(())
    }

    /// Writes headers whose claims are on disk, unless a later flush has written more.
    fn write_headers(&mut self, synced: Synced) -> Result<IndexSync> {
        let mut files = Vec::new();
        for (name, header) in &synced.headers {
            let Some(file) = self.files.iter_mut().find(|file| file.name == *name) else {
                continue;
            };
            let handle = file.handle(self.disk.as_ref())?;
            let path = Arc::clone(&file.path);
            if header.next > file.written.next {
                let written = handle.write_at(&[IoSlice::new(&header.encode())], 0);
                written.map_err(|error| StoreError::io("write", &path, error))?;
                file.written = *header;
            }
            files.push((path, handle));
        }
        Ok(IndexSync {
            files,
            done: Synced {
                step: Step::Headers,
                ..synced
            },
        })
    }

    /// Does something that leaves the index of no use when it fails half-way, since what is in memory may then be ahead of
    /// the files. Want of room is no such failure: all that was put in is kept, and the same can be done again.
    pub(super) fn guarded<T>(&mut self, operation: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.check_usable()?;
        self.is_failed = true;
        let done = operation(self);
        self.is_failed = done.as_ref().is_err_and(|error| !error.is_no_room());
        done
    }

    fn check_usable(&self) -> Result<()> {
        if self.is_failed { Err(self.failure()) } else { Ok(()) }
    }

    pub(super) fn failure(&self) -> StoreError {
        let source = std::io::Error::other("an earlier operation on it failed");
        StoreError::io("go on with", &self.directory, source)
    }
}
