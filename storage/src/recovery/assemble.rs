//! The end of recovery: the log's files opened for their owner and their readers.
//!
//! Full files are only listed and mapped when somebody reads them; the last one is opened to be written. Files behind the
//! end were allocated ahead and never written to; they are made anew when they are needed.

use std::collections::VecDeque;
use std::sync::Arc;

use super::refeed::Refeed;
use super::scan::{FoundLog, ScanEnd};
use super::start::store_time_at;
use super::{Recovered, Report, cut};
use crate::commit_log::{LogFiles, LogView};
use crate::consume_queue::ConsumeQueue;
use crate::disk::Disk;
use crate::error::Result;
use crate::position::QueueOffset;
use crate::segment::{Segment, SegmentWriter};

/// Opens the log's files for their owner and their readers. `stored_ms` is a store time that the log has reached.
pub(super) fn assemble(
    disk: &Arc<dyn Disk>,
    found: &FoundLog,
    refeed: Refeed,
    end: &ScanEnd,
    stored_ms: i64,
    report: Report,
) -> Result<Recovered> {
    let mut segments: Vec<Arc<Segment>> = Vec::new();
    let mut open = VecDeque::new();
    let mut next_start = found
        .minimum()
        .max(end.position.0 - end.position.0 % found.segment_bytes);
    for start in found.starts.iter().copied() {
        let file_end = start + found.segment_bytes;
        if file_end <= end.position.0 {
            let length = found.segment_bytes;
            segments.push(Arc::new(Segment::open_lazy(
                Arc::clone(disk),
                &found.directory,
                start,
                length,
                length,
            )));
        } else if start < end.position.0 {
            let writer = SegmentWriter::open_existing(disk.as_ref(), &found.directory, start)?;
            segments.push(Arc::clone(writer.segment()));
            open.push_back(writer);
            next_start = file_end;
        } else {
            // Allocated ahead and never written: made anew when it is needed.
            cut::remove(disk.as_ref(), found, start)?;
        }
    }
    let view = Arc::new(LogView::new(segments));
    let files = LogFiles::new(found.segment_bytes, open, view, end.position, next_start);
    let last_store_timestamp_ms = match end.records {
        // Not every record is in a queue.
        0 => last_stored(disk.as_ref(), found, &refeed.queues)?.max(stored_ms),
        _ => end.last_store_timestamp_ms,
    };
    let extended = refeed.extension_file_bytes.is_some();
    let (table, queues, index) = refeed.into_parts();
    Ok(Recovered {
        files,
        segment_bytes: found.segment_bytes,
        table,
        queues,
        index,
        extended,
        end: end.position,
        last_store_timestamp_ms,
        report,
    })
}

/// The store time of the last record that any queue knows, 0 if there is none: what was walked had no record.
fn last_stored(disk: &dyn Disk, found: &FoundLog, queues: &[ConsumeQueue]) -> Result<i64> {
    let Some(queue) = queues.iter().max_by_key(|queue| queue.end_physical()) else {
        return Ok(0);
    };
    let last = queue.end().0.checked_sub(1).map(QueueOffset);
    let unit = last.map_or(Ok(None), |last| queue.view().unit(last))?;
    let position = unit.map_or(0, |unit| unit.physical_offset.0);
    let start = found.file_start(position);
    if unit.is_none() || !found.starts.contains(&start) {
        return Ok(0);
    }
    let stored = store_time_at(disk, found, start, position - start)?;
    Ok(stored.unwrap_or(0))
}
