//! The lock on the store, which Java's `FileChannel.tryLock(0, 1, false)` respects and which respects Java's.
//!
//! Both are POSIX record locks (`fcntl(F_SETLK)`); ours covers the whole file and so conflicts with Java's first byte.
//! Such a lock belongs to the process: the system would grant it a second time in here, and drops it as soon as *any*
//! handle of that file is closed. So the held files are also kept in a table of this process, which is asked before the
//! file is opened at all.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::process::{Flock, FlockType, fcntl_getlk};

use crate::disk::DiskLock;

/// A file as the kernel knows it: device and inode.
type Identity = (u64, u64);

/// The locked files of this process. They are closed while the table is held: a taker in between would have its lock
/// dropped by that close.
static HELD: Mutex<BTreeMap<Identity, File>> = Mutex::new(BTreeMap::new());

/// A held lock; dropping it closes the file, which releases it.
#[derive(Debug)]
pub(super) struct FileLock {
    identity: Identity,
}

impl FileLock {
    /// Locks the file at `path`, which `open` opens for writing, and writes Java's text into an empty one.
    pub(super) fn take(path: &Path, open: impl FnOnce() -> io::Result<File>) -> io::Result<Self> {
        let mut held = held();
        if path
            .metadata()
            .is_ok_and(|found| held.contains_key(&identity_of(&found)))
        {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut file = open()?;
        fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
            // POSIX lets the system choose between the two.
            rustix::io::Errno::ACCESS | rustix::io::Errno::AGAIN => io::ErrorKind::WouldBlock.into(),
            other => io::Error::from(other),
        })?;
        let found = file.metadata()?;
        if found.len() == 0 {
            file.write_all(b"lock")?;
        }
        let identity = identity_of(&found);
        held.insert(identity, file);
        Ok(Self { identity })
    }
}

/// Whether anybody holds the lock. A file that this process has locked is not opened.
pub(super) fn is_held(path: &Path, open: impl FnOnce() -> io::Result<File>) -> io::Result<bool> {
    let held = held();
    match path.metadata() {
        Ok(found) if held.contains_key(&identity_of(&found)) => return Ok(true),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    }
    let whole = Flock::from(FlockType::WriteLock);
    Ok(fcntl_getlk(&open()?, &whole)?.is_some())
}

impl DiskLock for FileLock {}

impl Drop for FileLock {
    fn drop(&mut self) {
        held().remove(&self.identity);
    }
}

fn held() -> MutexGuard<'static, BTreeMap<Identity, File>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

fn identity_of(found: &std::fs::Metadata) -> Identity {
    (found.dev(), found.ino())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, RealDisk};
    use std::io::{BufRead, BufReader, Read};
    use std::process::{Command, Stdio};

    const PATH_OF_CHILD: &str = "CUEMQ_TEST_LOCK_PATH";

    /// Asks the kernel, as another process would be told, who holds record locks on the file.
    #[expect(clippy::disallowed_methods, reason = "it asks the kernel")]
    fn locks_on(path: &Path) -> Vec<String> {
        let inode = path.metadata().unwrap().ino().to_string();
        let table = std::fs::read_to_string("/proc/locks").unwrap();
        let of_this_file = |line: &&str| line.split_whitespace().any(|word| word.ends_with(&format!(":{inode}")));
        table.lines().filter(of_this_file).map(str::to_owned).collect()
    }

    #[test]
    fn a_locked_file_is_refused_until_the_lock_is_dropped() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("lock");
        let lock = RealDisk.lock(&path).unwrap();
        assert_eq!(RealDisk.lock(&path).err().unwrap().kind(), io::ErrorKind::WouldBlock);
        let kernel = locks_on(&path);
        assert!(
            kernel.len() == 1 && kernel[0].contains("POSIX") && kernel[0].contains("WRITE"),
            "{kernel:?}"
        );
        drop(lock);
        assert!(locks_on(&path).is_empty());
        drop(RealDisk.lock(&path).unwrap());
        assert_eq!(path.metadata().unwrap().len(), 4, "Java's text, once");
    }

    #[test]
    fn a_refused_second_taker_does_not_drop_the_first_lock() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("lock");
        let _lock = RealDisk.lock(&path).unwrap();
        assert!(RealDisk.lock(&root.path().join("./lock")).is_err());
        assert_eq!(locks_on(&path).len(), 1);
    }

    /// The other process of the next test: holds the lock until its input ends. Alone it does nothing.
    #[test]
    fn child_that_holds_a_lock() {
        let Some(path) = std::env::var_os(PATH_OF_CHILD) else {
            return;
        };
        let _lock = RealDisk.lock(Path::new(&path)).unwrap();
        println!("\nlocked");
        io::stdin().read_to_end(&mut Vec::new()).unwrap();
    }

    #[test]
    fn a_lock_of_another_process_is_respected_until_it_ends() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("lock");
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "disk::real::lock::tests::child_that_holds_a_lock",
                "--nocapture",
            ])
            .env(PATH_OF_CHILD, &path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(
            lines.any(|line| line.unwrap() == "locked"),
            "the child ended without the lock"
        );
        assert_eq!(RealDisk.lock(&path).err().unwrap().kind(), io::ErrorKind::WouldBlock);
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
        drop(RealDisk.lock(&path).unwrap());
    }
}
