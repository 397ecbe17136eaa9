//! The two ids of a message.
//!
//! | id | bytes before they become upper-case hexadecimal text |
//! |---|---|
//! | offset id (Java: `MessageDecoder.createMessageId`) | store host's IP 4 or 16, port 4, physical offset 8 |
//! | unique id (Java: `MessageClientIDSetter`) | client's IP 4 or 16, process 2, number 4, ms of the month 4, counter 2 |
//!
//! The offset id is what a broker answers to a send and finds a message by; the unique id is what clients show to people,
//! opaque to everybody else. Both have 32 digits on IPv4, 56 on IPv6, and tools try a given id as the first, then as the second.

use super::cursor::Cursor;
use super::host::{self, HostBytes, V6_BYTES};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::atomic::{AtomicU16, Ordering};

const ID_BYTES_MAX: usize = V6_BYTES + 8;

/// Where a message lies: the broker and the position in its commit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OffsetMessageId {
    /// The broker that stored the message.
    pub host: SocketAddr,
    /// The position of the record in that broker's commit log.
    pub physical_offset: u64,
}

/// Why a text is no offset id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Ids have 32 or 56 digits.
    #[error("id has {length} digits, neither 32 nor 56")]
    Length {
        /// The bytes of the text.
        length: usize,
    },
    /// A character is no hexadecimal digit.
    #[error("id has a character that is no hexadecimal digit")]
    Digit,
    /// The port is above 65535, which tells most unique ids from offset ids.
    #[error("id has the port {port}")]
    Port {
        /// What stands in its place.
        port: u32,
    },
    /// The physical offset is negative for Java.
    #[error("id has a negative physical offset")]
    PhysicalOffset,
}

impl OffsetMessageId {
    /// Appends the id as 32 or 56 hexadecimal digits.
    pub fn write_hex(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.text().as_bytes());
    }

    fn text(&self) -> IdText {
        let mut text = IdText::default();
        text.append(HostBytes::of(self.host).as_slice());
        text.append(&self.physical_offset.to_be_bytes());
        text
    }
}

impl fmt::Display for OffsetMessageId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.text().as_str())
    }
}

impl FromStr for OffsetMessageId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let mut decoded = [0; ID_BYTES_MAX];
        let is_v6 = match text.len() {
            32 => false,
            56 => true,
            length => return Err(IdError::Length { length }),
        };
        let (pairs, _) = text.as_bytes().as_chunks::<2>();
        for (byte, &[high, low]) in decoded.iter_mut().zip(pairs) {
            *byte = digit(high)? << 4 | digit(low)?;
        }
        let mut fields = Cursor::new(&decoded);
        // the array holds the longest id, so neither read comes up short
        let short = IdError::Length { length: text.len() };
        let (ip, port) = host::read(&mut fields, is_v6).ok_or(short)?;
        let physical_offset = fields.i64().ok_or(short)?;
        Ok(Self {
            host: SocketAddr::new(ip, u16::try_from(port).map_err(|_| IdError::Port { port })?),
            physical_offset: u64::try_from(physical_offset).map_err(|_| IdError::PhysicalOffset)?,
        })
    }
}

fn digit(character: u8) -> Result<u8, IdError> {
    match character {
        b'0'..=b'9' => Ok(character - b'0'),
        b'A'..=b'F' => Ok(character - b'A' + 10),
        b'a'..=b'f' => Ok(character - b'a' + 10),
        _ => Err(IdError::Digit),
    }
}

/// The text of an id, without an allocation.
#[derive(Clone, Copy)]
struct IdText {
    digits: [u8; 2 * ID_BYTES_MAX],
    length: usize,
}

impl Default for IdText {
    fn default() -> Self {
        Self {
            digits: [b'0'; 2 * ID_BYTES_MAX],
            length: 0,
        }
    }
}

impl IdText {
    fn append(&mut self, bytes: &[u8]) {
        let free = self.digits.get_mut(self.length..).unwrap_or_default();
        let (pairs, _) = free.as_chunks_mut::<2>();
        for (pair, byte) in pairs.iter_mut().zip(bytes) {
            *pair = [hex(byte >> 4), hex(byte & 0x0F)];
        }
        self.length = (self.length + 2 * bytes.len()).min(self.digits.len());
    }

