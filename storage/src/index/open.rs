//! Opening the index, and what it takes after a crash.
//!
//! What the headers claim is on disk, since they are written last. After a crash, files behind one that is not full are
//! removed (they were never confirmed), entries of records that the log lost are dropped, and the newest file's slots
//! are computed from its entries: slots may have reached the disk that point to entries which did not. The records are
//! fed again from [`Index::newest`] on.

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use super::file::IndexFile;
use super::header::{HEADER_BYTES, Header};
use super::rebuild::Rebuild;
use super::{FOLDER, Index, Layout, name, remove};
use crate::disk::{Disk, OpenMode, list, sync_directory};
use crate::error::{Result, StoreError};
use crate::position::PhysicalOffset;

/// What is known about the files when the index is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// They were flushed by an owner that stopped in order.
    Clean,
    /// The machine, the process or the last owner has crashed. Records that begin at or behind this position are gone
    /// from the log, or will be fed again.
    AfterCrash(PhysicalOffset),
}

/// What was cut from the index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Entries that were dropped from the file that is now the newest.
    pub entries: u32,
    /// Files that were removed.
    pub files: usize,
}

impl Index {
    /// Opens the index of the store in `root`, and says what had to be cut.
    ///
    /// # Errors
    /// [`StoreError::SizeMismatch`] when a file has not the length of the layout, or when the disk fails.
    pub fn open(disk: &Arc<dyn Disk>, root: &Path, layout: Layout, opening: Opening) -> Result<(Self, Cut)> {
        let directory = root.join(FOLDER);
        let mut cut = Cut::default();
        let files = load(disk.as_ref(), &directory, layout, &mut cut)?;
        let zero = PhysicalOffset(0);
        let mut index = Self {
            disk: Arc::clone(disk),
            directory,
            layout,
            files,
            newest: None,
            put_upto: zero,
            confirmed: zero,
            generation: 0,
            is_failed: false,
        };
        if let Opening::AfterCrash(limit) = opening
            && !index.files.is_empty()
        {
            // A process that was killed can have made a file whose name only the page cache has.
            sync_directory(disk.as_ref(), &index.directory)?;
            index.repair(limit, &mut cut)?;
        }
        index.find_newest()?;
        Ok((index, cut))
    }

    /// The newest record of the oldest files that end by `index_ms`, as far as they follow one another. Java syncs a file
    /// before it notes that time, so after a crash of the machine the header of a later one may claim what is lost, and
    /// that of the newest says nothing yet.
    #[must_use]
    pub fn newest_until(&self, index_ms: i64) -> Option<PhysicalOffset> {
        let is_synced = |file: &&IndexFile| file.header.next > 1 && file.header.end_ms <= index_ms;
        let newest = self.files.iter().take_while(is_synced).last();
        newest.map(|file| file.header.end_physical)
    }

    fn repair(&mut self, limit: PhysicalOffset, cut: &mut Cut) -> Result<()> {
        let layout = self.layout;
        let open_at = self.files.iter().position(|file| !file.is_full(layout));
        let mut keep = open_at.map_or(self.files.len(), |open_at| open_at + 1);
        let is_lost = |file: &IndexFile| file.header.next <= 1 || file.header.begin_physical >= limit;
        while keep > 0 && self.files.get(keep - 1).is_some_and(is_lost) {
            keep -= 1;
        }
        while self.files.len() > keep
            && let Some(file) = self.files.pop()
        {
            remove(self.disk.as_ref(), &self.directory, &file)?;
            cut.files += 1;
        }
        self.rewrite_headers()?;
        let Some(file) = self.files.last_mut() else {
            return Ok(());
        };
        let claimed = file.header.next;
        let path = Arc::clone(&file.path);
        let handle = file.handle(self.disk.as_ref())?;
        file.header = Rebuild {
            file: handle.as_ref(),
            path: &path,
            layout,
        }
        .run(file.header, limit)?;
        file.written = file.header;
        file.durable = file.header;
        cut.entries = claimed - file.header.next;
        Ok(())
    }

    /// Makes durable what the headers claim: a process that was killed can have left them in the page cache alone.
    fn rewrite_headers(&mut self) -> Result<()> {
        for file in &mut self.files {
            let path = Arc::clone(&file.path);
            let handle = file.handle(self.disk.as_ref())?;
            let written = handle.write_at(&[IoSlice::new(&file.header.encode())], 0);
            written.map_err(|error| StoreError::io("write", &path, error))?;
            handle
                .sync_data()
                .map_err(|error| StoreError::io("sync", &path, error))?;
        }
        Ok(())
    }

    /// Finds the newest record with an entry, and how many it has.
    fn find_newest(&mut self) -> Result<()> {
        self.newest = None;
        for index in (0..self.files.len()).rev() {
            let Some(file) = self.files.get_mut(index) else {
                continue;
            };
            for number in (1..file.header.next).rev() {
                let entry = file.entry(self.disk.as_ref(), self.layout, number)?;
                match &mut self.newest {
                    Some((newest, _)) if *newest != entry.physical_offset => return Ok(()),
                    Some((_, present)) => *present += 1,
                    None => self.newest = Some((entry.physical_offset, 1)),
                }
            }
        }
        Ok(())
    }
}

/// Lists the files and reads their headers. A newest file without its length is removed: nothing was ever written to it,
/// since the length is made durable first.
fn load(disk: &dyn Disk, directory: &Path, layout: Layout, cut: &mut Cut) -> Result<Vec<IndexFile>> {
    let mut names = Vec::new();
    for entry in list(disk, directory)? {
        match name::parse(&entry.name).filter(|_| !entry.is_directory) {
            Some(number) => names.push((number, directory.join(&entry.name), entry.length)),
            None => {
                let name = entry.name;
                tracing::warn!(directory = %directory.display(), name, "no index file, left alone");
            }
        }
    }
    let count = names.len();
    let mut files = Vec::with_capacity(count);
    for (index, (number, path, found)) in names.into_iter().enumerate() {
        let mut bytes = [0; HEADER_BYTES as usize];
        let file = disk
            .open(&path, OpenMode::Read)
            .map_err(|error| StoreError::io("open", &path, error))?;
        file.read_at(&mut bytes, 0)
            .map_err(|error| StoreError::io("read", &path, error))?;
        let configured = layout.file_bytes();
        if found < configured && bytes == [0; HEADER_BYTES as usize] && index + 1 == count {
            disk.remove_file(&path)
                .map_err(|error| StoreError::io("remove", &path, error))?;
            sync_directory(disk, directory)?;
            cut.files += 1;
        } else if found == configured {
            let header = Header::decode(&bytes);
            let header = Header {
                next: header.next.min(layout.entries),
                ..header
            };
            files.push(IndexFile::new(directory, number, layout, header, header));
        } else {
            let key = "40 + 4 * maxHashSlotNum + 20 * maxIndexNum";
            return Err(StoreError::SizeMismatch {
                path,
                found,
                configured,
                key,
            });
        }
    }
    Ok(files)
}
