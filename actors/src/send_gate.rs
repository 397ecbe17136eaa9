//! Whether sends are accepted now, and if not, why; read by every connection before it takes a send.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use cuemq_net::code::ResponseCode;
use cuemq_storage::StoreError;
use cuemq_storage::commit_log::LogView;
use cuemq_storage::position::PhysicalOffset;

use crate::local_time;

/// How often whoever starves tries again.
pub const RETRY: Duration = Duration::from_millis(500);

fn unavailable(remark: &'static str) -> Option<(ResponseCode, Cow<'static, str>)> {
    Some((ResponseCode::SERVICE_NOT_AVAILABLE, Cow::Borrowed(remark)))
}

/// The gate that every send passes.
#[derive(Debug)]
pub struct SendGate {
    log: Arc<LogView>,
    from_ms: u64,
    full: AtomicBool,
    /// How many consume queues, and the index, find no room.
    starving: AtomicU32,
    available: AtomicU64,
    needed: AtomicU64,
    used: AtomicU64,
    total: AtomicU64,
    stopping: AtomicBool,
    failed: AtomicBool,
}

impl SendGate {
    /// A gate that opens at `from_ms`, in milliseconds since 1970, for sends into `log`.
    #[must_use]
    pub fn new(log: Arc<LogView>, from_ms: u64) -> Self {
        Self {
            log,
            from_ms,
            full: AtomicBool::new(false),
            starving: AtomicU32::new(0),
            available: AtomicU64::new(u64::MAX),
            needed: AtomicU64::new(0),
            used: AtomicU64::new(0),
            total: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            failed: AtomicBool::new(false),
        }
    }

    /// When it opens, in milliseconds since 1970; 0 for at once.
    #[must_use]
    pub fn opens_at_ms(&self) -> u64 {
        self.from_ms
    }

    /// Why a send is refused now, `None` when it is not; the clock is asked only by a gate that has an hour.
    #[must_use]
    pub fn refusal(&self, now_ms: impl FnOnce() -> u64) -> Option<(ResponseCode, Cow<'static, str>)> {
        if self.from_ms > 0 && now_ms() < self.from_ms {
            let remark = format!("broker unable to service, until {}", local_time::told(self.from_ms));
            return Some((ResponseCode::SYSTEM_ERROR, remark.into()));
        }
        self.end().or_else(|| self.no_room()).or_else(|| self.starvation())
    }

    /// Why what the broker itself appends is refused now. It has the room that sends leave: while messages wait, the files
    /// that they lie in stay, and a disk that is full of those would never have room again.
    #[must_use]
    pub fn refusal_of_own(&self) -> Option<(ResponseCode, Cow<'static, str>)> {
        self.end().or_else(|| self.starvation())
    }

    /// What only a restart ends.
    fn end(&self) -> Option<(ResponseCode, Cow<'static, str>)> {
        if self.log.is_poisoned() {
            return unavailable(
                "service not available now: a write to the disk has failed, and nothing is accepted until the broker is \
                 restarted; see its log for the file and the error",
            );
        }
        if self.failed.load(Ordering::Relaxed) {
            return unavailable(
                "service not available now: a part of the broker has failed for good, and nothing is accepted until the \
                 broker is restarted; see its log",
            );
        }
        if self.stopping.load(Ordering::Relaxed) {
            return unavailable("service not available now: the broker is stopping");
        }
        None
    }

    fn no_room(&self) -> Option<(ResponseCode, Cow<'static, str>)> {
        if self.full.load(Ordering::Relaxed) {
            let (available, needed) = (
                self.available.load(Ordering::Relaxed),
                self.needed.load(Ordering::Relaxed),
            );
            let remark = format!(
                "service not available now, maybe disk full: {available} bytes are free where {needed} are needed; make \
                 room on the broker's disk, sends go on by themselves"
            );
            return Some((ResponseCode::SERVICE_NOT_AVAILABLE, remark.into()));
        }
        None
    }

    fn starvation(&self) -> Option<(ResponseCode, Cow<'static, str>)> {
        if self.starving.load(Ordering::Relaxed) > 0 {
            return unavailable(
                "service not available now, maybe disk full: a consume queue or the index finds no room; make room on the \
                 broker's disk, or raise its quota, sends go on by themselves",
            );
        }
        None
    }

    /// Closes the gate for as long as the answer is held: whoever keeps what the log brings finds no room for what begins at
    /// `from`.
    #[must_use]
    pub fn starve(self: &Arc<Self>, from: PhysicalOffset, error: &StoreError) -> Starving {
        if self.starving.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::error!(%error, "no room on the disk: sends are refused until there is, reads go on");
        }
        let gate = Arc::clone(self);
        Starving { gate, from }
    }

    /// Notes how much room the disk has and how much has to stay free; whether that changed the answer.
    pub fn note_space(&self, available: u64, needed: u64) -> bool {
        self.available.store(available, Ordering::Relaxed);
        self.needed.store(needed, Ordering::Relaxed);
        let full = available < needed;
        self.full.swap(full, Ordering::Relaxed) != full
    }

    /// How many bytes the disk had free when it was looked at last, unless that is still to come, and how many are needed.
    #[must_use]
    pub fn space(&self) -> (Option<u64>, u64) {
        let available = self.available.load(Ordering::Relaxed);
        let known = (available != u64::MAX).then_some(available);
        (known, self.needed.load(Ordering::Relaxed))
    }

    /// Notes how much of the disk is used, from 0 to 1, and how many bytes it has.
    pub fn note_used(&self, ratio: f64, total_bytes: u64) {
        self.used.store(ratio.to_bits(), Ordering::Relaxed);
        self.total.store(total_bytes, Ordering::Relaxed);
    }

    /// How much of the disk is used, from 0 to 1.
    #[must_use]
    pub fn used_ratio(&self) -> f64 {
        f64::from_bits(self.used.load(Ordering::Relaxed))
    }

    /// How many bytes the disk has; 0 before the first look at it.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Whether the disk was found full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Closes the gate for good: the broker cannot go on.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    /// Closes the gate for good: the broker stops.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }
}

/// Held by a consume queue or the index while it finds no room on the disk: sends are refused meanwhile.
#[derive(Debug)]
pub struct Starving {
    gate: Arc<SendGate>,
    from: PhysicalOffset,
}

impl Starving {
    /// Where in the log that begins which is to be taken when there is room.
    #[must_use]
    pub fn from(&self) -> PhysicalOffset {
        self.from
    }
}

impl Drop for Starving {
    fn drop(&mut self) {
        if self.gate.starving.fetch_sub(1, Ordering::Relaxed) == 1 {
            tracing::info!("no consume queue and no index waits for room on the disk any more");
        }
    }
}
