//! A consistent copy of a store, also while a broker uses it.
//!
//! 1. The note is read: below its `confirmed` position queues and index are on disk, below `durable` the log is.
//! 2. Consumer offsets are copied, before the log: no offset in the copy lies behind its messages.
//! 3. Consume queues and index are copied as they come. They hold at least what is confirmed; the first start of the copy
//!    cuts what is behind, and feeds it again from the log.
//! 4. Files of the log that lie below `confirmed` never change again, and the first start of the copy does not write to them
//!    either: they get a second name. The others are copied up to the last whole record that is there, which covers all
//!    that was acknowledged before, and zeros follow.
//! 5. The other tables and notes are copied, the note of the log says that the copy is on disk up to its end, and the
//!    `abort` mark is set: the copy opens as after a crash at that moment.
//!
//! All of that happens in `<TO>.partial`, is synced, and only then gets its name.

use std::io::{ErrorKind, IoSlice};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::Store;
use super::log::LogWalk;
use crate::consume_queue::{EXTENSION_FOLDER, FOLDER};
use crate::disk::{OpenMode, list, sync_directory};
use crate::error::{Result, StoreError};
use crate::position::PhysicalOffset;
use crate::recovery::note::{LogNote, times_of};
use crate::segment::file_name;
use crate::{index, marker};

const CHUNK_BYTES: usize = 1 << 20;
/// What is of no use to a copy: whether somebody uses the original.
const LEFT_OUT: [&str; 2] = ["lock", "abort"];

/// How a copy is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyOptions {
    /// Copies files of the log that could be linked.
    pub copies_all: bool,
}

/// What was copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Where the log begins in the copy.
    pub minimum: u64,
    /// Where it ends there.
    pub end: u64,
    /// From where on the first start of the copy reads the log.
    pub from: u64,
    /// How many files of the log were linked.
    pub linked: usize,
    /// How many were copied.
    pub copied: usize,
    /// How many bytes were written.
    pub bytes: u64,
}

impl Store {
    /// Copies the store to `to`, which must be empty or not there. `passed` hears how many bytes were written.
    ///
    /// # Errors
    /// When `to` or `<to>.partial` holds something, the log is damaged, or a file cannot be read or written.
    pub fn copy_to(&self, to: &Path, options: CopyOptions, passed: impl FnMut(u64)) -> Result<Copied> {
        let disk = self.disk.as_ref();
        // Without a slash at its end, behind which `.partial` would be a name within it.
        let to = &to.components().collect::<PathBuf>();
        let partial = self.free_place(to)?;
        make(disk, &partial)?;
        let mut copy = Copy {
            store: self,
            to: partial.clone(),
            options,
            done: Copied::default(),
            passed,
        };
        copy.all()?;
        disk.rename(&partial, to)
            .map_err(|error| StoreError::io("rename", &partial, error))?;
        sync_directory(disk, above(to))?;
        Ok(copy.done)
    }

    fn free_place(&self, to: &Path) -> Result<PathBuf> {
        let disk = self.disk.as_ref();
        let mut partial = to.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let refuse = |path: &Path, reason: &str| {
            let (path, reason) = (path.to_owned(), reason.to_owned());
            Err(StoreError::Unsupported { path, reason })
        };
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        if absolute(to).starts_with(absolute(&self.layout.root)) {
            return refuse(to, "it lies within the store; give a directory beside it");
        }
        let is_there = |path: &Path| {
            disk.exists(path)
                .map_err(|error| StoreError::io("look for", path, error))
        };
        let taken =
            "there is something in it already, and nothing is overwritten; give a directory that is empty or not there";
        if is_there(to)? && (disk.list(to).is_err() || !list(disk, to)?.is_empty()) {
            return refuse(to, taken);
        }
        if is_there(&partial)? {
            return refuse(
                &partial,
                "it is what a backup left that did not come to its end, or that still runs; remove it and try again",
            );
        }
        Ok(partial)
    }
}

struct Copy<'a, P> {
    store: &'a Store,
    to: PathBuf,
    options: CopyOptions,
    done: Copied,
    passed: P,
}

