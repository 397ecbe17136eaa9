//! [`RealDisk`]: the seam over the machine's file systems, by std and rustix.
//!
//! The calls are the plain ones; what is added is what POSIX leaves to the caller: short writes and EINTR are carried
//! on, a list of buffers longer than IOV_MAX is cut up, and file systems without fallocate get their blocks by writes.

mod file;
mod lock;
mod system;

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::{Resource, getrlimit};

use super::{Disk, DiskFile, DiskLock, Entry, OpenMode, Space};
use file::RealFile;
use lock::FileLock;

/// The machine's file systems.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

#[expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this file is the seam"
)]
impl Disk for RealDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        // std opens with O_CLOEXEC.
        let mut options = fs::OpenOptions::new();
        options.read(true);
        match mode {
            OpenMode::Read => {}
            OpenMode::Write => _ = options.write(true),
            OpenMode::Create => _ = options.write(true).create(true).truncate(false),
            OpenMode::CreateNew => _ = options.write(true).create_new(true),
        }
        Ok(Arc::new(RealFile::new(options.open(path)?)))
    }

    fn make_directory(&self, path: &Path) -> io::Result<usize> {
        let is_missing = |level: &&Path| !level.as_os_str().is_empty() && !level.exists();
        let missing: Vec<_> = path.ancestors().take_while(is_missing).collect();
        for level in missing.iter().rev() {
            match fs::create_dir(level) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                other => other?,
            }
        }
        if path.is_dir() {
            Ok(missing.len())
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let found = match fs::read_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut entries = Vec::new();
        for entry in found {
            let entry = entry?;
            let metadata = match entry.metadata() {
                // Removed since the directory was read.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other?,
            };
            let is_directory = metadata.is_dir();
            entries.push(Entry {
                name: entry.file_name().to_string_lossy().into_owned(),
                is_directory,
                length: if is_directory { 0 } else { metadata.len() },
                modified_ms: milliseconds(metadata.modified()?),
            });
        }
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        let open = || {
            fs::OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)
        };
        Ok(Box::new(FileLock::take(path, open)?))
    }

    fn sync_file_system(&self, path: &Path) -> io::Result<bool> {
        match File::open(path) {
            Ok(directory) if system::tells_what_it_lost(&directory)? => rustix::fs::syncfs(&directory)?,
            Ok(_) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    fn open_files_limit(&self) -> u64 {
        getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
    }

    fn is_locked(&self, path: &Path) -> io::Result<bool> {
        lock::is_held(path, || File::open(path))
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let found = rustix::fs::statvfs(path)?;
        Ok(Space {
            total: found.f_blocks.saturating_mul(found.f_frsize),
            free: found.f_bfree.saturating_mul(found.f_frsize),
            available: found.f_bavail.saturating_mul(found.f_frsize),
        })
    }
}

fn milliseconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::IoSlice;

    fn directory() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn directories_are_made_with_their_parents_and_only_once() {
        let root = directory();
        let deep = root.path().join("consumequeue/topic/0");
        RealDisk.create_directory(&deep).unwrap();
        RealDisk.create_directory(&deep).unwrap();
        assert!(RealDisk.exists(&deep).unwrap());
        RealDisk.open(&root.path().join("file"), OpenMode::CreateNew).unwrap();
        assert!(RealDisk.create_directory(&root.path().join("file")).is_err());
        assert!(RealDisk.create_directory(&root.path().join("file/below")).is_err());
    }

    #[test]
    fn a_listing_is_sorted_and_an_absent_directory_is_empty() {
        let root = directory();
        for name in ["b", "a", "c"] {
            let file = RealDisk.open(&root.path().join(name), OpenMode::CreateNew).unwrap();
            file.write_at(&[IoSlice::new(name.as_bytes())], 6).unwrap();
        }
        RealDisk.create_directory(&root.path().join("0")).unwrap();
        let listed = RealDisk.list(root.path()).unwrap();
        let seen: Vec<_> = listed
            .iter()
            .map(|entry| (entry.name.as_str(), entry.is_directory, entry.length))
            .collect();
        assert_eq!(
            seen,
            [("0", true, 0), ("a", false, 7), ("b", false, 7), ("c", false, 7)]
        );
        assert!(listed[1].modified_ms > 1_600_000_000_000);
        assert_eq!(RealDisk.list(&root.path().join("absent")).unwrap(), []);
    }

    #[test]
    fn open_modes_say_what_must_and_must_not_exist() {
        let root = directory();
        let path = root.path().join("file");
        for mode in [OpenMode::Read, OpenMode::Write] {
            assert_eq!(
                RealDisk.open(&path, mode).err().unwrap().kind(),
                io::ErrorKind::NotFound
            );
        }
        RealDisk
            .open(&path, OpenMode::Create)
            .unwrap()
            .write_at(&[IoSlice::new(b"kept")], 0)
            .unwrap();
        assert_eq!(
            RealDisk.open(&path, OpenMode::CreateNew).err().unwrap().kind(),
            io::ErrorKind::AlreadyExists
        );
        RealDisk.open(&path, OpenMode::Create).unwrap();
        assert_eq!(RealDisk.read_whole(&path, 4).unwrap(), b"kept");
        assert_eq!(
            RealDisk.read_whole(&path, 3).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
        assert!(
            RealDisk
                .open(&path, OpenMode::Read)
                .unwrap()
                .write_at(&[IoSlice::new(b"x")], 0)
                .is_err()
        );
    }

    #[test]
    fn names_change_and_go() {
        let root = directory();
        let (old, new) = (root.path().join("old"), root.path().join("new"));
        RealDisk
            .open(&old, OpenMode::CreateNew)
            .unwrap()
            .write_at(&[IoSlice::new(b"old")], 0)
            .unwrap();
        RealDisk.open(&new, OpenMode::CreateNew).unwrap();
        RealDisk.rename(&old, &new).unwrap();
        RealDisk.sync_directory(root.path()).unwrap();
        assert_eq!(RealDisk.read_whole(&new, 10).unwrap(), b"old");
        RealDisk.remove_file(&new).unwrap();
        assert!(!RealDisk.exists(&new).unwrap() && !RealDisk.exists(&old).unwrap());
    }

    #[test]
    fn the_space_of_a_file_system_is_told() {
        let space = RealDisk.space(directory().path()).unwrap();
        assert!(0 < space.available && space.available <= space.total);
    }
}
