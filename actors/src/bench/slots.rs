//! The requests in flight on one connection: which opaque means which, and when each began.
//!
//! An opaque is the first one, plus the slot, plus the number of slots times a turn: a late second answer to a request
//! is not taken for the answer to the one that follows it in its slot.

use super::template::{FIRST_OPAQUE, OPAQUES};

/// A request that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flown {
    /// Its slot.
    pub(super) slot: usize,
    /// When it began, or was due.
    pub(super) since_ns: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// 0: free.
    opaque: i32,
    since_ns: u64,
}

/// The slots.
#[derive(Debug)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    free: Vec<u32>,
    turn: i32,
}

impl Slots {
    /// Makes `count` free slots, at most 65,536.
    pub(super) fn new(count: u32) -> Self {
        Self {
            slots: vec![Slot::default(); count as usize],
            free: (0..count).rev().collect(),
            turn: 0,
        }
    }

    /// Takes a free slot for a request that begins now, or was due then; its number and its opaque.
    pub(super) fn take(&mut self, since_ns: u64) -> Option<(usize, i32)> {
        let slot = self.free.pop()?;
        let count = self.slots.len() as i32;
        let opaque = FIRST_OPAQUE + self.turn * count + slot as i32;
        self.turn += 1;
        if self.turn >= OPAQUES / count {
            self.turn = 0;
        }
        self.slots[slot as usize] = Slot { opaque, since_ns };
        Some((slot as usize, opaque))
    }

    /// Frees the slot of an answered request; `None` when no request in flight has this opaque.
    pub(super) fn answer(&mut self, opaque: i32) -> Option<Flown> {
        let number = opaque.checked_sub(FIRST_OPAQUE).filter(|number| *number >= 0)?;
        let slot = number as usize % self.slots.len();
        let found = &mut self.slots[slot];
        if found.opaque != opaque {
            return None;
        }
        let since_ns = found.since_ns;
        *found = Slot::default();
        self.free.push(slot as u32);
        Some(Flown { slot, since_ns })
    }

    pub(super) fn has_free(&self) -> bool {
        !self.free.is_empty()
    }

    /// How many requests are in flight.
    pub(super) fn in_flight(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// When each request in flight began.
    pub(super) fn open(&self) -> impl Iterator<Item = u64> {
        self.slots
            .iter()
            .filter(|slot| slot.opaque != 0)
            .map(|slot| slot.since_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_find_their_requests_in_any_order() {
        let mut slots = Slots::new(2);
        let (_, first) = slots.take(10).unwrap();
        let (_, second) = slots.take(20).unwrap();
        assert_eq!(slots.take(30), None);
        assert_eq!(slots.answer(second).map(|flown| flown.since_ns), Some(20));
        assert_eq!(slots.open().collect::<Vec<_>>(), [10]);
        assert_eq!(slots.answer(first).map(|flown| flown.since_ns), Some(10));
        assert_eq!(slots.in_flight(), 0);
    }

    #[test]
    fn a_second_answer_is_nobodys() {
        let mut slots = Slots::new(1);
        let (_, first) = slots.take(1).unwrap();
        assert!(slots.answer(first).is_some());
        let (slot, second) = slots.take(2).unwrap();
        assert_eq!(slots.answer(first), None);
        assert_eq!(slots.answer(7), None);
        assert_eq!(slots.answer(i32::MIN), None);
        assert_eq!(slots.answer(second), Some(Flown { slot, since_ns: 2 }));
    }

    #[test]
    fn opaques_keep_ten_digits_for_ever() {
        let mut slots = Slots::new(65_536);
        for _ in 0..100_000 {
            let (_, opaque) = slots.take(0).unwrap();
            assert!((1_000_000_000..2_000_000_000).contains(&opaque));
            slots.answer(opaque).unwrap();
        }
    }
}
