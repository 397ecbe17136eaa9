//! The log's files on the owner's side: which of them can still be written, and the one that is ready for later.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::paving::{PaveJob, Paving};
use super::tail::{BLANK_BYTES, Piece};
use super::view::LogView;
use crate::error::Result;
use crate::position::{FlushEpoch, PhysicalOffset};
use crate::segment::{Segment, SegmentSync, SegmentWriter};
use cuemq_net::message::record;

/// A flush to be done on the flusher.
#[derive(Debug)]
pub struct FlushJob {
    /// To be given back with the answer.
    pub epoch: FlushEpoch,
    /// Up to where the log was written when it was asked for.
    upto: PhysicalOffset,
    /// The files to sync, in order.
    files: Vec<SegmentSync>,
    /// Where the last of them ends in the log.
    limit: u64,
    /// Up to where the log is written.
    written: Arc<AtomicU64>,
}

impl FlushJob {
    /// Up to where it covers the log, if it begins now.
    #[must_use]
    pub fn upto(&self) -> PhysicalOffset {
        let written = self.written.load(Ordering::Acquire).min(self.limit);
        self.upto.max(PhysicalOffset(written))
    }

    /// How many files it syncs.
    #[must_use]
    pub fn file_count(&self) -> usize {
        self.files.len()
    }

    /// Syncs them. Blocks.
    ///
    /// # Errors
    /// What the disk says of the first that fails.
    pub fn run(&self) -> Result<()> {
        self.files.iter().try_for_each(SegmentSync::sync)
    }
}

/// The files of the log that are not yet full, durable and visible, with the view of all of them.
#[derive(Debug)]
pub struct LogFiles {
    segment_bytes: u64,
    open: VecDeque<SegmentWriter>,
    view: Arc<LogView>,
    durable: PhysicalOffset,
    visible: PhysicalOffset,
    end: u64,
    /// Up to where the log is written, for the flusher.
    written: Arc<AtomicU64>,
    /// Where zeros are written ahead of the log's end.
    paving: Option<Paving>,
}

impl LogFiles {
    /// The files of a recovered log that ends at `end`: `open` are the ones from there on, `view` knows all of them.
    /// `next_start` is where the next new file begins.
    #[must_use]
    pub fn new(
        segment_bytes: u64,
        open: VecDeque<SegmentWriter>,
        view: Arc<LogView>,
        end: PhysicalOffset,
        next_start: u64,
    ) -> Self {
        Self {
            segment_bytes,
            open,
            view,
            durable: end,
            visible: end,
            end: next_start,
            written: Arc::new(AtomicU64::new(end.0)),
            paving: None,
        }
    }

    /// Begins to say when zeros are to be written ahead.
    pub(super) fn begin_paving(&mut self) {
        self.paving = Some(Paving::new(self.segment_bytes));
    }

    /// What is to be paved of a log that is written up to `end`; one job at a time.
    pub(super) fn pave(&mut self, end: PhysicalOffset, now: Duration) -> Option<PaveJob> {
        let paving = self.paving.as_mut()?;
        let start = end.0 - end.0 % self.segment_bytes;
        let writer = self.open.iter().find(|writer| writer.segment().start() == start)?;
        // A job holds the other one.
        if Arc::strong_count(writer.runway()) > 1 {
            return None;
        }
        let range = paving.due(end.0, start + self.segment_bytes, now)?;
        let range = range.start - start..range.end - start;
        let runway = Arc::clone(writer.runway());
        Some(PaveJob { runway, range })
    }

    pub(super) fn view(&self) -> &Arc<LogView> {
        &self.view
    }

    pub(super) fn segment_bytes(&self) -> u64 {
        self.segment_bytes
    }

    /// The end of the last allocated file.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Whether what is left behind `position` in the allocated files is half a file or less.
    pub(super) fn is_half_full(&self, position: PhysicalOffset) -> bool {
        self.end.saturating_sub(position.0) <= self.segment_bytes / 2
    }

    pub(super) fn supply(&mut self, writer: SegmentWriter) {
        assert_eq!(writer.segment().start(), self.end, "files follow one another");
        self.end += self.segment_bytes;
        self.view.add(Arc::clone(writer.segment()));
        self.open.push_back(writer);
    }

    /// Writes the pieces of a tick, which end at `end`, with one call for each file.
    pub(super) fn write(&mut self, pieces: &[Piece], buffers: &[Vec<u8>], end: PhysicalOffset) -> Result<()> {
        let mut rest = pieces;
        while let Some(first) = rest.first() {
            let start = position_of(first).0;
            let file_start = start - start % self.segment_bytes;
            let file_end = file_start + self.segment_bytes;
            let in_file = rest.iter().take_while(|piece| position_of(piece).0 < file_end).count();
            let (now, later) = rest.split_at(in_file);
            self.write_file(file_start, start, now, buffers)?;
            rest = later;
        }
        self.written.store(end.0, Ordering::Release);
        Ok(())
    }

    fn write_file(&mut self, file_start: u64, start: u64, pieces: &[Piece], buffers: &[Vec<u8>]) -> Result<()> {
        let blank = match pieces.last() {
            Some(Piece::Blank { length, .. }) => record::blank(usize::try_from(*length).unwrap_or(usize::MAX)),
            _ => [0; BLANK_BYTES as usize],
        };
        let slices: Vec<IoSlice<'_>> = pieces
            .iter()
            .filter_map(|piece| match piece {
                Piece::Records { batch, range, .. } => buffers.get(*batch)?.get(range.clone()).map(IoSlice::new),
                Piece::Blank { .. } => Some(IoSlice::new(&blank)),
            })
            .collect();
        let writer = self
            .open
            .iter_mut()
            .find(|writer| writer.segment().start() == file_start);
        let Some(writer) = writer else {
            panic!("a file of the log is allocated before it is written")
        };
        writer.write_at(&slices, start - file_start)
    }