impl<P: FnMut(u64)> Copy<'_, P> {
    fn all(&mut self) -> Result<()> {
        let root = self.store.layout.root.clone();
        let folders = [FOLDER, EXTENSION_FOLDER, index::FOLDER];
        for offsets in ["consumerOffset.json", "consumerOffset.json.bak"] {
            self.file(
                &root.join("config").join(offsets),
                &self.to.join("config").join(offsets),
            )?;
        }
        for folder in folders {
            self.directory(&root.join(folder), &self.to.join(folder), &|_| false)?;
        }
        self.log()?;
        let log = self.store.layout.commit_log.clone();
        let is_done = |path: &Path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let is_top = path.parent() == Some(&root);
            path == log
                || path == root.join("cuemq").join("log")
                || is_top && (folders.contains(&name) || LEFT_OUT.contains(&name) || name == "checkpoint")
                || name.starts_with("consumerOffset.json")
                || name.ends_with(".tmp")
        };
        self.directory(&root, &self.to.clone(), &is_done)?;
        self.notes()
    }

    /// The notes that say how far the copy goes.
    fn notes(&mut self) -> Result<()> {
        let (store, disk) = (self.store, self.store.disk.as_ref());
        let mut checkpoint = crate::checkpoint::CheckpointFile::open(disk, &self.to)?;
        checkpoint.write(store.checkpoint)?;
        if !store.start.foreign {
            let note = LogNote {
                durable: self.done.end,
                confirmed: self.done.from,
                queue_units: None,
                checkpoint: times_of(store.checkpoint),
                foreign: false,
                former: None,
                stored_ms: store.start.stored_ms,
            };
            let layout = crate::recovery::StoreLayout::at(&self.to);
            note.write(disk, &layout)?;
        }
        marker::mark_in_use(disk, &self.to)
    }

    /// The log: old files by a link, the rest up to its last whole record.
    fn log(&mut self) -> Result<()> {
        let (store, disk) = (self.store, self.store.disk.as_ref());
        let listing = super::find::list_log(disk, &store.layout)?;
        listing.check()?;
        let log = self.to.join("commitlog");
        make(disk, &log)?;
        let found = listing.found;
        let store = &Store {
            disk: store.disk.clone(),
            layout: store.layout.clone(),
            found: found.clone(),
            findings: Vec::new(),
            ..*store
        };
        let from = store.start.from.0.max(found.minimum());
        let end = end_of(
            store,
            PhysicalOffset(store.start.durable.min(from).max(found.minimum())),
        )?;
        (self.done.from, self.done.end) = (from.min(end), end);
        let mut made: Vec<PathBuf> = Vec::new();
        self.done.minimum = found.minimum();
        for start in found.starts.iter().copied().filter(|start| *start < end) {
            let (source, target) = (found.path(start), log.join(file_name(start)));
            let file_end = start + found.segment_bytes;
            let is_there = if file_end <= from && !self.options.copies_all {
                self.link(&source, &target)?
            } else {
                self.copy(&source, &target, found.segment_bytes, end.min(file_end) - start)?
            };
            if is_there {
                made.push(target);
                continue;
            }
            // Retention has removed it and those before it: the log begins behind it now.
            for older in made.drain(..) {
                disk.remove_file(&older)
                    .map_err(|error| StoreError::io("remove", &older, error))?;
            }
            self.done.minimum = file_end;
            self.done.from = self.done.from.max(file_end);
        }
        sync_directory(disk, &log)
    }

    /// Gives a file of the log a second name, or copies it; whether it was there.
    fn link(&mut self, source: &Path, target: &Path) -> Result<bool> {
        match self.store.disk.link(source, target) {
            Ok(()) => {
                self.done.linked += 1;
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            // Another file system, or one without links.
            Err(_) => self.copy(source, target, self.store.found.segment_bytes, u64::MAX),
        }
    }

    fn copy(&mut self, source: &Path, target: &Path, length: u64, upto: u64) -> Result<bool> {
        let is_there = copy_file(self.store, source, target, Some(length), upto, &mut |bytes| {
            self.done.bytes += bytes;
            (self.passed)(bytes);
        })?;
        self.done.copied += usize::from(is_there);
        Ok(is_there)
    }

    /// Copies one file as it is; whether it was there.
    fn file(&mut self, source: &Path, target: &Path) -> Result<bool> {
        make(self.store.disk.as_ref(), above(target))?;
        let is_there = copy_file(self.store, source, target, None, u64::MAX, &mut |bytes| {
            self.done.bytes += bytes;
            (self.passed)(bytes);
        })?;
        sync_directory(self.store.disk.as_ref(), above(target))?;
        Ok(is_there)
    }

    /// Copies a directory and what is below it, but for what `is_left_out`. A file that goes meanwhile takes those before
    /// it along: it was retention, and files of a queue have no gaps.
    fn directory(&mut self, source: &Path, target: &Path, is_left_out: &dyn Fn(&Path) -> bool) -> Result<()> {
        let disk = self.store.disk.as_ref();
        let entries = list(disk, source)?;
        if entries.is_empty() {
            return Ok(());
        }
        make(disk, target)?;
        let mut made: Vec<PathBuf> = Vec::new();
        for entry in entries {
            let (from, to) = (source.join(&entry.name), target.join(&entry.name));
            if is_left_out(&from) {
                continue;
            }
            if entry.is_directory {
                self.directory(&from, &to, is_left_out)?;
            } else if self.file(&from, &to)? {
                made.push(to);
            } else if crate::segment::parse_file_name(&entry.name).is_some() {
                for older in made.drain(..) {
                    disk.remove_file(&older)
                        .map_err(|error| StoreError::io("remove", &older, error))?;
                }
            }
        }
        sync_directory(disk, target)
    }
}

