//! One stored message (Java: `CommitLog.DefaultAppendMessageCallback`, `MessageDecoder`): the commit log is a run of
//! these, and pulls, views, queries and transaction checks return them unchanged.
//!
//! | bytes (IPv4 hosts) | field | |
//! |---|---|---|
//! | 0..4 | total size | of the whole record |
//! | 4..8 | magic | [`MAGIC`] or [`MAGIC_LONG_TOPIC`] |
//! | 8..12 | body CRC | CRC-32 of the body as stored, without its highest bit |
//! | 12..16 | queue id | |
//! | 16..20 | flag | the application's own |
//! | 20..28 | queue offset | its index in the consume queue; 0 for prepared and rolled back |
//! | 28..36 | physical offset | its position in the commit log |
//! | 36..40 | system flag | [`super::sysflag`] |
//! | 40..48 | born timestamp | ms, the client's clock |
//! | 48..56 | born host | 8 bytes, or 20 with system flag 0x10 |
//! | 56..64 | store timestamp | ms, the broker's clock |
//! | 64..72 | store host | 8 bytes, or 20 with system flag 0x20 |
//! | 72..76 | reconsume times | |
//! | 76..84 | prepared transaction offset | the half message's position, on committed ones |
//! | 84.. | body | 4-byte length, bytes |
//! | | topic | 1-byte length (2 with [`MAGIC_LONG_TOPIC`]), UTF-8 |
//! | | properties | 2-byte length, [`super::properties`] |
//!
//! A commit log file ends with a blank record: the bytes left as an `int`, then [`BLANK_MAGIC`].

mod encode;
mod view;
mod walk;

pub use encode::{RecordFields, blank, encode, encoded_length, place};
pub use view::Record;
pub use walk::{Inspection, Records, inspect, records};

/// Marks a record.
pub const MAGIC: u32 = 0xDAA3_20A7;
/// Marks a record with a 2-byte topic length, which 5.x brokers write for topics over 127 bytes; read, never written.
pub const MAGIC_LONG_TOPIC: u32 = 0xDAA3_20AB;
/// Marks the blank record at the end of a commit log file.
pub const BLANK_MAGIC: u32 = 0xCBD4_3194;
/// The bytes of a record with IPv4 hosts besides body, topic and properties.
pub const FIXED_BYTES: usize = 91;
/// The bytes of a blank record that are defined; a commit log file keeps at least as many free.
pub const BLANK_BYTES: usize = 8;
/// The bytes an IPv6 host takes beyond an IPv4 one.
pub const V6_EXTRA_BYTES: usize = super::host::V6_BYTES - super::host::V4_BYTES;
/// The longest topic, in bytes of UTF-8.
pub const TOPIC_BYTES_MAX: usize = i8::MAX as usize;
/// The longest properties string, in bytes.
pub const PROPERTIES_BYTES_MAX: usize = i16::MAX as usize;

/// Where fields begin, in bytes from the record's start; those after the born host are 12 further with an IPv6 one.
pub mod position {
    /// Total size, 4 bytes.
    pub const TOTAL_SIZE: usize = 0;
    /// Magic, 4 bytes.
    pub const MAGIC: usize = 4;
    /// Body CRC, 4 bytes.
    pub const BODY_CRC: usize = 8;
    /// Queue id, 4 bytes.
    pub const QUEUE_ID: usize = 12;
    /// Application flag, 4 bytes.
    pub const FLAG: usize = 16;
    /// Queue offset, 8 bytes.
    pub const QUEUE_OFFSET: usize = 20;
    /// Physical offset, 8 bytes.
    pub const PHYSICAL_OFFSET: usize = 28;
    /// System flag, 4 bytes.
    pub const SYSTEM_FLAG: usize = 36;
    /// Born timestamp, 8 bytes.
    pub const BORN_TIMESTAMP: usize = 40;
    /// Born host, 8 or 20 bytes.
    pub const BORN_HOST: usize = 48;
    /// Store timestamp behind an IPv4 born host, 8 bytes.
    pub const STORE_TIMESTAMP: usize = 56;
}

