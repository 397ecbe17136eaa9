//! What CueMQ is to reach, as ratios within one run, and whether it does.
//!
//! A goal has a line for each pair of systems that were measured and can be compared: the same promise (flush mode) where
//! nothing else is said. Goals whose loads were not measured have none.

use serde::Serialize;

use super::arguments::Role;
use super::spread::Spread;
use super::table::Entry;

/// Loads with many requests in flight.
const PIPELINED: [&str; 4] = ["16x32-json", "16x32-binary", "128x8-json", "128x8-binary"];
/// Loads with one request in flight on each connection.
const SINGLE: [&str; 4] = ["16x1-json", "16x1-binary", "1x1-json", "1x1-binary"];
const LATENCY: [&str; 3] = ["latency-1000", "latency-10000", "latency-20000"];
/// The load that others are compared with.
const PLAIN: &str = "16x32-binary";

/// One of them.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Goal {
    goal: &'static str,
    load: String,
    systems: String,
    bound: Bound,
    measured: f64,
    is_met: bool,
}

#[derive(Clone, Copy, Debug, Serialize)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    fn new(goal: &'static str, load: &str, systems: String, bound: Bound, measured: f64) -> Self {
        let is_met = match bound {
            Bound::AtLeast(least) => measured >= least,
            Bound::AtMost(most) => measured <= most,
        };
        Self {
            goal,
            load: load.to_owned(),
            systems,
            bound,
            measured,
            is_met,
        }
    }

    pub(super) fn cells(&self) -> Vec<String> {
        let bound = match self.bound {
            Bound::AtLeast(least) => format!("at least {least:.3}"),
            Bound::AtMost(most) => format!("at most {most:.3}"),
        };
        vec![
            self.goal.to_owned(),
            self.load.clone(),
            self.systems.clone(),
            bound,
            format!("{:.3}", self.measured),
            if self.is_met { "yes" } else { "no" }.to_owned(),
        ]
    }
}

/// What the goals are read off.
#[derive(Clone, Copy)]
struct Measured<'a>(&'a [Entry]);

struct Judge<'a> {
    measured: Measured<'a>,
    goals: Vec<Goal>,
}

/// All goals that the entries say something about.
pub(super) fn goals(entries: &[Entry]) -> Vec<Goal> {
    let mut judge = Judge {
        measured: Measured(entries),
        goals: Vec::new(),
    };
    judge.against_others();
    judge.against_the_floor();
    judge.against_the_disk();
    judge.alone();
    judge.goals
}

impl<'a> Measured<'a> {
    fn of(self, load: &str, role: Role) -> Vec<&'a Entry> {
        let entries = self.0.iter();
        entries
            .filter(|entry| entry.load == load && entry.role == role)
            .collect()
    }

    /// Ours and theirs of a load, each with each.
    fn pairs(self, load: &str) -> Vec<(&'a Entry, &'a Entry)> {
        let others = self.of(load, Role::Other);
        let ours = self.of(load, Role::Ours).into_iter();
        ours.flat_map(|ours| others.iter().map(move |theirs| (ours, *theirs)))
            .collect()
    }
}

