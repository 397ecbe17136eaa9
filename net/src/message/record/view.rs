//! Reading one record without copying: every length is checked once, in [`Record::parse`]; body, topic and properties
//! stay where they lie.

use super::{FIXED_BYTES, MAGIC, MAGIC_LONG_TOPIC, RecordError, TOPIC_BYTES_MAX, body_crc};
use crate::message::cursor::Cursor;
use crate::message::host;
use crate::message::sysflag::{self, BORN_HOST_V6, STORE_HOST_V6, TransactionType};
use std::net::SocketAddr;

/// One record in bytes that outlive it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    bytes: &'a [u8],
    body_crc: u32,
    queue_id: i32,
    flag: i32,
    queue_offset: u64,
    physical_offset: u64,
    system_flag: i32,
    born_timestamp_ms: i64,
    born_host: SocketAddr,
    store_timestamp_ms: i64,
    store_host: SocketAddr,
    reconsume_times: i32,
    prepared_transaction_offset: i64,
    body: &'a [u8],
    topic: &'a [u8],
    properties: &'a [u8],
}

impl<'a> Record<'a> {
    /// Reads the record at the start of `bytes`, behind which others may follow.
    ///
    /// The body's CRC is not checked here, nor that the topic is UTF-8: a reader that needs neither should not pay, and
    /// one odd topic must not end a log.
    ///
    /// # Errors
    /// When the bytes end early, do not begin with a record, or hold lengths that contradict each other.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let (total_size, magic) = read_start(bytes)?;
        let Some(record) = bytes.get(..total_size) else {
            return Err(RecordError::Truncated {
                needed: total_size,
                given: bytes.len(),
            });
        };
        Self::read(record, magic == MAGIC_LONG_TOPIC).ok_or(RecordError::Fields { total_size })
    }

    fn read(bytes: &'a [u8], has_long_topic: bool) -> Option<Self> {
        let mut fields = Cursor::new(bytes);
        fields.take(8)?;
        let body_crc = fields.u32()?;
        let queue_id = fields.i32()?;
        let flag = fields.i32()?;
        let queue_offset = fields.position()?;
        let physical_offset = fields.position()?;
        let system_flag = fields.i32()?;
        let born_timestamp_ms = fields.i64()?;
        let born_host = read_host(&mut fields, system_flag & BORN_HOST_V6 != 0)?;
        let store_timestamp_ms = fields.i64()?;
        let store_host = read_host(&mut fields, system_flag & STORE_HOST_V6 != 0)?;
        let reconsume_times = fields.i32()?;
        let prepared_transaction_offset = fields.i64()?;
        let body = fields.int_prefixed()?;
        let topic = if has_long_topic {
            fields.short_prefixed()?
        } else {
            let length = usize::from(fields.u8()?);
            fields.take(length).filter(|topic| topic.len() <= TOPIC_BYTES_MAX)?
        };
        let properties = fields.short_prefixed()?;
        fields.is_empty().then_some(Self {
            bytes,
            body_crc,
            queue_id,
            flag,
            queue_offset,
            physical_offset,
            system_flag,
            born_timestamp_ms,
            born_host,
            store_timestamp_ms,
            store_host,
            reconsume_times,
            prepared_transaction_offset,
            body,
            topic,
            properties,
        })
    }

    /// Checks the body against its CRC.
    ///
    /// # Errors
    /// When they differ. An empty body is not checked, as in Java, where it may be stored with any CRC.
    pub fn verify_crc(&self) -> Result<(), RecordError> {
        let computed = body_crc(self.body);
        if self.body.is_empty() || computed == self.body_crc {
            return Ok(());
        }
        Err(RecordError::BodyCrc {
            stored: self.body_crc,
            computed,
        })
    }

    /// Returns the whole record as stored.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns the bytes of the whole record.
    pub fn total_size(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the CRC of the body as stored.
    pub fn body_crc(&self) -> u32 {
        self.body_crc
    }

    /// Returns the queue within the topic.
    pub fn queue_id(&self) -> i32 {
        self.queue_id
    }

    /// Returns the application's own flag.
    pub fn flag(&self) -> i32 {
        self.flag
    }

    /// Returns the index in the consume queue.
    pub fn queue_offset(&self) -> u64 {
        self.queue_offset
    }

    /// Returns the position in the commit log that the record says it has.
    pub fn physical_offset(&self) -> u64 {
        self.physical_offset
    }

    /// Returns the system flag, whose bits are in [`sysflag`].
    pub fn system_flag(&self) -> i32 {
        self.system_flag
    }

    /// Returns the part in a transaction.
    pub fn transaction_type(&self) -> TransactionType {
        sysflag::transaction_type(self.system_flag)
    }

    /// Returns when the client made the message, ms of its clock.
    pub fn born_timestamp_ms(&self) -> i64 {
        self.born_timestamp_ms
    }

    /// Returns where the client sent the message from.
    pub fn born_host(&self) -> SocketAddr {
        self.born_host
    }

    /// Returns when the broker stored the message, ms of its clock.
    pub fn store_timestamp_ms(&self) -> i64 {
        self.store_timestamp_ms
    }

    /// Returns the broker that stored the message.
    pub fn store_host(&self) -> SocketAddr {
        self.store_host
    }

    /// Returns how often a consumer sent the message back.
    pub fn reconsume_times(&self) -> i32 {
        self.reconsume_times
    }

    /// Returns the physical offset of the half message, 0 where there is none.
    pub fn prepared_transaction_offset(&self) -> i64 {
        self.prepared_transaction_offset
    }

    /// Returns the body as stored, compressed or not.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// Returns the topic.
    ///
    /// # Errors
    /// When it is not UTF-8.
    pub fn topic(&self) -> Result<&'a str, RecordError> {
        std::str::from_utf8(self.topic).map_err(|_| RecordError::TopicNotUtf8)
    }

    /// Returns the properties string.
    pub fn properties(&self) -> &'a [u8] {
        self.properties
    }
}

