//! Panics on request, in any supervised actor by name, so that tests reach every recovery path.
//!
//! Each actor's context holds its [`FaultPoint`] and strikes it at four sites. An unarmed point costs one relaxed load.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cuemq_storage::hash::Map;

/// Where an armed fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    /// Before the factory builds a value.
    Factory = 0,
    /// After a handler ran, before its answer leaves: state changed, reply lost.
    Handler = 1,
    /// Before a future or timer spawned on the actor's context is polled.
    Task = 2,
    /// Before a message is handled: it is lost with nothing done.
    Message = 3,
}

/// One actor's fault sites: how many panics are still due at each.
#[derive(Clone, Debug, Default)]
pub struct FaultPoint {
    due: Arc<[AtomicU32; 4]>,
}

impl FaultPoint {
    /// Panics when a fault is due at `site`.
    #[inline]
    pub fn strike(&self, site: Site) {
        if self.due[site as usize].load(Ordering::Relaxed) != 0 {
            self.take(site);
        }
    }

    #[cold]
    fn take(&self, site: Site) {
        let due = &self.due[site as usize];
        let taken = due.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |due| due.checked_sub(1));
        assert!(taken.is_err(), "injected fault ({site:?})");
    }
}

/// The fault points of all actors of one tree. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    points: Arc<Mutex<Map<String, FaultPoint>>>,
}

impl Faults {
    /// The point of the actor called `name`, made when it is first asked for.
    #[must_use]
    pub fn point(&self, name: &str) -> FaultPoint {
        let mut points = self.points.lock().unwrap_or_else(PoisonError::into_inner);
        points.entry(name.to_owned()).or_default().clone()
    }

    /// Lets the next `times` passes at `site` of the actor called `name` panic.
    pub fn arm(&self, name: &str, site: Site, times: u32) {
        self.point(name).due[site as usize].store(times, Ordering::SeqCst);
    }

    /// How many of the armed panics have not happened yet.
    #[must_use]
    pub fn due(&self, name: &str, site: Site) -> u32 {
        self.point(name).due[site as usize].load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervise::guarded;

    #[test]
    fn an_armed_point_panics_as_often_as_asked_and_only_there() {
        let faults = Faults::default();
        let point = faults.point("log");
        faults.arm("log", Site::Handler, 2);
        point.strike(Site::Factory);
        faults.point("index").strike(Site::Handler);
        assert!(guarded(|| point.strike(Site::Handler)).is_err());
        assert_eq!(faults.due("log", Site::Handler), 1);
        assert!(guarded(|| point.strike(Site::Handler)).is_err());
        point.strike(Site::Handler);
    }
}
