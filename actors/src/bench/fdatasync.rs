//! `cuemq bench floor --fdatasync DIR`: what it costs to make 4 KiB durable in a directory, which is the least that a
//! durable send of one message at a time can cost. `cuemq bench suite` also asks for larger batches.
//!
//! The file is written over and over in place: blocks and length are there already, as in a commit log segment.

use std::io::IoSlice;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use cuemq_storage::clock::Clock;
use cuemq_storage::disk::{Disk, OpenMode};
use hdrhistogram::Histogram;
use serde::Serialize;

use super::engine::now_ns;
use super::report::Latency;

/// What one message alone writes.
pub(super) const PAGE: usize = 4096;
/// How long the file is, about.
const FILE_BYTES: usize = 64 << 20;
const FILE_NAME: &str = "cuemq-bench-fdatasync";

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Syncs {
    /// How many there were.
    pub(super) count: u64,
    /// How many went into a second.
    pub(super) per_second: f64,
    /// How long a write and its fdatasync took.
    pub(super) latency_us: Latency,
}

/// Writes so many bytes and syncs, again and again, for so long.
pub(super) fn measure(
    disk: &dyn Disk,
    clock: &dyn Clock,
    directory: &Path,
    limit: Duration,
    bytes: usize,
) -> Result<Syncs> {
    let path = directory.join(FILE_NAME);
    let file = disk
        .open(&path, OpenMode::Create)
        .with_context(|| format!("cannot make {}", path.display()))?;
    let measured =
        write(file.as_ref(), clock, limit, bytes).with_context(|| format!("cannot write {}", path.display()));
    drop(file);
    disk.remove_file(&path)
        .with_context(|| format!("cannot remove {}", path.display()))?;
    measured
}

fn write(file: &dyn cuemq_storage::disk::DiskFile, clock: &dyn Clock, limit: Duration, bytes: usize) -> Result<Syncs> {
    let batch = vec![0x5A; bytes];
    let batch = [IoSlice::new(&batch)];
    let writes = (FILE_BYTES / bytes.max(1)).max(1) as u64;
    for number in 0..writes {
        file.write_at(&batch, number * bytes as u64)?;
    }
    file.sync_data()?;
    let mut latencies = Histogram::<u64>::new(3)?;
    let start = now_ns(clock);
    let mut last = start;
    // at least one, however short the time
    loop {
        file.write_at(&batch, latencies.len() % writes * bytes as u64)?;
        file.sync_data()?;
        let now = now_ns(clock);
        latencies.record(now - last)?;
        last = now;
        if Duration::from_nanos(now - start) >= limit {
            break;
        }
    }
    let seconds = Duration::from_nanos(last - start).as_secs_f64();
    Ok(Syncs {
        count: latencies.len(),
        per_second: latencies.len() as f64 / seconds.max(f64::MIN_POSITIVE),
        latency_us: Latency::of(&latencies),
    })
}

#[cfg(test)]
mod tests {
    use cuemq_storage::clock::RealClock;
    use cuemq_storage::disk::RealDisk;

    use super::*;

    #[test]
    fn the_file_is_gone_afterwards() {
        let directory = tempfile::tempdir().unwrap();
        let syncs = measure(&RealDisk, &RealClock::new(), directory.path(), Duration::ZERO, PAGE).unwrap();
        assert_eq!(syncs.count, 1);
        assert!(syncs.latency_us.p50 > 0.0);
        assert_eq!(directory.path().read_dir().unwrap().count(), 0);
    }
}