/// Reads size and magic, and refuses sizes that no record has.
fn read_start(bytes: &[u8]) -> Result<(usize, u32), RecordError> {
    let mut start = Cursor::new(bytes);
    let (Some(total_size), Some(magic)) = (start.i32(), start.u32()) else {
        return Err(RecordError::Truncated {
            needed: FIXED_BYTES,
            given: bytes.len(),
        });
    };
    if magic != MAGIC && magic != MAGIC_LONG_TOPIC {
        return Err(RecordError::Magic { magic });
    }
    match usize::try_from(total_size) {
        Ok(size) if size >= FIXED_BYTES => Ok((size, magic)),
        _ => Err(RecordError::TotalSize { total_size }),
    }
}

/// Takes the lower 16 bits for the port: Java keeps records with more, and they must stay readable.
fn read_host(fields: &mut Cursor<'_>, is_v6: bool) -> Option<SocketAddr> {
    host::read(fields, is_v6).map(|(ip, port)| SocketAddr::new(ip, port as u16))
}

#[cfg(test)]
mod tests {
    use super::super::{V6_EXTRA_BYTES, encode, place, tests::fields};
    use super::*;

    fn encoded() -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(&fields("1.2.3.4:5", "[2001:db8::2]:10911"), &mut bytes).unwrap();
        place(&mut bytes, 11, 12, 13).unwrap();
        bytes
    }

    #[test]
    fn every_field_is_read_back() {
        let bytes = encoded();
        let followed = [&bytes[..], b"more"].concat();
        let record = Record::parse(&followed).unwrap();
        let fields = fields("1.2.3.4:5", "[2001:db8::2]:10911");
        assert_eq!(record.as_bytes(), bytes);
        assert_eq!(record.total_size(), bytes.len());
        assert_eq!(record.body_crc(), fields.body_crc);
        assert_eq!((record.queue_id(), record.flag()), (3, 7));
        assert_eq!(
            (
                record.queue_offset(),
                record.physical_offset(),
                record.store_timestamp_ms()
            ),
            (11, 12, 13)
        );
        assert_eq!(record.system_flag(), 0x28);
        assert_eq!(record.transaction_type(), TransactionType::Commit);
        assert_eq!(record.born_timestamp_ms(), fields.born_timestamp_ms);
        assert_eq!(
            (record.born_host(), record.store_host()),
            (fields.born_host, fields.store_host)
        );
        assert_eq!(
            (record.reconsume_times(), record.prepared_transaction_offset()),
            (2, 4096)
        );
        assert_eq!((record.body(), record.topic()), (fields.body, Ok(fields.topic)));
        assert_eq!(record.properties(), fields.properties);
        assert_eq!(record.verify_crc(), Ok(()));
    }

    #[test]
    fn lengths_that_do_not_add_up_are_refused() {
        let bytes = encoded();
        let body_length = 84 + V6_EXTRA_BYTES;
        let topic_length = body_length + 4 + 5;
        let properties_length = topic_length + 1 + 9;
        for at in [
            body_length,
            body_length + 3,
            topic_length,
            properties_length,
            properties_length + 1,
        ] {
            for value in [0, 1, 0x7F, 0x80, 0xFF] {
                let mut wrong = bytes.clone();
                if std::mem::replace(&mut wrong[at], value) != value {
                    let total_size = bytes.len();
                    assert_eq!(
                        Record::parse(&wrong),
                        Err(RecordError::Fields { total_size }),
                        "{at} {value}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_size_no_record_has_is_refused() {
        for total_size in [0, 90, -1, i32::MIN] {
            let mut bytes = encoded();
            bytes[..4].copy_from_slice(&total_size.to_be_bytes());
            assert_eq!(Record::parse(&bytes), Err(RecordError::TotalSize { total_size }));
        }
    }

    #[test]
    fn a_cut_record_says_what_it_needs() {
        let bytes = encoded();
        for given in 0..bytes.len() {
            let needed = if given < 8 { FIXED_BYTES } else { bytes.len() };
            assert_eq!(
                Record::parse(&bytes[..given]),
                Err(RecordError::Truncated { needed, given })
            );
        }
    }

    #[test]
    fn a_flipped_bit_in_the_body_fails_the_crc() {
        let mut bytes = encoded();
        bytes[84 + V6_EXTRA_BYTES + 4] ^= 1;
        assert!(matches!(
            Record::parse(&bytes).unwrap().verify_crc(),
            Err(RecordError::BodyCrc { .. })
        ));
    }

    #[test]
    fn the_long_topic_form_of_5_x_is_read() {
        let bytes = encoded();
        let topic_at = 84 + V6_EXTRA_BYTES + 4 + 5;
        let topic = "t".repeat(300);
        let mut long = [&bytes[..topic_at], &[1, 44], topic.as_bytes(), &bytes[topic_at + 10..]].concat();
        let total = (long.len() as i32).to_be_bytes();
        long[..4].copy_from_slice(&total);
        long[4..8].copy_from_slice(&MAGIC_LONG_TOPIC.to_be_bytes());
        assert_eq!(Record::parse(&long).unwrap().topic(), Ok(&topic[..]));
    }

    #[test]
    fn a_topic_that_is_not_utf_8_spoils_the_topic_alone() {
        let mut bytes = encoded();
        bytes[84 + V6_EXTRA_BYTES + 4 + 5 + 1] = 0xFF;
        let record = Record::parse(&bytes).unwrap();
        assert_eq!(record.topic(), Err(RecordError::TopicNotUtf8));
        assert_eq!(record.queue_offset(), 11);
    }
}
