//! What was asked of the simulated disk, in order: the latest steps to read, and a hash of all to compare two runs by.

use std::collections::VecDeque;
use std::fmt;
use std::hash::BuildHasher;
use std::path::Path;
use std::sync::Arc;

use super::fault::Operation;

/// How many steps are kept.
const KEPT: usize = 1024;

/// One thing that was asked of the disk.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its number, from 1.
    pub number: u64,
    /// What was asked.
    pub operation: Operation,
    /// Of which file or directory.
    pub path: Arc<Path>,
    /// From which byte on, for what has a position.
    pub position: u64,
    /// How many bytes, for what has a length.
    pub length: u64,
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            number,
            operation,
            path,
            position,
            length,
        } = self;
        write!(formatter, "{number} {operation:?} {}", path.display())?;
        if operation.has_range() {
            write!(formatter, " {position} + {length}")
        } else {
            Ok(())
        }
    }
}

/// The steps so far.
#[derive(Debug, Default)]
pub(super) struct Trace {
    count: u64,
    hash: u64,
    latest: VecDeque<Step>,
}

impl Trace {
    pub(super) fn record(&mut self, operation: Operation, path: &Arc<Path>, position: u64, bytes: Bytes<'_>) {
        self.count += 1;
        let length = bytes.length();
        let content = if let Bytes::Content(content) = bytes {
            content
        } else {
            &[]
        };
        let step = (self.hash, operation, path, position, length, content);
        self.hash = crate::hash::Hasher::default().hash_one(step);
        if self.latest.len() == KEPT {
            self.latest.pop_front();
        }
        self.latest.push_back(Step {
            number: self.count,
            operation,
            path: Arc::clone(path),
            position,
            length,
        });
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn latest(&self) -> Vec<Step> {
        self.latest.iter().cloned().collect()
    }
}

/// The bytes that a step is about: what is written, or only how many are read.
#[derive(Clone, Copy)]
pub(super) enum Bytes<'content> {
    Content(&'content [u8]),
    Length(u64),
}

impl Bytes<'_> {
    pub(super) fn length(self) -> u64 {
        match self {
            Self::Content(content) => content.len() as u64,
            Self::Length(length) => length,
        }
    }
}
