//! Which systems sync a whole file system and tell when something of it did not reach the disk.
//!
//! Linux does from 5.8 on, as far as the file system takes part: FUSE and network file systems need not pass it on.

use std::io;
use std::os::fd::AsFd;

/// The first release of Linux whose `syncfs` tells of failed write-backs.
const FIRST: (u32, u32) = (5, 8);

/// The `f_type` of the file systems that are known to do it (`linux/magic.h`).
const KNOWN: [u64; 6] = [
    0xef53,      // ext2, ext3, ext4
    0x5846_5342, // xfs
    0x9123_683e, // btrfs
    0xf2f5_2010, // f2fs
    0x0102_1994, // tmpfs
    0x794c_7630, // overlayfs
];

/// Whether `syncfs` on the file system of this file does all that `fsync` of each of its files would do.
pub(super) fn tells_what_it_lost(file: impl AsFd) -> io::Result<bool> {
    let kind = rustix::fs::fstatfs(file)?.f_type;
    // Signed on some machines, and of 32 bits on others.
    let kind = u64::try_from(kind).unwrap_or_default() & 0xffff_ffff;
    let release = rustix::system::uname();
    let is_new = release
        .release()
        .to_str()
        .is_ok_and(|release| version(release) >= Some(FIRST));
    Ok(is_new && KNOWN.contains(&kind))
}

/// The first two numbers of a release's name, `6.1.0-13-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_their_numbers() {
        assert!(version("6.1.0-13-amd64") >= Some(FIRST));
        assert!(version("5.10.0") >= Some(FIRST));
        assert!(version("5.4.0-150-generic") < Some(FIRST));
        assert_eq!(version("unknown"), None);
    }
}
