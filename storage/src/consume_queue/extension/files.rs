//! The files of one queue's extension: their names, one unit of them by pread, and what is cut from them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::unit::{ExtensionUnit, HEAD_LENGTH};
use super::{END_BYTES, FOLDER};
use crate::consume_queue::files::parse_place;
use crate::disk::{Blocks, Disk, DiskFile, Entry, OpenMode, list, sync_directory};
use crate::error::{Result, StoreError};

/// The files of one queue's extension.
pub(in crate::consume_queue) struct ExtensionFiles {
    pub(super) disk: Arc<dyn Disk>,
    directory: PathBuf,
    /// The length of a file, above 0.
    pub(super) file_bytes: u64,
}

impl ExtensionFiles {
    /// Those of the queue whose own files lie in `queue_directory`, of this length.
    pub(super) fn new(disk: &Arc<dyn Disk>, queue_directory: &Path, file_bytes: u64) -> Self {
        Self {
            disk: Arc::clone(disk),
            directory: directory_beside(queue_directory),
            file_bytes,
        }
    }

    /// Those that are on the disk, if any; all have the length of the longest, since a crash can leave one shorter.
    pub(in crate::consume_queue) fn find(disk: &Arc<dyn Disk>, queue_directory: &Path) -> Result<Option<Self>> {
        let mut files = Self::new(disk, queue_directory, 1);
        let longest = files.list()?.iter().map(|&(_, length)| length).max();
        files.file_bytes = longest.unwrap_or(0);
        Ok((files.file_bytes > 0).then_some(files))
    }

    /// The path of the file that begins at `start`.
    pub(super) fn path(&self, start: u64) -> PathBuf {
        self.directory.join(format!("{start:020}"))
    }

    /// Where the file begins that holds `place`.
    pub(super) fn start(&self, place: u64) -> u64 {
        place - place % self.file_bytes
    }

    /// The files by the place in their name, with their lengths.
    pub(super) fn list(&self) -> Result<Vec<(u64, u64)>> {
        let entries = list(self.disk.as_ref(), &self.directory)?;
        let file = |entry: Entry| Some((parse_place(&entry.name)?, entry.length));
        let is_file = |entry: &Entry| !entry.is_directory;
        Ok(entries.into_iter().filter(is_file).filter_map(file).collect())
    }

    /// Opens the file that begins at `start` to read it; `None` when it is not there.
    pub(super) fn open(&self, start: u64) -> Result<Option<Arc<dyn DiskFile>>> {
        let path = self.path(start);
        match self.disk.open(&path, OpenMode::Read) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io("open", &path, error)),
        }
    }

    /// Opens the file that begins at `start` to write to it.
    pub(super) fn open_to_write(&self, start: u64) -> Result<Arc<dyn DiskFile>> {
        let path = self.path(start);
        let opened = self.disk.open(&path, OpenMode::Write);
        opened.map_err(|error| StoreError::io("open", &path, error))
    }

    /// Makes the file that begins at `start`, at its full length.
    pub(super) fn make(&self, start: u64) -> Result<Arc<dyn DiskFile>> {
        let path = self.path(start);
        let made = self.disk.create_directory(&self.directory);
        made.map_err(|error| StoreError::io("make", &self.directory, error))?;
        let opened = self.disk.open(&path, OpenMode::Create);
        let file = opened.map_err(|error| StoreError::io("make", &path, error))?;
        let extended = file.set_length(self.file_bytes);
        extended.map_err(|error| StoreError::io("extend", &path, error))?;
        Ok(file)
    }

    /// The unit at `place`, if a whole one is there.
    pub(super) fn unit(&self, place: u64) -> Result<Option<ExtensionUnit>> {
        let start = self.start(place);
        let Some(file) = self.open(start)? else {
            return Ok(None);
        };
        let mut bytes = [0; HEAD_LENGTH];
        let read = file.read_at(&mut bytes, place - start);
        if read.map_err(|error| StoreError::io("read", &self.path(start), error))? < HEAD_LENGTH {
            return Ok(None);
        }
        let room = (self.file_bytes - (place - start)).saturating_sub(END_BYTES);
        Ok(ExtensionUnit::decode(&bytes).filter(|unit| unit.length <= room))
    }

    /// Ends the extension at `end`: removes later files, the newest first, and zeroes what is written behind it in its
    /// own. After a crash that is not asked of the page cache, which may show zeros that the disk does not hold.
    pub(super) fn cut(&self, end: u64, after_crash: bool) -> Result<()> {
        let later = self.list()?.into_iter().map(|(start, _)| start);
        let later: Vec<u64> = later.filter(|start| *start >= end).collect();
        self.remove(later.into_iter().rev())?;
        if end.is_multiple_of(self.file_bytes) {
            return Ok(());
        }
        let (start, path) = (self.start(end), self.path(self.start(end)));
        let file = self.open_to_write(start)?;
        let mut next = [0; 2];
        let read = file.read_at(&mut next, end - start);
        read.map_err(|error| StoreError::io("read", &path, error))?;
        if after_crash || next != [0; 2] {
            let zeroed = file.zero(end - start, self.file_bytes - (end - start), Blocks::Released);
            zeroed.map_err(|error| StoreError::io("zero", &path, error))?;
            file.sync_data().map_err(|error| StoreError::io("sync", &path, error))?;
        }
        if after_crash {
            // A process that was killed can have made a file whose name only the page cache has.
            self.sync_directory()?;
        }
        Ok(())
    }

    /// Removes files, each durably before the next.
    pub(super) fn remove(&self, starts: impl IntoIterator<Item = u64>) -> Result<()> {
        for start in starts {
            let path = self.path(start);
            let removed = self.disk.remove_file(&path);
            removed.map_err(|error| StoreError::io("remove", &path, error))?;
            self.sync_directory()?;
        }
        Ok(())
    }

    /// Makes the making and removing of files durable.
    pub(super) fn sync_directory(&self) -> Result<()> {
        sync_directory(self.disk.as_ref(), &self.directory)
    }
}

/// The extension's directory for that of its queue: `<root>/consumequeue/<topic>/<queueId>`.
fn directory_beside(queue_directory: &Path) -> PathBuf {
    let mut above = queue_directory.ancestors().skip(1);
    let (topic, root) = (above.next(), above.nth(1));
    let mut directory = root.unwrap_or_else(|| Path::new("")).join(FOLDER);
    for part in [topic, Some(queue_directory)] {
        directory.extend(part.and_then(Path::file_name));
    }
    directory
}