    fn as_bytes(&self) -> &[u8] {
        self.digits.get(..self.length).unwrap_or_default()
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

/// Arithmetic rather than a table, so that the compiler does all digits at once.
const fn hex(nibble: u8) -> u8 {
    nibble + if nibble < 10 { b'0' } else { b'A' - 10 }
}

/// Makes the unique ids of one client process.
#[derive(Debug)]
pub struct UniqueIds {
    ip: IpAddr,
    process_id: u32,
    number: u32,
    counter: AtomicU16,
}

impl UniqueIds {
    /// Takes the client's address, of the process id the lower 16 bits, and any number that tells this process from others
    /// with the same process id.
    pub fn new(ip: IpAddr, process_id: u32, number: u32) -> Self {
        Self {
            ip: ip.to_canonical(),
            process_id,
            number,
            counter: AtomicU16::new(0),
        }
    }

    /// Returns the next id; ids differ as long as fewer than 65536 are made in a millisecond.
    ///
    /// The month is UTC's, not local as in Java: readers that guess the time from an id allow for any time zone.
    pub fn next(&self, now_ms: i64) -> UniqueId {
        let mut text = IdText::default();
        match self.ip {
            IpAddr::V4(ip) => text.append(&ip.octets()),
            IpAddr::V6(ip) => text.append(&ip.octets()),
        }
        text.append(&(self.process_id as u16).to_be_bytes());
        text.append(&self.number.to_be_bytes());
        text.append(&(ms_of_month(now_ms) as u32).to_be_bytes());
        text.append(&self.counter.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        UniqueId(text)
    }
}

/// The id a client gives a message, as text.
#[derive(Clone, Copy)]
pub struct UniqueId(IdText);

impl UniqueId {
    /// Returns the hexadecimal digits.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for UniqueId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl fmt::Debug for UniqueId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "UniqueId({self})")
    }
}

/// Returns the milliseconds since the month began in UTC: below 2^32, as no month has 50 days.
fn ms_of_month(now_ms: i64) -> i64 {
    const DAY_MS: i64 = 24 * 60 * 60 * 1000;
    (day_of_month(now_ms.div_euclid(DAY_MS)) - 1) * DAY_MS + now_ms.rem_euclid(DAY_MS)
}

/// Returns the day of the month, from 1, of a day since 1970-01-01.
///
/// Counts in years that begin in March, so that the leap day comes last, and in eras of 400 years, which all have the same
/// number of days; within a year the months from March on begin at day (153 * month + 2) / 5.
fn day_of_month(day_since_1970: i64) -> i64 {
    const ERA_DAYS: i64 = 146_097;
    const FROM_0000_03_01_TO_1970: i64 = 719_468;
    let day = (day_since_1970 + FROM_0000_03_01_TO_1970).rem_euclid(ERA_DAYS);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    day_of_year - (153 * month + 2) / 5 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(host: &str, physical_offset: u64) -> OffsetMessageId {
        OffsetMessageId {
            host: host.parse().unwrap(),
            physical_offset,
        }
    }

    #[test]
    fn an_offset_id_is_written_as_java_writes_it() {
        for (id, text) in [
            (id("127.0.0.1:31600", 0x21_D127), "7F00000100007B70000000000021D127"),
            (id("[::ffff:10.0.0.1]:10911", 0), "0A00000100002A9F0000000000000000"),
            (
                id("[2001:db8::ff]:10911", 7),
                "20010DB80000000000000000000000FF00002A9F0000000000000007",
            ),
        ] {
            let mut out = b"x".to_vec();
            id.write_hex(&mut out);
            assert_eq!(out, format!("x{text}").into_bytes());
            assert_eq!(id.to_string(), text);
            let read: OffsetMessageId = text.parse().unwrap();
            assert_eq!(read.to_string(), text);
            assert_eq!(text.to_lowercase().parse(), Ok(read));
        }
    }

    #[test]
    fn what_is_no_offset_id_says_why() {
        let read = |text: &str| text.parse::<OffsetMessageId>();
        assert_eq!(read(""), Err(IdError::Length { length: 0 }));
        assert_eq!(
            read("7F00000100007B70000000000021D12"),
            Err(IdError::Length { length: 31 })
        );
        assert_eq!(read("7F00000100007B70000000000021D12G"), Err(IdError::Digit));
        assert_eq!(read("ääääääääääääääää"), Err(IdError::Digit));
        assert_eq!(read("7F00000100007B708000000000000000"), Err(IdError::PhysicalOffset));
        // a unique id
        assert_eq!(
            read("C0000202028B1DBD16A66975C739030A"),
            Err(IdError::Port { port: 0x028B_1DBD })
        );
    }

    #[test]
    fn unique_ids_hold_what_they_are_made_of() {
        let ids = UniqueIds::new("192.0.2.2".parse().unwrap(), 0x7_028B, 0x1DBD_16A6);
        // 2026-03-02T00:00:00.010Z
        let now_ms = 1_772_409_600_010;
        assert_eq!(ids.next(now_ms).as_str(), "C0000202028B1DBD16A605265C0A0000");
        assert_eq!(ids.next(now_ms).as_str(), "C0000202028B1DBD16A605265C0A0001");
        let v6 = UniqueIds::new("2001:db8::1".parse().unwrap(), 1, 2);
        assert_eq!(
            v6.next(0).to_string(),
            "20010DB8000000000000000000000001000100000002000000000000"
        );
    }

    #[test]
    fn the_counter_begins_again_after_65536() {
        let ids = UniqueIds::new("192.0.2.2".parse().unwrap(), 1, 2);
        let first = ids.next(5).to_string();
        let others: Vec<_> = (1..0x1_0000).map(|_| ids.next(5).to_string()).collect();
        assert!(!others.contains(&first));
        assert_eq!(ids.next(5).to_string(), first);
    }

    #[test]
    fn months_begin_where_the_calendar_says() {
        for (day, of_month) in [
            (0, 1),       // 1970-01-01
            (-1, 31),     // 1969-12-31
            (58, 28),     // 1970-02-28
            (59, 1),      // 1970-03-01
            (11_016, 29), // 2000-02-29
            (11_017, 1),  // 2000-03-01
            (20_513, 1),  // 2026-03-01
            (47_540, 28), // 2100-02-28
            (47_541, 1),  // 2100-03-01
        ] {
            assert_eq!(day_of_month(day), of_month, "{day}");
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        const DAYS_OF_400_YEARS: i64 = 146_097;
        let mut before = day_of_month(-1);
        for day in 0..DAYS_OF_400_YEARS {
            let now = day_of_month(day);
            assert!(now == before + 1 || (now == 1 && (28..=31).contains(&before)), "{day}");
            before = now;
        }
    }

    #[test]
    fn any_clock_yields_an_id() {
        let ids = UniqueIds::new("192.0.2.2".parse().unwrap(), 1, 2);
        for now_ms in [i64::MIN, -1, 0, i64::MAX] {
            assert_eq!(ids.next(now_ms).as_str().len(), 32);
        }
    }
}
