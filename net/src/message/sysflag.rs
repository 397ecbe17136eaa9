//! The bits of a message's system flag (Java: `MessageSysFlag`).
//!
//! | bits | meaning | since |
//! |---|---|---|
//! | 0x01 | the body is compressed | 4.3 |
//! | 0x02 | the topic allows several tags on a message | 4.3 |
//! | 0x0C | transaction type: 0 none, 4 prepared, 8 commit, 12 rollback | 4.3 |
//! | 0x10, 0x20 | the born host, the store host is IPv6 | 4.9 |
//! | 0x40, 0x80 | the body is a batch to unwrap, a batch in itself | 5.x |
//! | 0x700 | how the body is compressed: 0 or 3 zlib, 1 LZ4, 2 Zstandard | 4.9 |

/// The body is compressed.
pub const COMPRESSED: i32 = 0x01;
/// The message's topic allows several tags.
pub const MULTI_TAGS: i32 = 0x02;
/// Both bits of the transaction type.
pub const TRANSACTION_MASK: i32 = 0x0C;
/// The born host is written as IPv6.
pub const BORN_HOST_V6: i32 = 0x10;
/// The store host is written as IPv6.
pub const STORE_HOST_V6: i32 = 0x20;
/// The bits that say how a compressed body is compressed.
pub const COMPRESSION_MASK: i32 = 0x700;
const COMPRESSION_SHIFT: u32 = 8;

/// The part a record plays in a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransactionType {
    /// None: an ordinary message.
    None,
    /// A half message, waiting for its producer's decision.
    Prepared,
    /// A committed message.
    Commit,
    /// A rolled back message; it is never delivered or indexed.
    Rollback,
}

impl TransactionType {
    /// The two bits of this type.
    pub const fn bits(self) -> i32 {
        match self {
            Self::None => 0x00,
            Self::Prepared => 0x04,
            Self::Commit => 0x08,
            Self::Rollback => 0x0C,
        }
    }
}

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// A zlib stream (RFC 1950); the only kind that releases before 4.9 know.
    Zlib,
    /// LZ4.
    Lz4,
    /// Zstandard.
    Zstd,
    /// A kind that no release defines, by its number.
    Unknown(u8),
}

/// Returns the transaction type in a system flag.
pub const fn transaction_type(system_flag: i32) -> TransactionType {
    match system_flag & TRANSACTION_MASK {
        0x00 => TransactionType::None,
        0x04 => TransactionType::Prepared,
        0x08 => TransactionType::Commit,
        _ => TransactionType::Rollback,
    }
}

/// Returns the system flag with its transaction type replaced.
pub const fn with_transaction_type(system_flag: i32, transaction_type: TransactionType) -> i32 {
    (system_flag & !TRANSACTION_MASK) | transaction_type.bits()
}

/// Returns how the body is compressed, `None` when it is not.
pub const fn compression(system_flag: i32) -> Option<Compression> {
    if system_flag & COMPRESSED == 0 {
        return None;
    }
    Some(match (system_flag & COMPRESSION_MASK) >> COMPRESSION_SHIFT {
        0 | 3 => Compression::Zlib,
        1 => Compression::Lz4,
        2 => Compression::Zstd,
        other => Compression::Unknown(other as u8),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_type_replaces_the_old_one_and_keeps_the_other_bits() {
        use TransactionType::{Commit, None, Prepared, Rollback};
        for kind in [None, Prepared, Commit, Rollback] {
            for old in [0, 0x0C, 0x7F3, -1] {
                let flag = with_transaction_type(old, kind);
                assert_eq!(transaction_type(flag), kind);
                assert_eq!(flag & !TRANSACTION_MASK, old & !TRANSACTION_MASK);
            }
        }
    }

    #[test]
    fn the_compression_kind_counts_only_beside_the_compressed_bit() {
        assert_eq!(compression(0x300), None);
        assert_eq!(compression(0x001), Some(Compression::Zlib));
        assert_eq!(compression(0x301), Some(Compression::Zlib));
        assert_eq!(compression(0x101), Some(Compression::Lz4));
        assert_eq!(compression(0x201), Some(Compression::Zstd));
        assert_eq!(compression(0x701), Some(Compression::Unknown(7)));
    }
}