/// Behind the last whole record, from a position on that lies below it.
fn end_of(store: &Store, from: PhysicalOffset) -> Result<u64> {
    let mut walk = LogWalk::new(store, true);
    walk.run(from, &mut |_| ControlFlow::Continue(()), &mut |_| {})?;
    let damage = walk
        .findings()
        .into_iter()
        .find(|finding| finding.severity == super::Severity::Damage);
    match damage {
        Some(finding) => Err(StoreError::Damaged {
            path: finding.path,
            position: finding.byte,
            reason: format!(
                "{}; a copy would have the same hole: `cuemq store check` says more",
                finding.what
            ),
        }),
        None => Ok(walk.end.0.max(from.0)),
    }
}

/// Copies what is not zeros, up to `upto`, into a file of `length` bytes, or of its own; whether it was there.
fn copy_file(
    store: &Store,
    source: &Path,
    target: &Path,
    length: Option<u64>,
    upto: u64,
    written: &mut dyn FnMut(u64),
) -> Result<bool> {
    let disk = store.disk.as_ref();
    let reading = match disk.open(source, OpenMode::Read) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        opened => opened.map_err(|error| StoreError::io("open", source, error))?,
    };
    let to = |operation| move |error| StoreError::io(operation, target, error);
    let writing = disk.open(target, OpenMode::CreateNew).map_err(to("make"))?;
    let from = |error| StoreError::io("read", source, error);
    let own = reading.length().map_err(from)?;
    match length {
        // Files of the log have all their blocks: no later write may find the disk full.
        Some(length) => writing.allocate(0, length).map_err(to("allocate"))?,
        None => writing.set_length(own).map_err(to("extend"))?,
    }
    let upto = upto.min(own);
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut at = 0;
    while at < upto {
        let wanted = usize::try_from(upto - at).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
        let piece = buffer.get_mut(..wanted).unwrap_or_default();
        let read = reading.read_at(piece, at).map_err(from)?;
        let piece = piece.get(..read).unwrap_or_default();
        if piece.iter().any(|byte| *byte != 0) {
            writing.write_at(&[IoSlice::new(piece)], at).map_err(to("write"))?;
            written(read as u64);
        }
        if read == 0 {
            break;
        }
        at += read as u64;
    }
    writing.sync_data().map_err(to("sync"))?;
    Ok(true)
}

fn make(disk: &dyn crate::disk::Disk, directory: &Path) -> Result<()> {
    disk.create_directory(directory)
        .map_err(|error| StoreError::io("make", directory, error))
}

fn above(path: &Path) -> &Path {
    path.parent()
        .filter(|above| !above.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}
