//! Writing records, in two steps: the connection encodes everything it knows, the owner of the commit log then places the
//! record by patching what only it knows (queue offset, physical offset, store timestamp).

use super::{
    BLANK_MAGIC, FIXED_BYTES, MAGIC, PROPERTIES_BYTES_MAX, RecordError, TOPIC_BYTES_MAX, V6_EXTRA_BYTES, position,
};
use crate::message::host::HostBytes;
use crate::message::sysflag::{BORN_HOST_V6, STORE_HOST_V6};
use std::net::SocketAddr;

/// What a record holds besides the fields that [`place`] sets.
#[derive(Clone, Copy, Debug)]
pub struct RecordFields<'a> {
    /// The body as it is to be stored, compressed or not.
    pub body: &'a [u8],
    /// The CRC of that body, by [`super::body_crc`].
    pub body_crc: u32,
    /// The topic, at most 127 bytes.
    pub topic: &'a str,
    /// The properties string, at most 32767 bytes.
    pub properties: &'a [u8],
    /// The queue within the topic.
    pub queue_id: i32,
    /// The application's own flag.
    pub flag: i32,
    /// The system flag; the bits for IPv6 hosts are set and cleared by what the hosts are.
    pub system_flag: i32,
    /// When the client made the message, ms of its clock.
    pub born_timestamp_ms: i64,
    /// Where the client sent it from.
    pub born_host: SocketAddr,
    /// The broker that stores it.
    pub store_host: SocketAddr,
    /// How often a consumer sent it back.
    pub reconsume_times: i32,
    /// The physical offset of the half message, on committed ones; else 0.
    pub prepared_transaction_offset: i64,
}

/// Returns the bytes that [`encode`] will write.
///
/// # Errors
/// When the topic, the properties or the whole are too long for their length fields.
pub fn encoded_length(fields: &RecordFields<'_>) -> Result<usize, RecordError> {
    let is_v6 = |host: SocketAddr| usize::from(host.ip().to_canonical().is_ipv6());
    length(fields, is_v6(fields.born_host) + is_v6(fields.store_host))
}

fn length(fields: &RecordFields<'_>, v6_hosts: usize) -> Result<usize, RecordError> {
    if fields.topic.len() > TOPIC_BYTES_MAX {
        return Err(RecordError::TopicTooLong {
            length: fields.topic.len(),
        });
    }
    if fields.properties.len() > PROPERTIES_BYTES_MAX {
        return Err(RecordError::PropertiesTooLong {
            length: fields.properties.len(),
        });
    }
    let around_body = FIXED_BYTES + V6_EXTRA_BYTES * v6_hosts + fields.topic.len() + fields.properties.len();
    // a slice has at most isize::MAX bytes, so this sum does not wrap
    let total = around_body + fields.body.len();
    if i32::try_from(total).is_err() {
        return Err(RecordError::TooLarge);
    }
    Ok(total)
}

/// Appends one record to `out` and returns its bytes; queue offset, physical offset and store timestamp are 0.
///
/// # Errors
/// Those of [`encoded_length`]; `out` is then unchanged.
pub fn encode(fields: &RecordFields<'_>, out: &mut Vec<u8>) -> Result<usize, RecordError> {
    let born_host = HostBytes::of(fields.born_host);
    let store_host = HostBytes::of(fields.store_host);
    let total = length(fields, usize::from(born_host.is_v6()) + usize::from(store_host.is_v6()))?;
    let system_flag = with_bit(fields.system_flag, BORN_HOST_V6, born_host.is_v6());
    let system_flag = with_bit(system_flag, STORE_HOST_V6, store_host.is_v6());
    let [born_high, born_low] = words(fields.born_timestamp_ms);
    let [prepared_high, prepared_low] = words(fields.prepared_transaction_offset);
    let before_born_host = [
        total as u32,
        MAGIC,
        fields.body_crc,
        fields.queue_id.cast_unsigned(),
        fields.flag.cast_unsigned(),
        0, // queue offset
        0,
        0, // physical offset
        0,
        system_flag.cast_unsigned(),
        born_high,
        born_low,
    ]
    .map(u32::to_be_bytes);
    let after_store_host = [
        fields.reconsume_times.cast_unsigned(),
        prepared_high,
        prepared_low,
        fields.body.len() as u32,
    ]
    .map(u32::to_be_bytes);

    out.reserve(total);
    out.extend_from_slice(before_born_host.as_flattened());
    out.extend_from_slice(born_host.as_slice());
    out.extend_from_slice(&[0; 8]); // store timestamp
    out.extend_from_slice(store_host.as_slice());
    out.extend_from_slice(after_store_host.as_flattened());
    out.extend_from_slice(fields.body);
    out.push(fields.topic.len() as u8);
    out.extend_from_slice(fields.topic.as_bytes());
    out.extend_from_slice(&(fields.properties.len() as u16).to_be_bytes());
    out.extend_from_slice(fields.properties);
    Ok(total)
}

const fn with_bit(flags: i32, bit: i32, is_set: bool) -> i32 {
    if is_set { flags | bit } else { flags & !bit }
}

const fn words(value: i64) -> [u32; 2] {
    [(value >> 32) as u32, value as u32]
}

