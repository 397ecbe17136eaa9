//! What the client of a connection has shown of itself: whether it takes what it is sent.
//!
//! The kernel takes much of what a client's window has no room for, and counts it as this process's memory. A newcomer's socket
//! takes little of it, since two thousand that ask and read nothing come in a second where somebody wishes us ill. One that has
//! taken more than its window can hold has read some of it, and is served in long writes from then on.
//!
//! Most clients never take so much: one that has stayed for a second is no part of such a crowd.

use std::time::Duration;

use crate::net::NARROW_BYTES;

/// Who has taken so much has read: it is more than a window that nobody reads from grows to, which is 64 KiB, and what the
/// socket holds back of a newcomer.
const PROOF_BYTES: usize = 128 << 10;
/// Who has stayed for so long waits for no newcomer.
const SETTLED: Duration = Duration::from_secs(1);

/// When it came, and what was written since, as far as that matters.
#[derive(Debug)]
pub(super) struct Standing {
    came: Duration,
    written: usize,
}

impl Standing {
    pub(super) fn new(came: Duration) -> Self {
        Self { came, written: 0 }
    }

    /// Whether it came long ago.
    pub(super) fn has_settled(&self, now: Duration) -> bool {
        now.saturating_sub(self.came) >= SETTLED
    }

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
        let mut standing = Standing::new(Duration::ZERO);
        assert_eq!(standing.most(), NARROW_BYTES);
        assert!(!standing.has_written(PROOF_BYTES - 1));
        assert_eq!(standing.most(), NARROW_BYTES);
        assert!(standing.has_written(1));
        assert!(!standing.has_written(1));
        assert_eq!(standing.most(), usize::MAX);
    }

    #[test]
    fn one_that_has_stayed_for_a_second_has_settled() {
        let standing = Standing::new(SETTLED);
        assert!(!standing.has_settled(2 * SETTLED - Duration::from_nanos(1)));
        assert!(standing.has_settled(2 * SETTLED));
    }
}
