//! The log's files on the owner's side: which of them can still be written, and the one that is ready for later.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;

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
    /// Up to where the log is written.
    pub upto: PhysicalOffset,
    /// The files to sync, in order.
    pub files: Vec<SegmentSync>,
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
        }
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

    /// Writes the pieces of a tick, with one call for each file.
    pub(super) fn write(&mut self, pieces: &[Piece], buffers: &[Vec<u8>]) -> Result<()> {
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
