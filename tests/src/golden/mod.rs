//! Stores that Java brokers wrote, with what those brokers read back from them: the measure of every reader of ours.
//!
//! [`unpack`] makes a working copy with its modification times, since opening a store changes it; [`manifest`] alone
//! needs no files. [`check_units`] and [`check_times`] hold a queue of ours against them. The archives and their contents are described in `testdata/stores/README.md`.

mod check;
mod manifest;

pub use check::{check_times, check_units};
pub use manifest::{Blank, ConsumerOffsets, DelayOffsets, IndexHeader, Manifest, Message, Query, Queue, StoreFile};

use anyhow::Context;
use flate2::read::GzDecoder;
use std::path::PathBuf;
use tempfile::TempDir;

/// The timer wheel of 5.x: 38 MB of zeros, which no message needs.
const TIMER_WHEEL: &str = "store/timerwheel";

struct Packed {
    name: &'static str,
    archive: &'static [u8],
    manifest: &'static [u8],
}

macro_rules! packed {
    ($($name:literal)+) => {
        [$(Packed {
            name: $name,
            archive: include_bytes!(concat!("../../testdata/stores/", $name, ".tar.gz")),
            manifest: include_bytes!(concat!("../../testdata/stores/", $name, ".json.gz")),
        }),+]
    };
}

const PACKED: [Packed; 8] = packed! {
    "4.3.0-clean" "4.3.0-abort" "4.3.0-ext" "4.9.8-clean" "4.9.8-abort" "4.9.8-ext" "5.3.3-clean" "5.3.3-abort"
};

/// Returns the names of all stores.
pub fn names() -> impl Iterator<Item = &'static str> {
    PACKED.iter().map(|packed| packed.name)
}

/// Returns what a store's own release read from it.
///
/// # Errors
/// When there is no store of that name.
pub fn manifest(name: &str) -> anyhow::Result<Manifest> {
    read_manifest(packed(name)?)
}

/// Unpacks a store into a directory of its own, which goes when the value is dropped.
///
/// # Errors
/// When there is no store of that name, or the directory cannot be written.
pub fn unpack(name: &str) -> anyhow::Result<GoldenStore> {
    let packed = packed(name)?;
    let directory = tempfile::tempdir()?;
    let mut archive = tar::Archive::new(GzDecoder::new(packed.archive));
    archive.set_preserve_mtime(true);
    for entry in archive.entries()? {
        let mut entry = entry?;
        if *entry.path_bytes() != *TIMER_WHEEL.as_bytes() {
            entry.unpack_in(directory.path())?;
        }
    }
    Ok(GoldenStore {
        directory,
        manifest: read_manifest(packed)?,
    })
}

fn packed(name: &str) -> anyhow::Result<&'static Packed> {
    PACKED
        .iter()
        .find(|packed| packed.name == name)
        .with_context(|| format!("no golden store is named {name}"))
}

fn read_manifest(packed: &Packed) -> anyhow::Result<Manifest> {
    serde_json::from_reader(GzDecoder::new(packed.manifest)).with_context(|| format!("manifest of {}", packed.name))
}

/// A working copy of a store.
#[derive(Debug)]
pub struct GoldenStore {
    directory: TempDir,
    /// What the store holds.
    pub manifest: Manifest,
}

impl GoldenStore {
    /// Returns the store's root directory, the one that holds `commitlog/`.
    pub fn root(&self) -> PathBuf {
        self.directory.path().join("store")
    }
}
