//! Carries faults out, and repairs what they did: after each of them the broker has to answer again.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use cuemq_actors::testing::Site;
use cuemq_storage::disk::Disk;
use cuemq_storage::disk::memory::{Fault as DiskFault, Operation};
use futures_util::FutureExt;

use super::broker::HOST;
use super::check::Violation;
use super::fault::{End, Failing, Fault};
use super::ground::Ground;
use super::history::Event;

/// How long a fault that waits for an operation of the disk waits.
const WAIT: Duration = Duration::from_secs(2);
/// How long an actor has to do something in which it can panic: the name server looks for silent brokers every 10 s.
const BUSY: Duration = Duration::from_secs(11);
/// How long the broker may take to stop in order.
const STOP: Duration = Duration::from_secs(40);
/// How long a poisoned broker is left as it is.
const POISONED: Duration = Duration::from_millis(300);
/// How long the broker takes at most to notice how much room there is.
const NOTICED: Duration = Duration::from_millis(500);
/// How long a start is given, in which the power goes.
const START: Duration = Duration::from_millis(100);

impl Ground {
    /// Lets a fault strike and repairs it.
    pub(super) fn strike(&mut self, fault: Fault) {
        self.machine.history.add(Event::Struck(fault));
        match fault {
            Fault::Ends { end, down } => {
                self.end(end);
                self.pass(down);
                self.begin();
            }
            Fault::EndsAt { change, end } => self.end_at(change, end, WAIT),
            Fault::EndsInRecovery { change, first, second } => {
                self.end(End::PowerLoss(first));
                self.begin();
                self.end_at(change, second, START);
            }
            Fault::Partition { host, time } => {
                let hosts = self.client_hosts(host);
                hosts.iter().for_each(|host| self.sim.partition(HOST, host.as_str()));
                self.pass(time);
                hosts.iter().for_each(|host| self.sim.repair(HOST, host.as_str()));
            }
            Fault::Hold { host, time } => {
                let hosts = self.client_hosts(Some(host));
                hosts.iter().for_each(|host| self.sim.hold(HOST, host.as_str()));
                self.pass(time);
                hosts.iter().for_each(|host| self.sim.release(HOST, host.as_str()));
            }
            Fault::Disk { failing, after, end } => self.fail_disk(failing, after, end),
            Fault::Panic { child, site } => self.panic(child, site, fault.ends_store()),
            Fault::Fills { left, rest, time } => self.fill_disk(left, rest, time),
            Fault::Full { left, time, end } => {
                let capacity = self.leave_room(left);
                self.pass(time);
                self.end(end);
                self.machine.disk.set_capacity(capacity);
                self.begin();
            }
        }
        self.machine.history.add(Event::Repaired);
    }

    fn end(&mut self, end: End) {
        if matches!(end, End::Stop) {
            // The permit waits for a broker that is still starting; one that did not start leaves it.
            self.machine.stop.notify_one();
            let ended = self.pass_while_running(STOP);
            assert!(ended, "seed {}: the broker does not stop", self.machine.seed);
            let _ = self.machine.stop.notified().now_or_never();
        }
        self.machine.history.add(Event::LifeEnds(end));
        // The disk first, so that nothing of what ends can reach it.
        match end.survival() {
            Some(survival) => self.machine.disk.crash(survival),
            None => self.machine.disk.kill(),
        }
        let clock = Arc::clone(&self.machine.clock);
        clock.stand_during(|| self.sim.crash(HOST));
    }

    fn begin(&mut self) {
        self.sim.bounce(HOST);
    }

    fn end_at(&mut self, change: u64, end: End, most: Duration) {
        self.machine.disk.crash_at(change);
        let disk = self.machine.disk.clone();
        self.pass_until(most, || disk.exists(Path::new("/")).is_err());
        self.end(end);
        self.begin();
    }

    /// The disk fails once. Whether that poisoned the store or not, the broker is restarted.
    fn fail_disk(&mut self, failing: Failing, after: u64, end: End) {
        let fault = match failing {
            Failing::Sync => DiskFault::new(Operation::SyncData),
            Failing::Write(bytes) => DiskFault::new(Operation::Write).partial(bytes),
        };
        let disk = self.machine.disk.clone();
        let id = disk.inject(fault.after(after).times(1));
        self.pass_until(WAIT, || disk.fired(id) > 0);
        disk.clear(id);
        self.pass(POISONED);
        self.end(end);
        self.begin();
    }

    /// An actor panics, if it does anything soon. If it is one that cannot be built anew, the broker ends itself.
    fn panic(&mut self, child: &'static str, site: Site, ends_store: bool) {
        let faults = self.machine.faults.clone();
        faults.arm(child, site, 1);
        let struck = self.pass_until(BUSY, || faults.due(child, site) == 0);
        faults.arm(child, site, 0);
        if struck {
            self.panicked.push((child, site));
        }
        if struck && ends_store {
            if !self.pass_while_running(STOP) {
                let goes_on = format!("the broker goes on without its {child}");
                self.violations.push(Violation::Silent(goes_on));
            }
            self.end(End::Kill);
            self.begin();
        }
    }

    /// There is no room for a while. The broker goes on by itself when there is again.
    fn fill_disk(&mut self, left: u64, rest: u64, time: Duration) {
        let capacity = self.leave_room(left);
        self.pass(NOTICED);
        self.leave_room(rest);
        self.pass(time);
        self.machine.disk.set_capacity(capacity);
    }

    /// Makes the disk so small that so many bytes are left; its capacity before.
    fn leave_room(&self, left: u64) -> u64 {
        let disk = &self.machine.disk;
        let space = disk.space(Path::new("/")).expect("the root is there");
        disk.set_capacity(space.total - space.available + left);
        space.total
    }

    fn client_hosts(&self, host: Option<usize>) -> Vec<String> {
        let all: &[String] = &self.hosts;
        match host {
            Some(host) => all.get(host).into_iter().cloned().collect(),
            None => all.to_vec(),
        }
    }

    fn pass_while_running(&mut self, most: Duration) -> bool {
        let lives_ended = Rc::clone(&self.machine.ended);
        let life = self.machine.lives.get();
        self.pass_until(most, || lives_ended.get() >= life)
    }
}