/// Sets the three fields that an encoded record gets when its place is known.
///
/// # Errors
/// When the bytes are too few to hold those fields; they are then unchanged.
pub fn place(
    record: &mut [u8],
    queue_offset: u64,
    physical_offset: u64,
    store_timestamp_ms: i64,
) -> Result<(), RecordError> {
    let given = record.len();
    let Some((head, rest)) = record.split_first_chunk_mut::<{ position::STORE_TIMESTAMP }>() else {
        return Err(RecordError::Truncated {
            needed: FIXED_BYTES,
            given,
        });
    };
    // the bit lies in the flag's last byte
    let is_born_v6 = i32::from(head[position::SYSTEM_FLAG + 3]) & BORN_HOST_V6 != 0;
    let skipped = if is_born_v6 { V6_EXTRA_BYTES } else { 0 };
    let Some(timestamp) = rest.get_mut(skipped..).and_then(|rest| rest.first_chunk_mut()) else {
        return Err(RecordError::Truncated {
            needed: FIXED_BYTES + skipped,
            given,
        });
    };
    *timestamp = store_timestamp_ms.to_be_bytes();
    head[position::QUEUE_OFFSET..position::PHYSICAL_OFFSET].copy_from_slice(&queue_offset.to_be_bytes());
    head[position::PHYSICAL_OFFSET..position::SYSTEM_FLAG].copy_from_slice(&physical_offset.to_be_bytes());
    Ok(())
}

/// Returns the blank record for the end of a commit log file with `remaining` bytes left, which are at least
/// [`super::BLANK_BYTES`] and, as the file, fewer than 2 GiB.
pub fn blank(remaining: usize) -> [u8; 8] {
    let size = i32::try_from(remaining).unwrap_or(i32::MAX).to_be_bytes();
    let magic = BLANK_MAGIC.to_be_bytes();
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&size);
    bytes[4..].copy_from_slice(&magic);
    bytes
}

#[cfg(test)]
mod tests {
    use super::super::{Record, tests::fields};
    use super::*;

    #[test]
    fn the_v6_bits_follow_the_hosts() {
        for (born, store, bits, extra) in [
            ("1.2.3.4:5", "6.7.8.9:10", 0, 0),
            ("[2001:db8::1]:5", "6.7.8.9:10", 0x10, 12),
            ("1.2.3.4:5", "[2001:db8::2]:10", 0x20, 12),
            ("[2001:db8::1]:5", "[2001:db8::2]:10", 0x30, 24),
            ("[::ffff:1.2.3.4]:5", "[::ffff:6.7.8.9]:10", 0, 0),
        ] {
            let mut with_wrong_bits = fields(born, store);
            with_wrong_bits.system_flag = 0x38 ^ bits;
            let mut bytes = Vec::new();
            let length = encode(&with_wrong_bits, &mut bytes).unwrap();
            assert_eq!(length, bytes.len());
            assert_eq!(length, FIXED_BYTES + extra + 24);
            assert_eq!(Ok(length), encoded_length(&with_wrong_bits));
            assert_eq!(Record::parse(&bytes).unwrap().system_flag(), 0x08 | bits);
        }
    }

    #[test]
    fn too_long_a_topic_or_properties_writes_nothing() {
        let topic = "t".repeat(128);
        let properties = vec![b'p'; 32768];
        let mut out = vec![1, 2];
        let fields = fields("1.2.3.4:5", "6.7.8.9:10");
        let long_topic = RecordFields {
            topic: &topic,
            ..fields
        };
        assert_eq!(
            encode(&long_topic, &mut out),
            Err(RecordError::TopicTooLong { length: 128 })
        );
        let long_properties = RecordFields {
            properties: &properties,
            ..fields
        };
        assert_eq!(
            encode(&long_properties, &mut out),
            Err(RecordError::PropertiesTooLong { length: 32768 })
        );
        assert_eq!(out, [1, 2]);
        let just = RecordFields {
            topic: &topic[..127],
            properties: &properties[..32767],
            ..fields
        };
        assert_eq!(encode(&just, &mut out), Ok(FIXED_BYTES + 5 + 127 + 32767));
        assert_eq!(Record::parse(&out[2..]).unwrap().properties().len(), 32767);
    }

    #[test]
    fn placing_touches_three_fields_only() {
        for born in ["1.2.3.4:5", "[2001:db8::1]:5"] {
            let mut bytes = Vec::new();
            encode(&fields(born, "6.7.8.9:10"), &mut bytes).unwrap();
            let before = bytes.clone();
            place(&mut bytes, u64::MAX, u64::MAX, -1).unwrap();
            let changed: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != before[*at]).collect();
            let store_timestamp = if born.starts_with('[') { 68 } else { 56 };
            assert_eq!(
                changed,
                (20..36).chain(store_timestamp..store_timestamp + 8).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn placing_in_too_few_bytes_changes_nothing() {
        let mut bytes = Vec::new();
        encode(&fields("[2001:db8::1]:5", "6.7.8.9:10"), &mut bytes).unwrap();
        for length in 0..76 {
            let mut cut = bytes[..length].to_vec();
            assert!(
                matches!(place(&mut cut, 1, 2, 3), Err(RecordError::Truncated { .. })),
                "{length}"
            );
            assert_eq!(cut, bytes[..length]);
        }
    }

    #[test]
    fn a_blank_record_says_what_is_left() {
        assert_eq!(blank(748), [0, 0, 2, 0xEC, 0xCB, 0xD4, 0x31, 0x94]);
    }
}
