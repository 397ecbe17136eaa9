//! What the client of a connection has shown of itself: whether it takes what it is sent.
//!
//! The kernel takes much of what a client's window has no room for, and counts it as this process's memory. A newcomer's socket
//! takes little of it, since two thousand that ask and read nothing come in a second where somebody wishes us ill. One that has
//! taken more than its window can hold has read some of it, and is served in long writes from then on.

use crate::net::NARROW_BYTES;

/// Who has taken so much has read: it is more than a window that nobody reads from grows to, which is 64 KiB, and what the
/// socket holds back of a newcomer.
const PROOF_BYTES: usize = 128 << 10;

/// What was written so far, as far as that matters.
#[derive(Debug, Default)]
pub(super) struct Standing {
    written: usize,
}

impl Standing {
    /// How much is written at once.
    pub(super) fn most(&self) -> usize {
        if self.is_proven() { usize::MAX } else { NARROW_BYTES }
    }

    /// Notes what was written; true where this has shown that the client reads.
    pub(super) fn has_written(&mut self, bytes: usize) -> bool {
        let before = self.is_proven();
        self.written = self.written.saturating_add(bytes);
        !before && self.is_proven()
    }

    fn is_proven(&self) -> bool {
        self.written >= PROOF_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newcomer_is_written_little_at_once_until_it_has_read_and_that_is_told_once() {
        let mut standing = Standing::default();
        assert_eq!(standing.most(), NARROW_BYTES);
        assert!(!standing.has_written(PROOF_BYTES - 1));
        assert_eq!(standing.most(), NARROW_BYTES);
        assert!(standing.has_written(1));
        assert!(!standing.has_written(1));
        assert_eq!(standing.most(), usize::MAX);
    }
}