/// Why a record cannot be written or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The topic to write is longer than [`TOPIC_BYTES_MAX`].
    #[error("topic of {length} bytes is longer than {TOPIC_BYTES_MAX}")]
    TopicTooLong {
        /// Its bytes.
        length: usize,
    },
    /// The properties to write are longer than [`PROPERTIES_BYTES_MAX`].
    #[error("properties of {length} bytes are longer than {PROPERTIES_BYTES_MAX}")]
    PropertiesTooLong {
        /// Their bytes.
        length: usize,
    },
    /// The record to write has more bytes than its size field can say.
    #[error("record does not fit in {} bytes", i32::MAX)]
    TooLarge,
    /// The bytes end before the record does.
    #[error("record of {needed} bytes is cut off after {given}")]
    Truncated {
        /// What the record needs.
        needed: usize,
        /// What there is.
        given: usize,
    },
    /// The magic is that of no record.
    #[error("no record has the magic {magic:#010x}")]
    Magic {
        /// What stands in its place.
        magic: u32,
    },
    /// The size is smaller than any record.
    #[error("no record has the size {total_size}")]
    TotalSize {
        /// The size field.
        total_size: i32,
    },
    /// The lengths inside contradict the size, or a position is negative.
    #[error("the fields of the record do not add up to its {total_size} bytes")]
    Fields {
        /// The size field.
        total_size: usize,
    },
    /// The body does not have the CRC that was stored with it.
    #[error("body has crc {computed:#010x}, stored is {stored:#010x}")]
    BodyCrc {
        /// The CRC in the record.
        stored: u32,
        /// The CRC of the body.
        computed: u32,
    },
    /// The topic is not UTF-8.
    #[error("topic is not utf-8")]
    TopicNotUtf8,
}

/// Returns the CRC of a body as records hold it, and the header of a broker's registration: CRC-32 without its highest bit.
pub fn body_crc(body: &[u8]) -> u32 {
    crc32fast::hash(body) & 0x7FFF_FFFF
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    pub(super) fn fields<'a>(born_host: &str, store_host: &str) -> RecordFields<'a> {
        let parse = |host: &str| host.parse::<SocketAddr>().unwrap();
        RecordFields {
            body: b"hello",
            body_crc: body_crc(b"hello"),
            topic: "TopicTest",
            properties: b"TAGS\x01TagA\x02",
            queue_id: 3,
            flag: 7,
            system_flag: 0x08,
            born_timestamp_ms: 1_700_000_000_123,
            born_host: parse(born_host),
            store_host: parse(store_host),
            reconsume_times: 2,
            prepared_transaction_offset: 4096,
        }
    }

    #[test]
    fn a_record_lies_byte_for_byte_as_the_table_says() {
        let mut bytes = Vec::new();
        let length = encode(&fields("192.168.1.2:50000", "10.0.0.1:10911"), &mut bytes).unwrap();
        place(&mut bytes, 5, 0x0102_0304, 1_700_000_001_000).unwrap();
        assert_eq!(length, FIXED_BYTES + 5 + 9 + 10);
        let expected = [
            &[0, 0, 0, 115, 0xDA, 0xA3, 0x20, 0xA7, 0x36, 0x10, 0xA6, 0x86][..],
            &[0, 0, 0, 3, 0, 0, 0, 7],
            &[0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 1, 2, 3, 4],
            &[0, 0, 0, 8],
            &1_700_000_000_123_i64.to_be_bytes(),
            &[192, 168, 1, 2, 0, 0, 0xC3, 0x50],
            &1_700_000_001_000_i64.to_be_bytes(),
            &[10, 0, 0, 1, 0, 0, 0x2A, 0x9F],
            &[0, 0, 0, 2],
            &[0, 0, 0, 0, 0, 0, 0x10, 0],
            b"\0\0\0\x05hello",
            b"\x09TopicTest",
            b"\0\x0ATAGS\x01TagA\x02",
        ]
        .concat();
        assert_eq!(bytes, expected);
    }

    #[test]
    fn the_body_crc_has_31_bits() {
        // 0xCBF43926 unmasked: the check value of CRC-32
        assert_eq!(body_crc(b"123456789"), 0x4BF4_3926);
        assert_eq!(body_crc(b""), 0);
    }
}
