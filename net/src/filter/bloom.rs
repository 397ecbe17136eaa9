//! Which bits of a message's bitmap belong to a group: a Bloom filter, as Java's broker has it (`BloomFilter`), whose bits are
//! the first 64 of murmur3_128 over UTF-8, as its library computes them.
//!
//! A broker tries each message on the filters of all groups when it is stored, sets the bits of those that match, and later
//! passes over what has not all bits of a group. Other groups' bits can look like its own, but none of its own is missing.
//! In a bitmap bit p is bit p mod 8, the lowest first, of byte p/8.

use std::f64::consts::E;

/// The longest bitmap: a unit of a consume queue's extension has at most 32767 bytes, 20 of them its head.
const BITS_MAX: u32 = (32_767 - 20) * 8;

/// How many bits a bitmap has, and how many each group sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bloom {
    bits: u32,
    hashes: u32,
}

impl Default for Bloom {
    /// Those of RocketMQ's settings: 20 % and 32 groups, which is 112 bits.
    fn default() -> Self {
        Self { bits: 112, hashes: 3 }
    }
}

impl Bloom {
    /// Bitmaps that tell so many groups apart and take one for another in so many of a hundred cases; `None` for a rate below
    /// 1 or above 99, for no groups, and for so many that their bitmap would not fit a unit of its file.
    #[must_use]
    pub fn new(error_percent: u32, groups: u32) -> Option<Self> {
        if !(1..100).contains(&error_percent) || !(1..=BITS_MAX).contains(&groups) {
            return None;
        }
        let log = |base: f64, value: f64| value.ln() / base.ln();
        let rate = f64::from(error_percent) / 100.0;
        let hashes = log(0.5, rate).ceil() as u32;
        let bits = (f64::from(groups) * log(2.0, 1.0 / rate) * log(2.0, E)).ceil() as u32;
        let bits = bits.div_ceil(8) * 8;
        (bits <= BITS_MAX).then_some(Self { bits, hashes })
    }

    /// The bits of a bitmap.
    #[must_use]
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// How many bits each group sets.
    #[must_use]
    pub fn hashes(&self) -> u32 {
        self.hashes
    }

    /// The bits of a group's filter on a topic.
    #[must_use]
    pub fn positions(&self, group: &str, topic: &str) -> Vec<u32> {
        let hash = murmur3(format!("{group}#{topic}").as_bytes());
        let (low, high) = (hash as u32, (hash >> 32) as u32);
        let position = |number: u32| {
            let combined = low.wrapping_add(number.wrapping_mul(high)).cast_signed();
            (if combined < 0 { !combined } else { combined }).cast_unsigned() % self.bits
        };
        (1..=self.hashes).map(position).collect()
    }
}

const C1: u64 = 0x87c3_7b91_1142_53d5;
const C2: u64 = 0x4cf5_ad43_2745_937f;

/// The first half of MurmurHash3's 128 bits for 64-bit machines, with seed 0.
fn murmur3(bytes: &[u8]) -> u64 {
    let (mut one, mut two) = (0_u64, 0_u64);
    let (blocks, rest) = bytes.as_chunks::<16>();
    for block in blocks {
        let (first, second) = halves(block);
        one ^= mix_first(first);
        one = one
            .rotate_left(27)
            .wrapping_add(two)
            .wrapping_mul(5)
            .wrapping_add(0x52dc_e729);
        two ^= mix_second(second);
        two = two
            .rotate_left(31)
            .wrapping_add(one)
            .wrapping_mul(5)
            .wrapping_add(0x3849_5ab5);
    }
    let mut last = [0; 16];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    let (first, second) = halves(&last);
    one ^= mix_first(first) ^ bytes.len() as u64;
    two ^= mix_second(second) ^ bytes.len() as u64;
    one = one.wrapping_add(two);
    two = two.wrapping_add(one);
    finished(one).wrapping_add(finished(two))
}

fn halves(block: &[u8; 16]) -> (u64, u64) {
    let both = u128::from_le_bytes(*block);
    (both as u64, (both >> 64) as u64)
}

fn mix_first(half: u64) -> u64 {
    half.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2)
}

fn mix_second(half: u64) -> u64 {
    half.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1)
}

fn finished(mut bits: u64) -> u64 {
    bits = (bits ^ bits >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    bits = (bits ^ bits >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    bits ^ bits >> 33
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bitmap_is_as_long_as_javas() {
        assert_eq!(Bloom::new(20, 32), Some(Bloom::default()));
        assert_eq!(Bloom::new(50, 1), Some(Bloom { bits: 8, hashes: 1 }));
        for (error_percent, groups) in [(0, 32), (100, 32), (20, 0), (20, 80_000), (20, u32::MAX)] {
            assert_eq!(Bloom::new(error_percent, groups), None);
        }
    }
}
