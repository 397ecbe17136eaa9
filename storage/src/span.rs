//! A stretch of the log that somebody was handed and has not done with: extended by what is handed, shortened by what is
//! done, gone when all is.

use crate::position::PhysicalOffset;

/// From where to where somebody owes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: PhysicalOffset,
    upto: PhysicalOffset,
}

impl Span {
    /// What was handed first, of `from..upto`.
    pub(crate) fn new(from: PhysicalOffset, upto: PhysicalOffset) -> Self {
        Self { from, upto }
    }

    /// Adds what was handed up to here.
    pub(crate) fn hand(&mut self, upto: PhysicalOffset) {
        self.upto = self.upto.max(upto);
    }

    /// What is left when everything up to here is done. It begins behind that; where exactly is not known, and need not be.
    pub(crate) fn without(self, upto: PhysicalOffset) -> Option<Self> {
        let from = self.from.max(upto);
        (self.upto > upto).then_some(Self { from, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: u64, upto: u64) -> Span {
        Span::new(PhysicalOffset(from), PhysicalOffset(upto))
    }

    #[test]
    fn what_is_handed_extends_it_and_what_is_done_shortens_it_and_nothing_takes_that_back() {
        for (handed, extended) in [(200, span(100, 200)), (400, span(100, 400)), (50, span(100, 200))] {
            let mut owed = span(100, 200);
            owed.hand(PhysicalOffset(handed));
            assert_eq!(owed, extended, "{handed}");
        }
        for (done, left) in [
            (50, Some(span(100, 400))),
            (200, Some(span(200, 400))),
            (400, None),
            (500, None),
        ] {
            assert_eq!(span(100, 400).without(PhysicalOffset(done)), left, "{done}");
        }
    }
}
