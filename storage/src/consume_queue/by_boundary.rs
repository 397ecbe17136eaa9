//! Which queue offset a client of release 5 is told that asks for a time with a boundary (`BoundaryType` in Java):
//!
//! - lower: the first message that was stored at or after the time, else the position behind the last one;
//! - upper: the last message that was stored at or before the time, else 0.
//!
//! Java 5.3.3 answers so; requests without boundary are those of earlier clients, for whom `by_time` has the rule.
//! (Where the first message is later than the time, Java names the beginning of its file, of which the messages may have
//! been deleted; here it is that message itself.)

use super::unit::Unit;
use super::view::QueueView;
use crate::error::Result;
use crate::position::{PhysicalOffset, QueueOffset};

/// Which end of the messages around a time is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boundary {
    /// The first message at or after it.
    Lower,
    /// The last message at or before it.
    Upper,
}

/// The queue offset at `boundary` of `timestamp_ms`, for whoever may wait for the disk. `store_time_of` gives the store time
/// of the record at a position; none there makes the answer 0, as in Java. Units below `log_min` are passed over.
///
/// # Errors
/// When a file of the queue cannot be read, or what `store_time_of` says.
pub fn offset_by_boundary(
    view: &QueueView,
    timestamp_ms: i64,
    boundary: Boundary,
    log_min: PhysicalOffset,
    store_time_of: impl Fn(PhysicalOffset) -> Result<Option<i64>>,
) -> Result<QueueOffset> {
    let (min, end) = (view.min_offset().0, view.max_offset().0);
    let is_gone = |unit: Unit| unit.is_filler() || unit.physical_offset < log_min;
    let (mut low, mut high) = (min, end);
    // The first offset whose message is there, as far as the search has come across it.
    let mut first = min;
    while low < high {
        let middle = low + (high - low) / 2;
        let Some(unit) = view.unit(QueueOffset(middle))? else {
            return Ok(QueueOffset(0));
        };
        if is_gone(unit) {
            low = middle + 1;
            first = low;
            continue;
        }
        let Some(time) = store_time_of(unit.physical_offset)? else {
            return Ok(QueueOffset(0));
        };
        let is_before = match boundary {
            Boundary::Lower => time < timestamp_ms,
            Boundary::Upper => time <= timestamp_ms,
        };
        if is_before {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(QueueOffset(match boundary {
        Boundary::Lower => low,
        Boundary::Upper if low > first => low - 1,
        Boundary::Upper => 0,
    }))
}
