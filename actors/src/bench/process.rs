//! What /proc tells of a process: its CPU time and its memory, anonymous and file-mapped apart.
//!
//! CPU time comes in ticks of mostly 10 ms, so it means something over seconds. A broker maps its store: those pages
//! count as file-mapped, and say nothing about what the broker needs.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

/// A process by its id.
#[derive(Clone, Copy, Debug)]
pub(super) struct Process {
    pid: u32,
}

/// What a process occupies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Memory {
    /// Heap, stacks and the like, in bytes.
    pub(super) anonymous_bytes: u64,
    /// Pages of files that are mapped and present, in bytes; they go when others need the memory.
    pub(super) file_mapped_bytes: u64,
}

impl Process {
    pub(super) fn new(pid: u32) -> Self {
        Self { pid }
    }

    /// This process.
    pub(super) fn own() -> Self {
        Self::new(std::process::id())
    }

    /// The time that all its threads have spent, in user mode and in the kernel.
    pub(super) fn cpu(self) -> Result<Duration> {
        let ticks = ticks(&self.read("stat")?).context("the process's times")?;
        let per_second = rustix::param::clock_ticks_per_second().max(1);
        Ok(Duration::from_secs_f64(ticks as f64 / per_second as f64))
    }

    /// What it occupies now.
    pub(super) fn memory(self) -> Result<Memory> {
        memory(&self.read("smaps_rollup")?).context("the process's memory")
    }

    /// Its name, and the cores that it may run on.
    pub(super) fn identity(self) -> Result<(String, String)> {
        let status = self.read("status")?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_default().trim().to_owned()
        };
        Ok((field("Name:"), field("Cpus_allowed_list:")))
    }

    fn read(self, what: &str) -> Result<String> {
        let path = format!("/proc/{}/{what}", self.pid);
        fs::read_to_string(&path).with_context(|| format!("cannot read {path}: is the process there, and yours?"))
    }
}

/// utime and stime of a stat line: the 12th and 13th field behind the name, which may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut times = behind_name.split_ascii_whitespace().skip(11);
    let user: u64 = times.next()?.parse().ok()?;
    let kernel: u64 = times.next()?.parse().ok()?;
    Some(user + kernel)
}

fn memory(rollup: &str) -> Option<Memory> {
    let field = |name: &str| -> Option<u64> {
        let line = rollup.lines().find_map(|line| line.strip_prefix(name))?;
        let kilobytes: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
        Some(kilobytes * 1024)
    };
    let anonymous_bytes = field("Anonymous:")?;
    Some(Memory {
        anonymous_bytes,
        file_mapped_bytes: field("Rss:")?.saturating_sub(anonymous_bytes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 130 0 0 20";
        assert_eq!(ticks(stat), Some(380));
        assert_eq!(ticks("7 (a) S 1"), None);
    }

    #[test]
    fn memory_is_parted() {
        let rollup = "00400000-7fff ---p [rollup]\nRss:  1000 kB\nPss:  990 kB\nPss_Anon:  1 kB\nAnonymous:  300 kB\n";
        let expected = Memory {
            anonymous_bytes: 300 * 1024,
            file_mapped_bytes: 700 * 1024,
        };
        assert_eq!(memory(rollup), Some(expected));
    }

    #[test]
    fn this_process_has_memory_and_a_name() {
        let own = Process::own();
        assert!(own.memory().unwrap().anonymous_bytes > 0);
        assert!(!own.identity().unwrap().0.is_empty());
        own.cpu().unwrap();
        assert!(Process::new(u32::MAX).cpu().is_err());
    }
}