    /// What has to be synced so that everything up to `upto` is on disk.
    pub(super) fn flush_job(&self, epoch: FlushEpoch, upto: PhysicalOffset) -> FlushJob {
        let dirty = self.open.iter().filter(|writer| {
            let start = writer.segment().start();
            start < upto.0 && start + self.segment_bytes > self.durable.0
        });
        FlushJob {
            epoch,
            upto,
            files: dirty.map(SegmentWriter::sync_handle).collect(),
            limit: upto.0.next_multiple_of(self.segment_bytes),
            written: Arc::clone(&self.written),
        }
    }

    pub(super) fn flushed(&mut self, durable: PhysicalOffset) {
        self.durable = durable;
        self.view.make_durable(durable);
        self.close_finished();
    }

    /// Lets readers see everything below `visible`.
    pub(super) fn publish(&mut self, visible: PhysicalOffset) {
        self.visible = visible;
        for writer in &mut self.open {
            let start = writer.segment().start();
            if start >= visible.0 {
                break;
            }
            writer.publish((visible.0 - start).min(self.segment_bytes));
        }
        self.view.publish(visible);
        self.close_finished();
    }

    /// Takes the files that end at or before `limit` from what readers see, and gives them. One that may still be written
    /// stays.
    pub(super) fn drop_before(&self, limit: PhysicalOffset) -> Vec<Arc<Segment>> {
        let open = self.open.front().map(|writer| PhysicalOffset(writer.segment().start()));
        self.view.drop_before(open.map_or(limit, |open| open.min(limit)))
    }

    /// Gives up the right to write files that are full, durable and visible.
    fn close_finished(&mut self) {
        let finished = self.durable.min(self.visible).0;
        while self.open.len() > 1
            && self
                .open
                .front()
                .is_some_and(|writer| writer.segment().start() + self.segment_bytes <= finished)
        {
            self.open.pop_front();
        }
    }
}

fn position_of(piece: &Piece) -> PhysicalOffset {
    match piece {
        Piece::Records { position, .. } | Piece::Blank { position, .. } => *position,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::disk::{Disk, MemoryDisk};

    const PAGE: u64 = 4096;
    const FILE: u64 = 64 * PAGE;

    #[test]
    fn a_flush_covers_what_is_written_when_it_begins_in_the_files_that_it_was_given() {
        let (disk, directory) = (MemoryDisk::new(1), Path::new("/log"));
        disk.create_directory(directory).unwrap();
        let create = |start| SegmentWriter::create(&disk, directory, start, FILE).unwrap();
        let writer = create(0);
        let view = Arc::new(LogView::new(vec![Arc::clone(writer.segment())]));
        let mut files = LogFiles::new(FILE, [writer].into(), view, PhysicalOffset(0), FILE);
        files.supply(create(FILE));
        let buffers = [vec![7; FILE as usize]];
        let write = |files: &mut LogFiles, position: u64, end: u64| {
            let (batch, range) = (0, 0..(end - position) as usize);
            let position = PhysicalOffset(position);
            files
                .write(
                    &[Piece::Records { position, batch, range }],
                    &buffers,
                    PhysicalOffset(end),
                )
                .unwrap();
        };
        write(&mut files, 0, PAGE);
        let job = files.flush_job(FlushEpoch(1), PhysicalOffset(PAGE));
        assert_eq!((job.upto(), job.file_count()), (PhysicalOffset(PAGE), 1));
        write(&mut files, PAGE, FILE);
        assert_eq!(job.upto(), PhysicalOffset(FILE));
        write(&mut files, FILE, FILE + PAGE);
        assert_eq!(job.upto(), PhysicalOffset(FILE), "the next file is not its own");
        job.run().unwrap();
        let next = files.flush_job(FlushEpoch(1), PhysicalOffset(FILE + PAGE));
        assert_eq!((next.upto(), next.file_count()), (PhysicalOffset(FILE + PAGE), 2));
    }

    #[test]
    fn zeros_are_written_ahead_one_stretch_at_a_time_once_that_was_asked_for() {
        let (disk, directory) = (MemoryDisk::new(1), Path::new("/log"));
        disk.create_directory(directory).unwrap();
        let writer = SegmentWriter::create(&disk, directory, 0, FILE).unwrap();
        let view = Arc::new(LogView::new(vec![Arc::clone(writer.segment())]));
        let mut files = LogFiles::new(FILE, [writer].into(), view, PhysicalOffset(0), FILE);
        let buffers = [vec![7; PAGE as usize]];
        let after_a_page = |files: &mut LogFiles, page: u64| {
            let position = PhysicalOffset(page * PAGE);
            let (batch, range) = (0, 0..PAGE as usize);
            let end = position.advanced(PAGE);
            let piece = Piece::Records { position, batch, range };
            files.write(&[piece], &buffers, end).unwrap();
            files.pave(end, Duration::from_millis(page * 10))
        };
        assert!(after_a_page(&mut files, 0).is_none(), "nobody asked for it");
        files.begin_paving();
        assert!(
            after_a_page(&mut files, 1).is_none(),
            "it is not known how fast the log grows"
        );
        let job = after_a_page(&mut files, 2).unwrap();
        assert_eq!(job.range, 3 * PAGE..5 * PAGE);
        assert!(after_a_page(&mut files, 3).is_none(), "one is under way");
        job.run().unwrap();
        let job = after_a_page(&mut files, 4).unwrap();
        assert_eq!(job.range, 5 * PAGE..7 * PAGE);
    }
}
