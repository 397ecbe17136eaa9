//! Which thread each actor lives on: a table made from the number of cores, as plain data.

use std::fmt;

/// The role of a thread. Several roles may share one thread; see [`Layout::for_cores`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Thread {
    /// Connections, their parked pulls and their egress. Numbers beyond the table wrap around.
    Io(u16),
    /// The commit log and the consume queues.
    Log,
    /// Blocks in fdatasync.
    Flusher,
    /// Blocks in the writing of tables that requests are answered from: each write is short.
    Files,
    /// Blocks in what no request waits for: syncs of the consume queues, the checkpoint, deletion, and the allocation of
    /// files ahead of their use.
    Upkeep,
    /// Blocks in the index: writes, syncs, and queries, of which one may have to follow a long chain of entries.
    Index,
    /// Blocks in reads of data that is not in memory.
    ColdReads,
    /// Blocks in reads of messages that wait for their time or for the end of their transaction.
    Waiting,
    /// Replication, which reads old data for slaves.
    Replication,
    /// What operators read; there only where it is asked for.
    Http,
}

impl fmt::Display for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(number) => write!(f, "io-{number}"),
            Self::Log => f.write_str("log"),
            Self::Flusher => f.write_str("flusher"),
            Self::Files => f.write_str("files"),
            Self::Upkeep => f.write_str("upkeep"),
            Self::Index => f.write_str("index"),
            Self::ColdReads => f.write_str("cold-reads"),
            Self::Waiting => f.write_str("waiting"),
            Self::Replication => f.write_str("replication"),
            Self::Http => f.write_str("http"),
        }
    }
}

/// The roles that block: each has a thread of its own, whatever the machine.
const BLOCKING: [Thread; 7] = [
    Thread::Flusher,
    Thread::Files,
    Thread::Upkeep,
    Thread::Index,
    Thread::ColdReads,
    Thread::Waiting,
    Thread::Replication,
];

/// The table: the threads there are, and the one that each role lives on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    io: u16,
    /// The threads by name, in the order in which they start.
    threads: Vec<Thread>,
}

impl Layout {
    /// The table for a machine with `cores` cores.
    ///
    /// Below four cores the commit log lives on the first I/O thread, since a thread of its own would cost a wake-up for
    /// each batch; from four on it has one, and two cores are left to it and to the background threads, which mostly
    /// sleep. Those that block always have threads of their own.
    #[must_use]
    pub fn for_cores(cores: usize) -> Self {
        let io = match cores {
            0 | 1 => 1,
            2 | 3 => 2,
            more => u16::try_from(more - 2).unwrap_or(u16::MAX),
        };
        Self::new(io, cores >= 4)
    }

    /// A table with `io` I/O threads (at least one), and a thread for the commit log alone or not.
    #[must_use]
    pub fn new(io: u16, log_alone: bool) -> Self {
        let io = io.max(1);
        let mut threads: Vec<_> = (0..io).map(Thread::Io).collect();
        threads.extend(log_alone.then_some(Thread::Log));
        threads.extend(BLOCKING);
        Self { io, threads }
    }

    /// The same with a thread for [`Thread::Http`].
    #[must_use]
    pub fn with_http(mut self) -> Self {
        self.threads.push(Thread::Http);
        self
    }

    /// How many I/O threads there are.
    #[must_use]
    pub fn io_threads(&self) -> u16 {
        self.io
    }

    /// The threads, each by the role it is named for, in the order in which they start.
    #[must_use]
    pub fn threads(&self) -> &[Thread] {
        &self.threads
    }

    /// The place in [`Layout::threads`] of the thread that a role lives on.
    #[must_use]
    pub fn place_of(&self, role: Thread) -> usize {
        if let Thread::Io(number) = role {
            return usize::from(number % self.io);
        }
        self.threads.iter().position(|thread| *thread == role).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(cores: usize) -> Vec<String> {
        let layout = Layout::for_cores(cores);
        layout
            .threads()
            .iter()
            .map(ToString::to_string)
            .filter(|name| name.starts_with("io-") || name == "log")
            .collect()
    }

    #[test]
    fn cores_decide_the_threads() {
        assert_eq!(names(1), ["io-0"]);
        assert_eq!(names(2), ["io-0", "io-1"]);
        assert_eq!(names(3), ["io-0", "io-1"]);
        assert_eq!(names(4), ["io-0", "io-1", "log"]);
        assert_eq!(names(8).len(), 7);
    }

    #[test]
    fn the_log_shares_the_first_io_thread_below_four_cores() {
        let two = Layout::for_cores(2);
        assert_eq!(two.place_of(Thread::Log), two.place_of(Thread::Io(0)));
        let four = Layout::for_cores(4);
        assert_eq!(four.threads()[four.place_of(Thread::Log)], Thread::Log);
    }

    #[test]
    fn what_blocks_shares_no_thread() {
        for cores in 0..70 {
            let layout = Layout::for_cores(cores);
            for role in BLOCKING {
                assert_eq!(layout.threads()[layout.place_of(role)], role, "{cores} cores");
            }
        }
    }

    #[test]
    fn io_numbers_wrap_around() {
        let layout = Layout::new(3, false);
        assert_eq!(layout.place_of(Thread::Io(4)), layout.place_of(Thread::Io(1)));
    }
}
