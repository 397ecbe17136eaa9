//! The fixed part of a record in the log, by which recovery and readers tell whether to read the rest.
//!
//! A size can be damaged, or be no size at all, and claim a whole file. Before so much is allocated, the record has to say
//! that it lies where it does, and its size has to agree with the length of its body.

#![deny(clippy::indexing_slicing)]

use cuemq_net::message::record::{self, MAGIC, MAGIC_LONG_TOPIC, V6_EXTRA_BYTES, position};
use cuemq_net::message::sysflag::{BORN_HOST_V6, STORE_HOST_V6};

use crate::position::PhysicalOffset;

/// As many bytes hold the fixed part of every record, up to the length of its body.
pub(crate) const HEAD_BYTES: usize = 128;
/// Where the length of the body is, with IPv4 hosts.
const BODY_LENGTH_AT: usize = 84;
/// How much a topic and properties can add, and the second byte of a long topic's length.
const TEXTS_MAX: usize = 2 * u16::MAX as usize + 1;

/// What the fixed part says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) total_size: usize,
    pub(crate) physical_offset: PhysicalOffset,
    pub(crate) store_timestamp_ms: i64,
}

impl Head {
    /// Reads the fixed part at the start of `bytes`; `None` when it is cut short or is that of no record.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let magic = u32::from_be_bytes(at(bytes, position::MAGIC)?);
        if magic != MAGIC && magic != MAGIC_LONG_TOPIC {
            return None;
        }
        let system_flag = i32::from_be_bytes(at(bytes, position::SYSTEM_FLAG)?);
        let extra = |flag| if system_flag & flag == 0 { 0 } else { V6_EXTRA_BYTES };
        let (born, store) = (extra(BORN_HOST_V6), extra(STORE_HOST_V6));
        let body = length(bytes, BODY_LENGTH_AT + born + store)?;
        let total_size = length(bytes, position::TOTAL_SIZE)?;
        let least = record::FIXED_BYTES + born + store + body;
        (least..=least + TEXTS_MAX).contains(&total_size).then_some(Self {
            total_size,
            physical_offset: PhysicalOffset(u64::from_be_bytes(at(bytes, position::PHYSICAL_OFFSET)?)),
            store_timestamp_ms: i64::from_be_bytes(at(bytes, position::STORE_TIMESTAMP + born)?),
        })
    }
}

fn at<const LENGTH: usize>(bytes: &[u8], from: usize) -> Option<[u8; LENGTH]> {
    bytes.get(from..)?.first_chunk().copied()
}

fn length(bytes: &[u8], from: usize) -> Option<usize> {
    usize::try_from(i32::from_be_bytes(at(bytes, from)?)).ok()
}

#[cfg(test)]
mod tests {
    use cuemq_net::message::record::{RecordFields, encode, place};

    use super::*;

    fn record(born_host: &str, store_host: &str) -> Vec<u8> {
        let fields = RecordFields {
            body: b"body",
            body_crc: record::body_crc(b"body"),
            topic: "T",
            properties: b"",
            queue_id: 0,
            flag: 0,
            system_flag: 0,
            born_timestamp_ms: 1,
            born_host: born_host.parse().unwrap(),
            store_host: store_host.parse().unwrap(),
            reconsume_times: 0,
            prepared_transaction_offset: 0,
        };
        let mut bytes = Vec::new();
        encode(&fields, &mut bytes).unwrap();
        place(&mut bytes, 5, 4096, 77).unwrap();
        bytes
    }

    #[test]
    fn the_head_is_read_for_all_kinds_of_hosts() {
        let (four, six) = ("1.2.3.4:5", "[2001:db8::2]:10911");
        for (born, store) in [(four, four), (four, six), (six, four), (six, six)] {
            let bytes = record(born, store);
            let head = Head {
                total_size: bytes.len(),
                physical_offset: PhysicalOffset(4096),
                store_timestamp_ms: 77,
            };
            assert_eq!(Head::read(&bytes), Some(head), "{born} {store}");
            let body_at = bytes.windows(4).position(|window| window == b"body").unwrap();
            assert_eq!(Head::read(&bytes[..body_at]), Some(head));
            assert_eq!(Head::read(&bytes[..body_at - 1]), None);
        }
    }

    #[test]
    fn promise_5_a_size_that_the_length_of_the_body_contradicts_is_none() {
        for size in [0, -1, 94, 1 << 29, i32::MAX] {
            let mut bytes = record("1.2.3.4:5", "1.2.3.4:6");
            bytes[..4].copy_from_slice(&size.to_be_bytes());
            assert_eq!(Head::read(&bytes), None, "{size}");
        }
        let mut bytes = record("1.2.3.4:5", "1.2.3.4:6");
        bytes[4] = 0;
        assert_eq!(Head::read(&bytes), None);
    }
}
