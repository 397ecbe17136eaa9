//! A consume queue's extension: what does not fit into the 20 bytes of an entry (RocketMQ's `ConsumeQueueExt`).
//!
//! Files are `consumequeue_ext/<topic>/<queueId>/<20 digits>`, all of one length; the digits are the first byte's place.
//! They hold units, one behind the other. A unit never crosses a file: where none fits with [`END_BYTES`] to spare,
//! a length of −1 ends the file. An entry with a unit holds its address in place of its tags code: the unit's place, with
//! the sign bit set. No tags code and no delivery time is that low.
//!
//! - Read ([`TagsReader`]): wherever a file is, also where no extension is written. A unit that is missing or damaged tells
//!   nothing about the tags, as in Java: the message is handed out, and its consumer looks at the text of the tags.
//! - Write ([`ExtensionWriter`]): units go in front of the entries that lead to them, to the file and to the disk, so no
//!   entry that counts as durable leads to what is not.
//! - Open ([`ConsumeQueue::open_extension`]): it ends behind the unit of the queue's last address, so that no address that
//!   is left in the queue is ever given to another unit.
//!
//! [`ConsumeQueue::open_extension`]: super::ConsumeQueue::open_extension

use std::path::Path;
use std::sync::Arc;

use crate::disk::Disk;
use crate::error::Result;

mod files;
mod open;
mod reader;
mod retention;
mod store_times;
mod unit;
mod writer;

#[cfg(test)]
mod rules_test;

pub(super) use files::ExtensionFiles;
pub use reader::{Extension, TagsReader};
pub use store_times::StoreTimes;
pub(super) use writer::{ExtensionSync, ExtensionWriter, SyncedExtension};

/// The length of an extension's file unless it is configured: 48 MiB.
pub const DEFAULT_EXTENSION_FILE_BYTES: u64 = 48 << 20;
/// The least length of a file: it takes one unit.
pub const LEAST_EXTENSION_FILE_BYTES: u64 = unit::HEAD_LENGTH as u64 + END_BYTES;
/// The folder of all extensions in a store.
pub(crate) const FOLDER: &str = "consumequeue_ext";
/// What every file keeps free behind its last unit.
const END_BYTES: u64 = 4;
/// The length that stands where a file has no further unit.
const END_MARK: [u8; 2] = (-1i16).to_be_bytes();
/// The greatest value in place of a tags code that is an address: below every 32-bit hash.
const ADDRESS_MAX: i64 = i32::MIN as i64 - 1;

/// Where in the extension the unit lies that is found in place of a tags code, if one is.
fn place_of(tags_code: i64) -> Option<u64> {
    (tags_code <= ADDRESS_MAX).then(|| tags_code.wrapping_sub(i64::MIN).cast_unsigned())
}

/// The tags code of an entry of the queue in `queue_directory`; `None` where the unit that it leads to is not there.
pub(crate) fn code_of(disk: &Arc<dyn Disk>, queue_directory: &Path, entry: i64) -> Result<Option<i64>> {
    let Some(place) = place_of(entry) else {
        return Ok(Some(entry));
    };
    let files = ExtensionFiles::find(disk, queue_directory)?;
    let unit = files.map(|files| files.unit(place)).transpose()?;
    Ok(unit.flatten().map(|unit| unit.tags_code))
}

/// What stands in place of the tags code for a unit at this place.
fn address_of(place: u64) -> i64 {
    i64::MIN.saturating_add_unsigned(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_what_no_hash_and_no_time_can_be() {
        for tags_code in [0, -1, i64::from(i32::MIN), i64::MAX] {
            assert_eq!(place_of(tags_code), None, "{tags_code}");
        }
        assert_eq!(place_of(-2_147_483_649), Some((1 << 63) - 2_147_483_649));
        for place in [0, 20, 50_331_648, u64::MAX >> 2] {
            assert_eq!(place_of(address_of(place)), Some(place));
        }
        assert_eq!(address_of(20).to_be_bytes(), [0x80, 0, 0, 0, 0, 0, 0, 20]);
    }
}
