//! An address as records and offset ids hold it: the IP's bytes, then the port as an `int`.
//!
//! | version | IP | port | together |
//! |---|---|---|---|
//! | 4 | 4 | 4 | 8 |
//! | 6 | 16 | 4 | 20 |

use super::cursor::Cursor;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Bytes of an IPv4 host.
pub(super) const V4_BYTES: usize = 8;
/// Bytes of an IPv6 host.
pub(super) const V6_BYTES: usize = 20;

/// The bytes of one host.
#[derive(Clone, Copy)]
pub(super) enum HostBytes {
    V4([u8; V4_BYTES]),
    V6([u8; V6_BYTES]),
}

impl HostBytes {
    /// Writes an IPv4 address that a dual-stack socket reports as IPv6 as the IPv4 address it is: so does Java, and old
    /// clients read nothing else.
    pub(super) fn of(host: SocketAddr) -> Self {
        let [high, low] = host.port().to_be_bytes();
        match host.ip().to_canonical() {
            IpAddr::V4(ip) => {
                let [a, b, c, d] = ip.octets();
                Self::V4([a, b, c, d, 0, 0, high, low])
            }
            IpAddr::V6(ip) => {
                let mut bytes = [0; V6_BYTES];
                bytes[..16].copy_from_slice(&ip.octets());
                bytes[18..].copy_from_slice(&[high, low]);
                Self::V6(bytes)
            }
        }
    }

    pub(super) fn is_v6(&self) -> bool {
        matches!(self, Self::V6(_))
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        match self {
            Self::V4(bytes) => bytes,
            Self::V6(bytes) => bytes,
        }
    }
}

/// Reads the IP and the port as written, which may be no port at all.
pub(super) fn read(cursor: &mut Cursor<'_>, is_v6: bool) -> Option<(IpAddr, u32)> {
    let ip = if is_v6 {
        IpAddr::V6(Ipv6Addr::from(cursor.array::<16>()?))
    } else {
        IpAddr::V4(Ipv4Addr::from(cursor.array::<4>()?))
    };
    Some((ip, cursor.u32()?))
}
