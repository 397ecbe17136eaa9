//! The runway: zeros that are written into an allocated file ahead of where its writer writes next.
//!
//! Blocks that are allocated and have never been written are a note in the file system's tables. The first write to each turns
//! it into one that counts, so that every fdatasync of an appended record also has tables, or a journal, to write.
//! Where zeros have been written before, it has the record's page alone (`warmMapedFileEnable` in Java, for the whole of a file
//! at once).
//!
//! Two threads write to one file here, so the writer claims bytes before it writes them, and zeros go only where nothing is
//! claimed: both under one lock, which the file system would take for each write as well.

use std::fmt;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::DiskFile;
use crate::error::{Result, StoreError};

/// What is written under the lock at once: as long as the writer may have to wait.
const PIECE: usize = 1 << 16;

/// The zeros ahead of one writer, for the thread that writes them.
pub(crate) struct Runway {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    length: u64,
    /// The end of what the writer has written or is about to write; `None` before it wrote for the first time, and when it is
    /// gone.
    claimed: Mutex<Option<u64>>,
}

impl Runway {
    pub(super) fn new(file: Arc<dyn DiskFile>, path: PathBuf, length: u64) -> Self {
        Self {
            file,
            path,
            length,
            claimed: Mutex::new(None),
        }
    }

    /// The writer is about to write in front of `end`: no zeros go there any more.
    pub(super) fn claim(&self, end: u64) {
        let mut claimed = self.claimed();
        *claimed = (*claimed).max(Some(end));
    }

    /// The writer is gone: whoever comes next claims nothing here.
    pub(super) fn close(&self) {
        *self.claimed() = None;
    }

    /// Writes zeros to `range` in the file, but not where the writer has been or is about to be, and has the system begin to
    /// bring them to the disk. Blocks.
    ///
    /// # Errors
    /// What the disk says. Nothing that was written before is lost by it.
    pub(crate) fn pave(&self, range: Range<u64>) -> Result<()> {
        let zeros = [0; PIECE];
        let end = range.end.min(self.length);
        let mut at = range.start;
        let mut first = None;
        loop {
            let claimed = self.claimed();
            let Some(claim) = *claimed else { return Ok(()) };
            at = at.max(claim);
            let length = usize::try_from(end.saturating_sub(at)).map_or(PIECE, |left| left.min(PIECE));
            let piece = zeros.get(..length).unwrap_or_default();
            if piece.is_empty() {
                break;
            }
            let written = self.file.write_at(&[IoSlice::new(piece)], at);
            drop(claimed);
            written.map_err(|source| self.failed(source))?;
            first.get_or_insert(at);
            at += length as u64;
        }
        // Not where the writer had been before: its pages are read soon, and stay in the cache.
        match first {
            Some(first) => self.file.write_back(first..end).map_err(|source| self.failed(source)),
            None => Ok(()),
        }
    }

    fn failed(&self, source: io::Error) -> StoreError {
        StoreError::io("write zeros to", &self.path, source)
    }

    fn claimed(&self) -> MutexGuard<'_, Option<u64>> {
        // A number cannot be left half changed.
        self.claimed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Runway {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Runway").field(&self.path).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::thread;

    use super::*;
    use crate::disk::memory::{Fault, Operation};
    use crate::disk::{Disk, MemoryDisk, RealDisk};
    use crate::segment::SegmentWriter;

    const PAGE: u64 = 4096;
    const LENGTH: u64 = 64 * PAGE;

    fn segment(disk: &dyn Disk, directory: &Path) -> (SegmentWriter, Arc<Runway>) {
        disk.create_directory(directory).unwrap();
        let writer = SegmentWriter::create(disk, directory, 0, LENGTH).unwrap();
        let runway = Arc::clone(writer.runway());
        (writer, runway)
    }

    fn write(writer: &mut SegmentWriter, bytes: &[u8], at: u64) {
        writer.write_at(&[IoSlice::new(bytes)], at).unwrap();
    }

    fn content(disk: &dyn Disk, directory: &Path) -> Vec<u8> {
        disk.read_whole(&directory.join(crate::segment::file_name(0)), LENGTH)
            .unwrap()
    }

    #[test]
    fn zeros_go_only_behind_what_the_writer_has_claimed_and_not_past_the_end() {
        let (disk, directory) = (MemoryDisk::new(1), Path::new("/log"));
        let (mut writer, runway) = segment(&disk, directory);
        runway.pave(0..LENGTH).unwrap();
        let written = || {
            let steps = disk
                .trace()
                .into_iter()
                .filter(|step| step.operation == Operation::Write);
            steps
                .map(|step| (step.position, step.position + step.length))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            written(),
            [],
            "before its first write nobody knows where the writer writes"
        );
        write(&mut writer, &[7; 5000], PAGE - 10);
        runway.pave(0..LENGTH + PAGE).unwrap();
        let (end, piece) = (PAGE - 10 + 5000, PIECE as u64);
        let pieces = [(end, end + piece), (end + piece, end + 2 * piece)];
        assert_eq!(written()[1..3], pieces);
        assert_eq!(written().last().map(|(_, end)| *end), Some(LENGTH));
        let bytes = content(&disk, directory);
        let end = end as usize;
        assert!(bytes[PAGE as usize - 10..end].iter().all(|byte| *byte == 7));
        assert!(bytes[end..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_writer_that_is_gone_leaves_no_runway_to_the_one_that_opens_its_file_anew() {
        let (disk, directory) = (MemoryDisk::new(1), Path::new("/log"));
        let (mut writer, runway) = segment(&disk, directory);
        write(&mut writer, &[7; 100], 0);
        drop(writer);
        let mut next = SegmentWriter::open_existing(&disk, directory, 0).unwrap();
        write(&mut next, &[8; 9000], 100);
        runway.pave(0..LENGTH).unwrap();
        assert_eq!(content(&disk, directory)[100..9100], [8; 9000]);
    }

    /// Fails within a few rounds when a claim comes after its write, or is looked at outside the lock.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "the rule is about two threads")]
    fn no_byte_is_lost_while_zeros_are_written_right_where_the_writer_goes() {
        let temporary = tempfile::tempdir().unwrap();
        for round in 0..20_u8 {
            let directory = temporary.path().join(round.to_string());
            let (mut writer, runway) = segment(&RealDisk, &directory);
            let whole: Vec<u8> = (0..LENGTH).map(|at| (at % 251) as u8 + 1).collect();
            thread::scope(|scope| {
                let paver = scope.spawn(|| {
                    while Arc::strong_count(&runway) > 1 {
                        runway.pave(0..LENGTH).unwrap();
                    }
                });
                let mut at = 0;
                for length in (1..=700).cycle().step_by(37) {
                    let piece = &whole[at..(at + length).min(whole.len())];
                    write(&mut writer, piece, at as u64);
                    at += piece.len();
                    if at == whole.len() {
                        break;
                    }
                }
                drop(writer);
                paver.join().unwrap();
            });
            assert!(content(&RealDisk, &directory) == whole, "round {round}");
        }
    }

    #[test]
    fn a_disk_that_fails_is_told_and_what_was_written_stays() {
        let (disk, directory) = (MemoryDisk::new(1), Path::new("/log"));
        let (mut writer, runway) = segment(&disk, directory);
        write(&mut writer, &[7; 100], 0);
        disk.inject(Fault::new(Operation::Write));
        let told = runway.pave(0..LENGTH).unwrap_err().to_string();
        assert!(told.contains("write zeros to"), "{told}");
        assert_eq!(content(&disk, directory)[..100], [7; 100]);
    }
}
