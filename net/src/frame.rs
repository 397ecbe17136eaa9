//! The frame around every command, and the check of its lengths before anything is allocated for it.
//!
//! | bytes | meaning |
//! |---|---|
//! | 4 | length of everything after this field: 4 + header + body |
//! | 1 | header codec: 0 = JSON, 1 = ROCKETMQ binary |
//! | 3 | length of the header |
//! | … | header |
//! | … | body, the rest |
//!
//! Mirrors `NettyDecoder` and `RemotingCommand.decode`. The limit counts the length field, as Netty's does.
#![deny(clippy::indexing_slicing)]

use std::ops::Range;

pub use crate::error::FrameError;
use crate::header::MAX_HEADER_BYTES;

/// The longest frame that Java peers take, the length field included.
pub const MAX_FRAME_BYTES: usize = 16_777_216;

/// Bytes of the length field and the header word, which every frame begins with.
pub const PREFIX_BYTES: usize = 8;

/// Bytes of the length field, which does not count itself.
const LENGTH_BYTES: usize = 4;

/// How a header is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HeaderCodec {
    /// UTF-8 JSON.
    #[default]
    Json,
    /// The compact form that Java calls ROCKETMQ.
    Binary,
}

impl HeaderCodec {
    /// The codec's number in the header word.
    pub const fn number(self) -> u8 {
        match self {
            Self::Json => 0,
            Self::Binary => 1,
        }
    }

    /// Finds the codec with this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Json),
            1 => Some(Self::Binary),
            _ => None,
        }
    }
}

/// Where the parts of a complete frame lie in the buffer that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// How the header is written.
    pub codec: HeaderCodec,
    /// The header's bytes.
    pub header: Range<usize>,
    /// The body's bytes; empty when there is none.
    pub body: Range<usize>,
    /// Bytes that the whole frame takes, the length field included.
    pub total: usize,
}

/// Looks for a complete frame at the start of `buffered`; `None` means that more bytes are needed. `max` is the longest
/// frame that is accepted, in bytes with the length field; a frame that cannot be one is an error as soon as the bytes
/// that say so are there.
pub fn check(buffered: &[u8], max: usize) -> Result<Option<Frame>, FrameError> {
    let Some((length, rest)) = buffered.split_first_chunk::<LENGTH_BYTES>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*length);
    let announced = u64::from(length) + LENGTH_BYTES as u64;
    let total = match usize::try_from(announced) {
        Ok(total) if total <= max => total,
        _ => return Err(FrameError::TooLarge { announced, limit: max }),
    };
    let Some(room) = total.checked_sub(PREFIX_BYTES) else {
        return Err(FrameError::TooShort { announced: length });
    };
    let Some(&[codec, high, middle, low]) = rest.first_chunk::<4>() else {
        return Ok(None);
    };
    let Some(codec) = HeaderCodec::from_number(codec) else {
        return Err(FrameError::UnknownCodec(codec));
    };
    let header = u32::from_be_bytes([0, high, middle, low]) as usize;
    if header > room {
        return Err(FrameError::HeaderBeyondFrame { header, room });
    }
    if header > MAX_HEADER_BYTES {
        return Err(FrameError::HeaderTooLarge {
            header,
            limit: MAX_HEADER_BYTES,
        });
    }
    if buffered.len() < total {
        return Ok(None);
    }
    let body = PREFIX_BYTES + header;
    Ok(Some(Frame {
        codec,
        header: PREFIX_BYTES..body,
        body: body..total,
        total,
    }))
}

/// Tells how many bytes the frame at the start of `buffered` takes in all, once its length field is there and sane.
pub fn needed(buffered: &[u8]) -> Option<usize> {
    let length = u32::from_be_bytes(*buffered.first_chunk::<LENGTH_BYTES>()?);
    let total = usize::try_from(length).ok()?.checked_add(LENGTH_BYTES)?;
    (PREFIX_BYTES..=MAX_FRAME_BYTES).contains(&total).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn prefix(length: u32, word: u32) -> Vec<u8> {
        [length.to_be_bytes(), word.to_be_bytes()].concat()
    }

    #[test]
    fn a_complete_frame_is_found_with_its_parts() {
        let mut bytes = prefix(4 + 3 + 2, 0x0100_0003);
        bytes.extend(b"hdrbo-next");
        let frame = check(&bytes, MAX_FRAME_BYTES).unwrap().unwrap();
        assert_eq!(
            frame,
            Frame {
                codec: HeaderCodec::Binary,
                header: 8..11,
                body: 11..13,
                total: 13
            }
        );
    }

    #[test]
    fn a_frame_that_is_not_all_there_waits() {
        let mut bytes = prefix(4 + 3, 3);
        bytes.extend(b"hdr");
        for end in 0..bytes.len() {
            assert_eq!(check(&bytes[..end], MAX_FRAME_BYTES), Ok(None), "{end} bytes");
        }
        assert!(check(&bytes, MAX_FRAME_BYTES).unwrap().is_some());
    }

    #[test]
    fn the_limit_counts_the_length_field() {
        let limit = MAX_FRAME_BYTES;
        assert_eq!(check(&(limit as u32 - 4).to_be_bytes(), limit), Ok(None));
        assert_eq!(
            check(&(limit as u32 - 3).to_be_bytes(), limit),
            Err(FrameError::TooLarge {
                announced: limit as u64 + 1,
                limit
            })
        );
        assert_eq!(
            check(&[0xff; 4], limit),
            Err(FrameError::TooLarge {
                announced: u64::from(u32::MAX) + 4,
                limit
            }),
            "a negative length in Java"
        );
    }

    #[test]
    fn senseless_lengths_and_codecs_are_refused_at_once() {
        assert_eq!(
            check(&prefix(3, 0)[..4], 100),
            Err(FrameError::TooShort { announced: 3 })
        );
        assert_eq!(
            check(&prefix(10, 7), 100),
            Err(FrameError::HeaderBeyondFrame { header: 7, room: 6 })
        );
        assert_eq!(check(&prefix(10, 0x0200_0006), 100), Err(FrameError::UnknownCodec(2)));
        let header = MAX_HEADER_BYTES + 1;
        assert_eq!(
            check(&prefix(header as u32 + 4, header as u32), MAX_FRAME_BYTES),
            Err(FrameError::HeaderTooLarge {
                header,
                limit: MAX_HEADER_BYTES
            })
        );
    }

    #[test]
    fn the_needed_bytes_are_known_from_the_length_field() {
        assert_eq!(needed(&[0, 0, 0]), None);
        assert_eq!(needed(&9_u32.to_be_bytes()), Some(13));
        assert_eq!(needed(&3_u32.to_be_bytes()), None);
        assert_eq!(needed(&u32::MAX.to_be_bytes()), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(Some(frame)) = check(&bytes, MAX_FRAME_BYTES) {
                prop_assert!(frame.total <= bytes.len());
                prop_assert_eq!(frame.header.end, frame.body.start);
                prop_assert_eq!(frame.body.end, frame.total);
                prop_assert_eq!(needed(&bytes), Some(frame.total));
            }
        }
    }
}
