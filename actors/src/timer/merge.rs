//! Several runs, read as one.

use std::io;
use std::sync::Arc;

use super::entry::{Entry, Key};
use super::run::{Cursor, Run};

/// The entries of some runs in the order of their keys, each once.
pub(super) struct Merged {
    cursors: Vec<Cursor>,
}

impl Merged {
    /// From a key on.
    ///
    /// # Errors
    /// As [`Run::open`].
    pub(super) fn of(runs: &[Arc<Run>], from: Key) -> io::Result<Self> {
        let cursors = runs.iter().map(|run| run.from(from)).collect::<io::Result<_>>()?;
        Ok(Self { cursors })
    }

    /// The next entry. There are few runs, so the first of them is found by looking at each.
    ///
    /// # Errors
    /// As [`Run::open`].
    pub(super) fn next(&mut self) -> io::Result<Option<Entry>> {
        let next = self
            .cursors
            .iter()
            .filter_map(Cursor::entry)
            .min_by_key(|entry| entry.key);
        let Some(next) = next else { return Ok(None) };
        for cursor in &mut self.cursors {
            if cursor.entry().is_some_and(|entry| entry.key == next.key) {
                cursor.advance()?;
            }
        }
        Ok(Some(next))
    }
}