impl Judge<'_> {
    fn push(&mut self, goal: &'static str, systems: (&Entry, Option<&Entry>), bound: Bound, measured: Option<f64>) {
        let (ours, theirs) = systems;
        let names = match theirs {
            Some(theirs) if theirs.load == ours.load => format!("{} / {}", ours.system, theirs.system),
            Some(theirs) => format!("{} / {} {}", ours.system, theirs.system, theirs.load),
            None => ours.system.clone(),
        };
        if let Some(measured) = measured {
            self.goals.push(Goal::new(goal, &ours.load, names, bound, measured));
        }
    }

    fn against_others(&mut self) {
        let all = self.measured;
        let loads = [(&PIPELINED[..], 12.0), (&SINGLE[..], 4.0), (&["hot-pull"][..], 3.0)];
        for (loads, times) in loads {
            for (ours, theirs) in loads.iter().flat_map(|load| all.pairs(load)) {
                let pair = (ours, Some(theirs));
                if ours.flush == theirs.flush {
                    let goal = "messages for each CPU second";
                    self.push(goal, pair, Bound::AtLeast(times), ours.per_cpu_to(theirs));
                } else if is_sync(ours) && times != 3.0 {
                    let goal = "durable for each CPU second, against theirs not durable";
                    self.push(goal, pair, Bound::AtLeast(1.0), ours.per_cpu_to(theirs));
                    if times == 12.0 {
                        let goal = "durable messages, against theirs not durable";
                        self.push(goal, pair, Bound::AtLeast(1.0), ours.main_to(theirs));
                    }
                }
            }
        }
        for (ours, theirs) in LATENCY.iter().flat_map(|load| all.pairs(load)) {
            if ours.flush == theirs.flush {
                let pair = (ours, Some(theirs));
                let (p50, p99) = (
                    Spread::ratio(ours.p50_us, theirs.p50_us),
                    Spread::ratio(ours.p99_us, theirs.p99_us),
                );
                self.push("p50 from send to receipt", pair, Bound::AtMost(1.0 / 6.0), p50);
                self.push("p99 from send to receipt", pair, Bound::AtMost(1.0 / 8.0), p99);
            }
        }
        for (ours, theirs) in all.pairs(PLAIN) {
            let memory = Spread::ratio(ours.anonymous_megabytes, theirs.anonymous_megabytes);
            self.push("anonymous memory", (ours, Some(theirs)), Bound::AtMost(0.05), memory);
        }
    }

    fn against_the_floor(&mut self) {
        let all = self.measured;
        for load in ["1x1-json", "1x1-binary"] {
            for floor in all.of(load, Role::Floor) {
                for ours in all.of(load, Role::Ours).into_iter().filter(|ours| !is_sync(ours)) {
                    let pair = (ours, Some(floor));
                    let (p50, p99) = (
                        Spread::ratio(ours.p50_us, floor.p50_us),
                        Spread::ratio(ours.p99_us, floor.p99_us),
                    );
                    self.push("p50 of a single send by echo's", pair, Bound::AtMost(1.5), p50);
                    self.push("p99 of a single send by echo's", pair, Bound::AtMost(2.0), p99);
                    let most = ours.p99_us.map(|p99| p99.median);
                    self.push("p99 of a single send in us", (ours, None), Bound::AtMost(100.0), most);
                }
            }
        }
        for stream in all.of("pull-stream", Role::Floor) {
            let pulls = ["hot-pull", "pull-stream"].into_iter();
            for ours in pulls.flat_map(|load| all.of(load, Role::Ours)) {
                let part = ours.main_to(stream);
                self.push(
                    "messages by a loopback stream's",
                    (ours, Some(stream)),
                    Bound::AtLeast(0.7),
                    part,
                );
            }
        }
    }

    fn against_the_disk(&mut self) {
        let all = self.measured;
        for batch in ["fdatasync-512x1k", "fdatasync-256x1k"] {
            for disk in all.of(batch, Role::Disk) {
                for load in ["16x32-json", PLAIN] {
                    for ours in all.of(load, Role::Ours).into_iter().filter(|ours| is_sync(ours)) {
                        let part = ours.main_to(disk);
                        self.push(
                            "durable messages by fdatasync's",
                            (ours, Some(disk)),
                            Bound::AtLeast(0.6),
                            part,
                        );
                    }
                }
            }
        }
    }

    fn alone(&mut self) {
        let all = self.measured;
        for (load, most) in [("1000x4", 1.1), ("10000-queues", 2.0)] {
            for many in all.of(load, Role::Ours) {
                for few in all
                    .of(PLAIN, Role::Ours)
                    .into_iter()
                    .filter(|few| few.system == many.system)
                {
                    let cost = Spread::ratio(many.cpu_us_per_message, few.cpu_us_per_message);
                    self.push(
                        "CPU for each message by 8 queues'",
                        (many, Some(few)),
                        Bound::AtMost(most),
                        cost,
                    );
                }
            }
        }
        for ours in all.of("catch-up", Role::Ours) {
            let times = ours.catch_up.as_ref().map(|figures| figures.p99_to_before.median);
            self.push(
                "sends refused",
                (ours, None),
                Bound::AtMost(0.0),
                Some(ours.refused as f64),
            );
            self.push("p99 of sends by that before", (ours, None), Bound::AtMost(5.0), times);
        }
        for ours in all.of("steady", Role::Ours) {
            let unmatched = ours
                .stalls
                .iter()
                .map(|stall| stall.is_matched().map(|is_matched| !is_matched));
            let unmatched: Option<Vec<bool>> = unmatched.collect();
            let count = unmatched.map(|stalls| stalls.into_iter().filter(|is_open| *is_open).count() as f64);
            self.push(
                "stalls that no slow disk explains",
                (ours, None),
                Bound::AtMost(0.0),
                count,
            );
        }
        for (load, most) in [("restart-clean", 0.3), ("restart-kill", 1.5)] {
            for ours in all.of(load, Role::Ours) {
                let seconds = ours.restart_seconds.map(|seconds| seconds.median);
                self.push("seconds to the first send", (ours, None), Bound::AtMost(most), seconds);
            }
        }
    }
}

fn is_sync(entry: &Entry) -> bool {
    entry.flush == "SYNC_FLUSH"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_met_at_its_bound_and_not_beyond() {
        let is_met = |bound, measured| Goal::new("g", "l", String::new(), bound, measured).is_met;
        assert!(is_met(Bound::AtLeast(12.0), 12.0) && !is_met(Bound::AtLeast(12.0), 11.9));
        assert!(is_met(Bound::AtMost(0.05), 0.05) && !is_met(Bound::AtMost(0.05), 0.06));
    }
}
